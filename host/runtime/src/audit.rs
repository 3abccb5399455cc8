//! From what the reflex says to records of the audit log: names for numbers, actors for requests.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sinew_audit::{
    AuditError, Boot, Changes, Entry, NOT_APPROVED, Pending, Stamp, Stop, WallClock, Writer,
};
use sinew_description::RobotDescription;
use sinew_flight_ring::TrailConsumer;
use sinew_messages::{
    ActivationRefusal, Indexed, JOINTS, LimitKind, ResetAnswer, SafetyEvent, SafetyEventKind,
    SafetyMode, StopCategory,
};
use sinew_safety::{ConfigHash, SafetyConfig};

use crate::trouble::{input, refused, unwritable_in_words};

/// Name of the log in the folder of a run.
pub const AUDIT_FILE: &str = "audit.jsonl";

/// Where a host writes down its stops, resets, modes, safety configurations, and what plugins were refused.
#[derive(Clone, Debug)]
pub struct AuditTarget {
    /// The log.
    pub writer: Writer,
    /// What the host's records belong to: `seed7-cycle3`.
    pub episode: String,
    /// Seed of the run.
    pub seed: u64,
}

/// Opens the log at `path`, or begins one, for what runs in virtual time.
///
/// # Errors
/// [`InputError`](crate::InputError) if it can't be written, [`Refused`](crate::Refused) if it does not verify.
pub fn open_audit(path: &Path) -> anyhow::Result<Writer> {
    open_audit_with(path, WallClock::VirtualTime)
}

/// [`open_audit`] with a clock for the time of day of its records.
///
/// # Errors
/// As [`open_audit`].
pub fn open_audit_with(path: &Path, clock: WallClock) -> anyhow::Result<Writer> {
    Writer::open(path, clock).map_err(|error| trouble(&error))
}

/// The log's trouble as the caller's: what has to be looked into first is a refusal.
pub(crate) fn trouble(error: &AuditError) -> anyhow::Error {
    match error {
        AuditError::File { source, .. } => unwritable_in_words(error.to_string(), source.kind()),
        AuditError::NoFile { .. } | AuditError::TooLong { .. } => input(error.to_string()),
        _ => refused(error.to_string()),
    }
}

/// As much of a configuration's hash as people look at.
pub(crate) fn first_digits(hash: &str) -> &str {
    hash.get(..16).unwrap_or(hash)
}

/// What is known of an activation that was asked for.
pub(crate) struct AskedActivation {
    pub(crate) actor: String,
    /// What is to be active, and what is.
    pub(crate) hashes: [ConfigHash; 2],
    pub(crate) changes: Changes,
    pub(crate) zones: Vec<String>,
}

/// One host's part of the log.
pub(crate) struct SafetyLog {
    target: AuditTarget,
    trail: TrailConsumer,
    joints: [String; JOINTS],
    zones: Vec<String>,
    /// The clock of the wall runs with the robot's.
    real_time: bool,
    /// What the stop stands for that the loop boots in: that of the cell which it was taken up with.
    boots_in: Option<Stop>,
    /// Requests for a reset without an answer, and who made them.
    resets: VecDeque<(u64, String)>,
    mode: Option<(SafetyMode, String)>,
    activation: Option<AskedActivation>,
    /// For each event that is not acknowledged, which record has to be durable.
    open: VecDeque<u64>,
}

/// Hashes of what was asked for and of what was active. The reflex says the first digits of each.
fn hashes_of(event: &SafetyEvent, asked: Option<&AskedActivation>) -> [String; 2] {
    let short = [event.number, event.before];
    match asked {
        Some(asked) if asked.hashes.map(|hash| hash.short()) == short => {
            asked.hashes.map(|hash| hash.to_string())
        }
        _ => short.map(|short| format!("{short:016x}")),
    }
}

impl SafetyLog {
    pub(crate) fn new(
        target: AuditTarget,
        trail: TrailConsumer,
        joints: [String; JOINTS],
        safety: &SafetyConfig,
        real_time: bool,
    ) -> Self {
        Self {
            target,
            trail,
            joints,
            zones: zone_names(safety),
            real_time,
            boots_in: None,
            resets: VecDeque::new(),
            mode: None,
            activation: None,
            open: VecDeque::new(),
        }
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.target.writer
    }

    pub(crate) fn boot(&self, robot: &RobotDescription, safety_hash: ConfigHash) {
        self.put(0, None, Entry::Boot(self.started(robot, safety_hash)));
    }

    /// Writes down that a parked robot was taken up as it was.
    pub(crate) fn resumed(&self, robot: &RobotDescription, safety_hash: ConfigHash) {
        self.put(0, None, Entry::Resumed(self.started(robot, safety_hash)));
    }

    fn started(&self, robot: &RobotDescription, safety_hash: ConfigHash) -> Boot {
        Boot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            robot: robot.name.clone(),
            robot_sha256: robot.sha256.clone(),
            safety_hash: safety_hash.to_string(),
            seed: self.target.seed,
            clock: if self.real_time { "real" } else { "virtual" },
        }
    }

    /// Writes down that somebody asks for a reset, before it is passed on.
    ///
    /// # Errors
    /// [`Refused`](crate::Refused) while the log can't be written: nobody may start a robot whose stops can't be kept.
    pub(crate) fn ask_reset(&mut self, tick: u64, actor: &str) -> anyhow::Result<()> {
        self.put(tick, Some(actor), Entry::ResetAsked {});
        self.settle().map_err(|error| {
            refused(format!(
                "no reset while the audit log can't be written: {error}"
            ))
        })
    }

    /// Says who made a request for a reset.
    pub(crate) fn name_reset(&mut self, request: u64, actor: &str) {
        self.resets.push_back((request, actor.to_owned()));
    }

    /// Says what the robot stands in, while the loop says no more than that it was booted.
    pub(crate) fn name_boot(&mut self, stop: Stop) {
        self.boots_in = Some(stop);
    }

    /// Says who asked for a mode.
    pub(crate) fn name_mode(&mut self, mode: SafetyMode, actor: &str) {
        self.mode = Some((mode, actor.to_owned()));
    }

    /// Takes every approval out of the log for the activation, if it is approved: nobody else
    /// finds one until the reflex has answered. False, and written down, if it is not.
    ///
    /// # Errors
    /// If the log can't be written.
    pub(crate) fn ask_activation(
        &mut self,
        tick: u64,
        asked: AskedActivation,
    ) -> Result<bool, AuditError> {
        let stamp = self.stamp(tick);
        let writer = self.target.writer.clone();
        let approved = writer.append_if(|approvals| {
            let [hash, active] = asked.hashes.map(|hash| hash.to_string());
            let approved = approvals.approver(&hash).is_some();
            let entry = if approved {
                Entry::ActivationAsked { hash }
            } else {
                Entry::ConfigurationRefused {
                    hash,
                    active,
                    reason: NOT_APPROVED.to_owned(),
                }
            };
            let pending = Pending {
                stamp,
                actor: Some(asked.actor.clone()),
                entry,
            };
            (vec![pending], approved)
        })?;
        if approved {
            self.activation = Some(asked);
        }
        Ok(approved)
    }

    /// Writes down that an activation was refused before the reflex heard of it, which gives the approvals back.
    pub(crate) fn refuse_activation(&mut self, tick: u64, reason: &str) {
        let Some(asked) = self.activation.take() else {
            return;
        };
        let [hash, active] = asked.hashes.map(|hash| hash.to_string());
        let entry = Entry::ConfigurationRefused {
            hash,
            active,
            reason: reason.to_owned(),
        };
        self.put(tick, Some(&asked.actor), entry);
    }

    /// Writes down what a plugin did.
    pub(crate) fn misdeed(&self, tick: u64, entry: Entry) {
        self.put(tick, None, entry);
    }

    /// Takes what the reflex said since the last step. In virtual time it waits for the disk, so that what happens next
    /// does not depend on how fast that is.
    pub(crate) fn step(&mut self) {
        let wrote = self.drain();
        if wrote && !self.real_time {
            // What fails is tried again, and the reflex goes without an acknowledgement as long.
            let _ = self.writer().flush();
        }
        self.acknowledge();
    }

    /// Waits until all of it is on the disk.
    pub(crate) fn settle(&mut self) -> Result<(), AuditError> {
        self.drain();
        let result = self.writer().flush();
        self.acknowledge();
        result
    }

    fn drain(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.trail.pop() {
            let record = self.write(&event);
            self.open.push_back(record);
            any = true;
        }
        any
    }

    fn acknowledge(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let durable = self.writer().durable();
        while self.open.front().is_some_and(|record| *record <= durable) {
            self.open.pop_front();
            self.trail.acknowledge(1);
        }
    }

    /// Writes what an event says; returns the number of its last record.
    fn write(&mut self, event: &SafetyEvent) -> u64 {
        let tick = event.tick;
        let stop = self.stop(event);
        let stopped = event.category != 0;
        match SafetyEventKind::decode(event.kind) {
            Some(SafetyEventKind::Stopped) => self.put(tick, None, Entry::Stop(stop)),
            Some(SafetyEventKind::StopWorsened) => self.put(tick, None, Entry::StopWorsened(stop)),
            Some(SafetyEventKind::ResetGranted) => {
                self.answer_resets(event, |request| Entry::ResetGranted { request })
            }
            Some(SafetyEventKind::ResetRefused) => {
                let stop = stopped.then(|| self.held(stop));
                self.answer_resets(event, |request| {
                    let code = u32::try_from(event.answer).unwrap_or(u32::MAX);
                    Entry::ResetRefused {
                        request,
                        answer: ResetAnswer::decode(code).map_or("unknown", ResetAnswer::name),
                        stop: stop.clone(),
                    }
                })
            }
            Some(SafetyEventKind::ModeChanged) => {
                let to = SafetyMode::decode(event.answer);
                // Hold may come before the mode that was asked for, without anybody asking.
                let actor = match &self.mode {
                    Some((mode, actor)) if *mode == to => Some(actor.clone()),
                    _ => None,
                };
                let entry = Entry::ModeChanged {
                    from: SafetyMode::decode(event.number).name(),
                    to: to.name(),
                };
                self.put(tick, actor.as_deref(), entry)
            }
            Some(SafetyEventKind::Activated) => {
                let asked = self.activation.take();
                let [hash, previous] = hashes_of(event, asked.as_ref());
                let entry = Entry::ConfigurationActivated {
                    hash,
                    previous,
                    changes: asked.as_ref().map(|asked| asked.changes),
                };
                let record = self.put(tick, asked.as_ref().map(|asked| &*asked.actor), entry);
                if let Some(asked) = asked {
                    self.zones = asked.zones;
                }
                record
            }
            Some(SafetyEventKind::ActivationRefused) => {
                let asked = self.activation.take();
                let code = u32::try_from(event.answer).unwrap_or(u32::MAX);
                let [hash, active] = hashes_of(event, asked.as_ref());
                let entry = Entry::ConfigurationRefused {
                    hash,
                    active,
                    reason: ActivationRefusal::decode(code)
                        .map_or("unknown", ActivationRefusal::name)
                        .to_owned(),
                };
                self.put(tick, asked.as_ref().map(|asked| &*asked.actor), entry)
            }
            // The reflex is part of the same program.
            None => self.put(tick, None, Entry::Stop(stop)),
        }
    }

    /// One record for each request that the event answers; one without an actor if nobody said that it was theirs.
    fn answer_resets(&mut self, event: &SafetyEvent, entry: impl Fn(u64) -> Entry) -> u64 {
        let mut last = None;
        while let Some((request, _)) = self.resets.front()
            && *request <= event.number
            && let Some((request, actor)) = self.resets.pop_front()
        {
            last = Some(self.put(event.tick, Some(&actor), entry(request)));
        }
        last.unwrap_or_else(|| self.put(event.tick, None, entry(event.number)))
    }

    fn held(&self, stop: Stop) -> Stop {
        match &self.boots_in {
            Some(held) if stop.reason == LimitKind::Boot.name() => held.clone(),
            _ => stop,
        }
    }

    fn stop(&self, event: &SafetyEvent) -> Stop {
        let reason = LimitKind::decode(event.limit);
        let index = (event.index != u32::MAX).then_some(event.index);
        // A reason without figures has two zeros.
        let figures = event.limit_value != 0.0 || event.asked != 0.0;
        let figure = |value: f64| (figures && value.is_finite()).then_some(value);
        Stop {
            category: category_number(event.category),
            reason: reason.map_or("unknown", LimitKind::name).to_owned(),
            index,
            of: reason
                .zip(index)
                .and_then(|(reason, index)| self.name(reason, index)),
            limit: figure(event.limit_value),
            asked: figure(event.asked),
        }
    }

    /// What a reason's index stands for, where that has a name.
    fn name(&self, reason: LimitKind, index: u32) -> Option<String> {
        let index = index as usize;
        match reason.indexed() {
            Indexed::Zones => self.zones.get(index).cloned(),
            Indexed::Joints => self.joints.get(index).cloned(),
            Indexed::Channels => ["channel A", "channel B"]
                .get(index)
                .map(|name| (*name).to_owned()),
            Indexed::Links | Indexed::Nothing => None,
        }
    }

    fn put(&self, tick: u64, actor: Option<&str>, entry: Entry) -> u64 {
        let stamp = self.stamp(tick);
        self.target.writer.append(stamp, actor, entry)
    }

    fn stamp(&self, tick: u64) -> Stamp {
        Stamp {
            tick: Some(tick),
            // Of the log's own clock, if it has one.
            time_unix_ms: None,
            episode: Some(self.target.episode.clone()),
        }
    }
}

impl Drop for SafetyLog {
    fn drop(&mut self) {
        // What the reflex said last. The writer waits for the disk when the last one lets go of it.
        self.drain();
    }
}

pub(crate) fn zone_names(safety: &SafetyConfig) -> Vec<String> {
    safety.zones.iter().map(|zone| zone.name.clone()).collect()
}

pub(crate) fn now_unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

fn category_number(code: u32) -> u32 {
    match StopCategory::decode(code) {
        Some(StopCategory::ControlledHold) => 2,
        Some(StopCategory::ControlledThenOff) => 1,
        // What is not known is taken for the worst.
        Some(StopCategory::PowerOff) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;
    use serde_json::{Value, json};
    use sinew_description::{RobotDescription, SafetyFile};

    use super::*;

    /// Kind, actor and content of what a log says of these events, when these requests were made.
    fn told(
        requests: &[(u64, &str)],
        events: &[SafetyEvent],
    ) -> Vec<(String, Option<String>, Value)> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join(AUDIT_FILE);
        let robot = RobotDescription::builtin();
        let safety = SafetyFile::builtin().limits(&robot).expect("they fit");
        let (mut producer, trail) = sinew_flight_ring::trail();
        let target = AuditTarget {
            writer: open_audit(&path).expect("a log can be begun"),
            episode: "test".to_owned(),
            seed: 1,
        };
        let joints = core::array::from_fn(|i| robot.joints[i].name.clone());
        let mut log = SafetyLog::new(target, trail, joints, safety.config(), false);
        for (request, actor) in requests {
            log.name_reset(*request, actor);
        }
        for event in events {
            assert!(producer.push(*event));
        }
        log.step();
        assert!(producer.is_acknowledged(), "it waited for the disk");
        let mut records = Vec::new();
        let verification = sinew_audit::read(&path, |record| records.push(record));
        assert!(verification.expect("it can be read").ok);
        (records.into_iter())
            .map(|record| (record.kind, record.actor, record.content))
            .collect()
    }

    fn event(kind: SafetyEventKind, limit: LimitKind, index: u32) -> SafetyEvent {
        SafetyEvent {
            kind: kind as u32,
            category: StopCategory::ControlledHold as u32,
            limit: limit as u32,
            index,
            ..SafetyEvent::zeroed()
        }
    }

    #[test]
    fn a_stop_names_what_it_is_about() {
        let robot = RobotDescription::builtin();
        let zone = SafetyFile::builtin()
            .limits(&robot)
            .expect("they fit")
            .config()
            .zones[0]
            .name
            .clone();
        let check = |event: SafetyEvent, expected: Value| {
            assert_eq!(told(&[], &[event]), [("stop".to_owned(), None, expected)]);
        };
        check(
            SafetyEvent {
                limit_value: 0.05,
                asked: 0.07,
                ..event(SafetyEventKind::Stopped, LimitKind::FollowingError, 2)
            },
            json!({"category": 2, "reason": "following-error", "index": 2, "of": robot.joints[2].name,
                   "limit": 0.05, "asked": 0.07}),
        );
        check(
            event(SafetyEventKind::Stopped, LimitKind::EmergencyStop, 1),
            json!({"category": 2, "reason": "emergency-stop", "index": 1, "of": "channel B"}),
        );
        check(
            SafetyEvent {
                asked: f64::INFINITY,
                limit_value: 3.0,
                ..event(SafetyEventKind::Stopped, LimitKind::Zone, 0)
            },
            json!({"category": 2, "reason": "zone", "index": 0, "of": zone, "limit": 3.0}),
        );
        check(
            event(SafetyEventKind::Stopped, LimitKind::Zone, 4_000),
            json!({"category": 2, "reason": "zone", "index": 4000}),
        );
    }

    #[test]
    fn every_request_gets_the_answer_that_covers_it() {
        let answer = |kind, number, answer| SafetyEvent {
            number,
            answer: answer as u64,
            category: 0,
            ..event(kind, LimitKind::None, u32::MAX)
        };
        let events = [
            answer(SafetyEventKind::ResetRefused, 3, ResetAnswer::AuditBehind),
            answer(SafetyEventKind::ResetGranted, 4, ResetAnswer::Granted),
            answer(
                SafetyEventKind::ResetRefused,
                5,
                ResetAnswer::NothingLatched,
            ),
        ];
        let requests = [(2, "anna"), (3, "ben"), (4, "anna")];
        let told: Vec<_> = (told(&requests, &events).into_iter())
            .map(|(kind, actor, content)| (kind, actor, content["request"].as_u64()))
            .collect();
        let expected = [
            ("reset-refused", Some("anna"), 2),
            ("reset-refused", Some("ben"), 3),
            ("reset-granted", Some("anna"), 4),
            // Nobody said that it was theirs.
            ("reset-refused", None, 5),
        ];
        assert_eq!(
            told,
            expected.map(|(kind, actor, request)| {
                (kind.to_owned(), actor.map(str::to_owned), Some(request))
            })
        );
    }
}
