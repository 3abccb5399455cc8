//! The skill brain: one step, in a fixed order, for each status of the reflex.

use std::sync::{Arc, Mutex};

use sinew_flight_ring::Consumer;
use sinew_messages::{LimitKind, LoopStatus, Mailbox, TickRecord, VerdictKind};
use sinew_perception::Perception;
use sinew_recorder::report::VerdictReport;
use sinew_recorder::{EncodedRun, FlightEvent, Level, Recorder};
use sinew_tasks::{Installed, TaskEngine, TaskEvent};
use sinew_units::Tick;
use sinew_world::WorldReader;

use crate::audit::SafetyLog;
use crate::burden::Burden;
use crate::bystander::Encounters;
use crate::denials::{denial_entries, fault_entry};
use crate::fingerprint::Fingerprint;
use crate::policies::{Policies, lock};
use crate::stopwatch::Stopwatch;

/// Wall time of the brain's parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BrainTime {
    pub(crate) perception: Stopwatch,
    pub(crate) policy: Stopwatch,
    pub(crate) tasks: Stopwatch,
    pub(crate) recorder: Stopwatch,
}

/// Perception, policies, tasks and recorder of one host.
pub(crate) struct Brain {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) perception: Perception,
    pub(crate) burden: Burden,
    pub(crate) policies: Arc<Mutex<Policies>>,
    pub(crate) tasks: TaskEngine<Installed>,
    pub(crate) recorder: Recorder,
    pub(crate) ring: Consumer,
    /// None if nothing is to be kept: measurements.
    pub(crate) safety_log: Option<SafetyLog>,
    pub(crate) world: WorldReader,
    pub(crate) heartbeat_every_ticks: u64,
    pub(crate) status: LoopStatus,
    pub(crate) status_seen: u64,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) verdicts: VerdictReport,
    pub(crate) encounters: Encounters,
    pub(crate) events: Vec<TaskEvent>,
    /// Plugin runs that have ended, for whoever keeps them all.
    pub(crate) runs: Vec<EncodedRun>,
    pub(crate) keep_runs: bool,
    /// What plugins did wrong, in order, whatever became of their tasks.
    pub(crate) faults: Vec<String>,
    pub(crate) time: BrainTime,
    /// When it last said that it is alive.
    pub(crate) beaten: Option<Tick>,
}

impl Brain {
    /// Takes the newest status and lets every part go on, in a fixed order. False if there is no new status.
    pub(crate) fn step(&mut self) -> bool {
        let newest = self
            .mailbox
            .status
            .read_newer(self.status_seen, &mut self.status);
        let Some(sequence) = newest else {
            return false;
        };
        self.status_seen = sequence;
        let now = Tick(self.status.tick);
        // In its first step already: whoever keeps the thread in that one is missed, too.
        let since = self.beaten.map(|beaten| now.since(beaten).0);
        if since.is_none_or(|since| since >= self.heartbeat_every_ticks) {
            self.mailbox.requests.beat(now.0);
            self.beaten = Some(now);
        }
        if let Some(log) = &mut self.safety_log {
            log.step();
        }
        let status = &self.status;
        self.time
            .perception
            .time(|| self.perception.step(now, status));
        self.burden.step(self.perception.in_hand(), status);
        self.time
            .policy
            .time(|| lock(&self.policies).step(now, status));
        self.time.tasks.time(|| self.tasks.step(now, status));
        let start = self.events.len();
        self.events.extend(self.tasks.take_events());
        for run in self.tasks.take_recorded() {
            self.keep_run(&run, now);
        }
        self.log_misdeeds(now);
        let mut recorder = self.time.recorder;
        recorder.time(|| self.record(now, start));
        self.time.recorder = recorder;
        true
    }

    /// A plugin run has ended: whatever it was told and called goes with the next incident.
    fn keep_run(&mut self, run: &sinew_tasks::RecordedRun, now: Tick) {
        // No plugin has a dot in its name.
        let role = if run.assess { "assess." } else { "" };
        let plugin = format!("{role}{}", run.record.plugin.replace('/', "_"));
        let bytes: Arc<[u8]> = run.record.to_bytes().into();
        self.fingerprint.bytes(&bytes);
        let run = EncodedRun {
            name: format!("task{}-{:02}-{plugin}.run", run.task.0, run.number),
            tick: now,
            bytes,
        };
        self.recorder.observe_run(run.clone());
        if self.keep_runs {
            self.runs.push(run);
        }
    }

    /// Writes down what was refused to the runs that have ended, and what they did wrong.
    fn log_misdeeds(&mut self, now: Tick) {
        let denied = self.tasks.take_denied();
        let faulty = self.tasks.take_faulty();
        (self.faults).extend(
            faulty
                .iter()
                .map(|run| format!("{} {}: {}", run.plugin, run.version, run.fault.text)),
        );
        if let Some(log) = &self.safety_log {
            let denied = denied.iter().flat_map(denial_entries);
            let faulty = faulty.iter().map(fault_entry);
            denied
                .chain(faulty)
                .for_each(|entry| log.misdeed(now.0, entry));
        }
    }

    /// Shows the recorder what happened since the last step, and folds it into the fingerprint.
    fn record(&mut self, now: Tick, first_event: usize) {
        for record in self.ring.drain() {
            self.recorder.observe_tick(&record);
            self.fingerprint.bytes(bytemuck::bytes_of(&record));
            note(&mut self.verdicts, &record);
            self.encounters.look(&record);
        }
        self.recorder.observe_world(&self.world.snapshot());
        for frame in self.perception.take_frames() {
            self.recorder.observe_frame(&frame);
        }
        for event in &self.events[first_event..] {
            self.fingerprint.word(event.tick.0);
            self.fingerprint.bytes(event.what.name().as_bytes());
            self.fingerprint.bytes(event.what.message().as_bytes());
            if event.what.is_by_plugin() {
                self.recorder.observe_plugin_event(flight_event(event));
            } else {
                self.recorder.observe_event(flight_event(event));
            }
        }
        for fault in self.perception.take_faults() {
            self.note(Level::Warn, "perception", &fault);
        }
        self.fingerprint.word(now.0);
    }

    /// Keeps an event of the host itself.
    pub(crate) fn note(&mut self, level: Level, name: &str, message: &str) {
        self.fingerprint.bytes(message.as_bytes());
        self.recorder.observe_event(FlightEvent {
            tick: self.status.tick,
            level,
            source: "host".into(),
            name: name.into(),
            message: message.into(),
            detail: serde_json::Value::Null,
        });
    }
}

impl Drop for Brain {
    fn drop(&mut self) {
        // What still runs goes with the host, but not what was refused to it.
        self.tasks.close();
        self.log_misdeeds(Tick(self.status.tick));
    }
}

/// Counts one verdict.
fn note(verdicts: &mut VerdictReport, record: &TickRecord) {
    let verdict = &record.verdict;
    if verdict.kind == VerdictKind::Pass as u32 {
        verdicts.passed_ticks += 1;
        return;
    }
    if verdict.kind == VerdictKind::Limited as u32 {
        verdicts.limited_ticks += 1;
    } else {
        verdicts.stop_ticks += 1;
    }
    let limit = LimitKind::decode(verdict.limit).map_or("unknown", LimitKind::name);
    *verdicts.by_limit.entry(limit.to_owned()).or_default() += 1;
}

fn flight_event(event: &TaskEvent) -> FlightEvent {
    let source = match event.what.plugin() {
        "" => "tasks",
        plugin => plugin,
    };
    FlightEvent {
        tick: event.tick.0,
        level: match event.what.level() {
            "debug" => Level::Debug,
            "warn" => Level::Warn,
            "error" => Level::Error,
            _ => Level::Info,
        },
        source: source.to_owned(),
        name: event.what.name().to_owned(),
        message: event.what.message(),
        // An event is made of strings and numbers, which are always JSON.
        detail: serde_json::to_value(event).unwrap_or_default(),
    }
}
