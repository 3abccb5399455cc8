//! A simulated cell that is kept in a file between two commands.
//!
//! Between two commands its drives are off and its brakes closed. Each command boots a loop on it, and brings that to where
//! the file says that it was: mode, wired contacts, and, if no stop was latched, the reset that somebody gave. Where the gate
//! doesn't grant that any more (the configuration changed, a contact is open), a stop is latched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sinew_audit::WallClock;
use sinew_control::{ControlLoop, TickSummary};
use sinew_kinematics::isometry_to_pose;
use sinew_messages::{
    JointVector, LimitKind, LoopStatus, Mailbox, SafetyInputs, SafetyMode, StopCategory, StopState,
    VerdictRecord,
};
use sinew_sim::Cell;
use sinew_sim::scenario::WiredInput;
use sinew_units::TICK_S;

use super::Operated;
use super::cell_file::{CONTACTS, CellFile, KeptStop, NAME_MAX, check_posture};
use super::status::{
    JointView, RobotStatus, StopView, WiredView, breach_views, category_number, link_name,
    near_views,
};
use crate::audit::{AUDIT_FILE, AuditTarget, SafetyLog, now_unix_ms, open_audit_with};
use crate::safety_change::check_active;
use crate::safety_config::STATEMENT;
use crate::sources::{Config, Sources};
use crate::trouble::input;

/// Ticks in which the loop answers whatever it is asked, drives that power up included.
const ANSWER_TICKS: u64 = 60;
/// Longest that a robot takes to come to rest, ticks.
const REST_TICKS: u64 = 5_000;

/// A parked cell with a loop running on it.
pub struct ParkedCell {
    config: Config,
    path: PathBuf,
    file: CellFile,
    cell: Cell,
    control: ControlLoop,
    mailbox: Arc<Mailbox>,
    /// Stops, resets and modes are written down beside the cell.
    log: SafetyLog,
    last: TickSummary,
}

/// What to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StopOrder {
    /// A stop on request.
    Request(StopCategory),
    /// A contact is opened.
    Press(WiredInput),
    /// A contact is closed again; the stop stays latched.
    Release(WiredInput),
}

/// How a reset was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum ResetAnswer {
    /// The robot may move.
    Granted,
    /// No stop was latched.
    NotNeeded,
    /// A stop stays latched, for this reason.
    Refused(String),
}

/// A wired contact by its name.
#[must_use]
pub fn wired_input(name: &str) -> Option<WiredInput> {
    WiredInput::ALL
        .into_iter()
        .find_map(|(input, known)| (known == name).then_some(input))
}

impl ParkedCell {
    /// Boots a loop on the cell in `path`. With `start` (rad) the cell is begun anew at that posture; without a file it is
    /// begun at the robot's rest posture.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) for configuration, a file or a posture that can't be used.
    pub fn open(
        sources: &Sources,
        path: &Path,
        start: Option<&JointVector>,
    ) -> anyhow::Result<Self> {
        let config = sources.load()?;
        let file = match start {
            Some(start) => {
                check_posture(&config.robot, start)
                    .map_err(|problem| input(format!("--start: {problem}")))?;
                // What is there is replaced, if it is a cell: nobody's other file.
                if path.exists() {
                    CellFile::read(path, &config.robot)?;
                }
                CellFile::new(&config.robot, start)
            }
            None if path.exists() => CellFile::read(path, &config.robot)?,
            None => CellFile::new(&config.robot, config.robot.chain().rest()),
        };
        Self::boot(config, path, file)
    }

    fn boot(config: Config, path: &Path, file: CellFile) -> anyhow::Result<Self> {
        let joints = file.joints().unwrap_or(*config.robot.chain().rest());
        let cell = Cell::with_home(&config.robot, &config.cell, joints);
        let mailbox = Arc::new(Mailbox::default());
        // Nobody listens to the flight ring here; what is said is in the last tick.
        let (producer, _) = sinew_flight_ring::ring(1);
        let control = config.control_loop(cell.robot(), &mailbox, producer);
        let folder = path.parent().unwrap_or(Path::new(""));
        let target = AuditTarget {
            writer: open_audit_with(&folder.join(AUDIT_FILE), WallClock::UnixMs(now_unix_ms))?,
            episode: "by-hand".to_owned(),
            seed: 0,
        };
        let (events, trail) = sinew_flight_ring::trail();
        let mut control = control.with_trail(events);
        let joints = core::array::from_fn(|i| config.robot.joints[i].name.clone());
        let log = SafetyLog::new(target, trail, joints, config.safety.config(), false);
        log.boot(&config.robot.name, config.safety.hash());
        let last = control.tick();
        let mut parked = Self {
            config,
            path: path.to_owned(),
            file,
            cell,
            control,
            mailbox,
            log,
            last,
        };
        parked.take_up()?;
        Ok(parked)
    }

    /// Brings the loop to where the file says that it was.
    fn take_up(&mut self) -> anyhow::Result<()> {
        let mode = self.file.mode().unwrap_or(SafetyMode::Hold);
        self.mailbox.requests.mode(mode);
        self.cell.set_safety_inputs(self.file.closed());
        self.run(ANSWER_TICKS)?;
        if self.file.stop.is_none()
            && let Err(refused) = check_active(&self.config, self.log.writer())
        {
            self.file.stop = Some(KeptStop {
                category: 2,
                reason: LimitKind::Configuration.name().to_owned(),
                detail: refused.to_string(),
            });
        }
        // What somebody reset is reset again by the same name.
        let actor = (self.file.reset_by.clone()).unwrap_or_else(|| "nobody".to_owned());
        if self.file.stop.is_none() && !self.ask_for_reset(&actor)? {
            self.file.stop = Some(self.refusal());
        }
        Ok(())
    }

    fn run(&mut self, ticks: u64) -> anyhow::Result<()> {
        for _ in 0..ticks {
            self.step()?;
        }
        Ok(())
    }

    fn is_latched(&self) -> bool {
        self.last.status.stop_state == StopState::Latched as u32
    }

    /// True if the loop granted it.
    fn ask_for_reset(&mut self, actor: &str) -> anyhow::Result<bool> {
        check_active(&self.config, self.log.writer())?;
        self.log.ask_reset(self.last.tick, actor)?;
        let request = self.mailbox.requests.reset();
        self.log.name_reset(request, actor);
        self.run(ANSWER_TICKS)?;
        Ok(!self.is_latched())
    }

    /// What keeps the loop from being reset.
    fn refusal(&self) -> KeptStop {
        let closed = self.file.closed();
        let open = CONTACTS.iter().find(|(_, bit)| closed & bit == 0);
        if let Some((_, bit)) = open {
            let (category, reason) = if *bit == SafetyInputs::PROTECTIVE_CLOSED {
                (2, LimitKind::ProtectiveStop)
            } else {
                (1, LimitKind::EmergencyStop)
            };
            return KeptStop {
                category,
                reason: reason.name().to_owned(),
                detail: self.open_contacts(),
            };
        }
        self.latched_now()
    }

    /// The contacts that are open, in words.
    fn open_contacts(&self) -> String {
        let open = &self.file.open;
        let channels = ["emergency-a", "emergency-b"];
        let opened = |name: &str| open.iter().any(|open| open == name);
        let disagree = if opened(channels[0]) == opened(channels[1]) {
            ""
        } else {
            "; its two channels disagree, which a broken wire or a welded contact does"
        };
        format!("open: {}{disagree}", open.join(", "))
    }

    /// The stop that the loop has latched.
    fn latched_now(&self) -> KeptStop {
        let status = &self.last.status;
        let limit = LimitKind::decode(status.reason).unwrap_or(LimitKind::None);
        let category = StopCategory::decode(status.stop_category).map_or(1, category_number);
        let breaches = breach_views(&self.config, &status.frame.position_rad);
        let detail = match limit {
            LimitKind::EmergencyStop | LimitKind::ProtectiveStop => self.open_contacts(),
            LimitKind::Zone
            | LimitKind::Envelope
            | LimitKind::StartState
            | LimitKind::Position
            | LimitKind::SelfCollision
            | LimitKind::Orientation => {
                let words: Vec<String> = breaches.iter().map(|breach| breach.words()).collect();
                words.join("; ")
            }
            _ => String::new(),
        };
        KeptStop {
            category,
            reason: limit.name().to_owned(),
            detail,
        }
    }

    /// Where the robot stands.
    #[must_use]
    pub fn robot_status(&self) -> RobotStatus {
        let frame = &self.last.status.frame;
        let safety = self.config.safety.config();
        let tool = (self.config.robot.chain())
            .forward(&frame.position_rad)
            .tool;
        let closed = self.file.closed();
        RobotStatus {
            cell: self.path.display().to_string(),
            robot: self.config.robot.name.clone(),
            safety_hash: self.config.safety.hash().to_string(),
            mode: self.file.mode.clone(),
            stop: self.file.stop.as_ref().map(StopView::from),
            reset_by: self.file.reset_by.clone(),
            wired: WiredView {
                emergency_a_closed: closed & SafetyInputs::EMERGENCY_A_CLOSED != 0,
                emergency_b_closed: closed & SafetyInputs::EMERGENCY_B_CLOSED != 0,
                protective_closed: closed & SafetyInputs::PROTECTIVE_CLOSED != 0,
            },
            joints: (self.config.robot.joints.iter().enumerate())
                .map(|(i, joint)| JointView {
                    number: i + 1,
                    name: joint.name.clone(),
                    position_rad: frame.position_rad[i],
                    limits_rad: [safety.position_min_rad[i], safety.position_max_rad[i]],
                })
                .collect(),
            tool_position_m: isometry_to_pose(&tool).position_m,
            breaches: breach_views(&self.config, &frame.position_rad),
            near: near_views(&self.config, &frame.position_rad),
            ran_s: self.file.ran_s + self.last.tick as f64 * TICK_S,
            statement: STATEMENT,
        }
    }

    /// Sets the mode. It counts from the next boot of a loop on, this one included.
    ///
    /// # Errors
    /// As [`Operated::step`].
    pub fn set_mode(&mut self, mode: SafetyMode) -> anyhow::Result<()> {
        self.file.mode = mode.name().to_owned();
        self.mailbox.requests.mode(mode);
        self.run(ANSWER_TICKS)?;
        self.keep_latched();
        // A robot that stands where it may not is not free to move in this mode, though nothing has moved it yet.
        let breaches = breach_views(&self.config, &self.last.status.frame.position_rad);
        if self.file.stop.is_none() && mode != SafetyMode::Recovery && !breaches.is_empty() {
            let words: Vec<String> = breaches.iter().map(|breach| breach.words()).collect();
            self.file.stop = Some(KeptStop {
                category: 2,
                reason: LimitKind::StartState.name().to_owned(),
                detail: words.join("; "),
            });
        }
        Ok(())
    }

    /// Asks for a reset as `actor`. It causes no motion.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) for a name that is none; as [`Operated::step`].
    pub fn reset(&mut self, actor: &str) -> anyhow::Result<ResetAnswer> {
        let name = actor.trim();
        if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control)
        {
            return Err(input(format!(
                "--actor: {actor:?} is no name: 1 to {NAME_MAX} characters that can be printed"
            )));
        }
        if self.file.stop.is_none() {
            return Ok(ResetAnswer::NotNeeded);
        }
        // A loop that took the file up free is stopped by what the file learned since.
        if self.ask_for_reset(name)? {
            self.file.stop = None;
            self.file.reset_by = Some(name.to_owned());
            return Ok(ResetAnswer::Granted);
        }
        let refusal = self.refusal();
        let words = StopView::from(&refusal).words();
        let held = self.file.stop.get_or_insert_with(|| refusal.clone());
        // Why it cannot be reset is what a person has to know; how severe it is stays.
        *held = KeptStop {
            category: held.category,
            ..refusal
        };
        Ok(ResetAnswer::Refused(words))
    }

    /// Stops the robot, or presses or releases a wired contact.
    ///
    /// # Errors
    /// As [`Operated::step`].
    pub fn stop(&mut self, order: StopOrder) -> anyhow::Result<()> {
        match order {
            StopOrder::Request(category) => {
                self.mailbox.requests.stop(category);
                self.run(ANSWER_TICKS)?;
                self.keep_latched();
                // The loop's own latch may be the boot's, which is more severe than what was asked for.
                self.latch(KeptStop {
                    category: category_number(category),
                    reason: LimitKind::Requested.name().to_owned(),
                    detail: String::new(),
                });
                return Ok(());
            }
            StopOrder::Press(input) => self.set_contacts(input, true),
            StopOrder::Release(input) => self.set_contacts(input, false),
        }
        self.cell.set_safety_inputs(self.file.closed());
        self.run(ANSWER_TICKS)?;
        self.keep_latched();
        if let StopOrder::Press(_) = order {
            self.latch(self.refusal());
        }
        Ok(())
    }

    fn set_contacts(&mut self, input: WiredInput, is_open: bool) {
        for (name, _) in CONTACTS.iter().filter(|(_, bit)| input.bits() & *bit != 0) {
            self.file.open.retain(|open| open != name);
            if is_open {
                self.file.open.push((*name).to_owned());
            }
        }
        self.file.open.sort();
    }

    /// Takes over a stop that the loop latched while the file says that none is.
    fn keep_latched(&mut self) {
        if self.file.stop.is_none() && self.is_latched() {
            self.file.stop = Some(self.latched_now());
        }
    }

    /// A latched stop only gets more severe: 2, then 1, then 0.
    fn latch(&mut self, stop: KeptStop) {
        match &mut self.file.stop {
            Some(held) if held.category <= stop.category => {}
            held => *held = Some(stop),
        }
    }

    /// Lets the robot come to rest, and keeps the cell in its file.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if the file can't be written; as [`Operated::step`].
    pub fn park(&mut self) -> anyhow::Result<()> {
        for _ in 0..REST_TICKS {
            if self
                .last
                .status
                .setpoint
                .velocity_rad_s
                .iter()
                .all(|v| *v == 0.0)
            {
                break;
            }
            self.step()?;
        }
        self.keep_latched();
        let mut file = self.file.clone();
        file.joints_rad = self.last.status.frame.position_rad.to_vec();
        file.ran_s += self.last.tick as f64 * TICK_S;
        file.write(&self.path)
    }
}

impl Operated for ParkedCell {
    fn step(&mut self) -> anyhow::Result<()> {
        self.last = self.control.tick();
        self.log.step();
        Ok(())
    }

    fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    fn status(&self) -> &LoopStatus {
        &self.last.status
    }

    fn verdict(&self) -> &VerdictRecord {
        &self.last.record.verdict
    }

    fn config(&self) -> &Config {
        &self.config
    }
}

/// What a verdict is about, in words.
pub(super) fn verdict_words(config: &Config, verdict: &VerdictRecord) -> String {
    let limit = LimitKind::decode(verdict.limit).unwrap_or(LimitKind::None);
    let index = verdict.index as usize;
    let zones = &config.safety.config().zones;
    let about = match limit {
        LimitKind::Zone | LimitKind::SlowZone => zones.get(index).map(|zone| zone.name.as_str()),
        LimitKind::Position
        | LimitKind::Velocity
        | LimitKind::Acceleration
        | LimitKind::Jerk
        | LimitKind::FollowingError
        | LimitKind::Effort
        | LimitKind::Encoder => (config.robot.joints.get(index)).map(|joint| joint.name.as_str()),
        _ => None,
    };
    match (about, limit) {
        (Some(name), LimitKind::Zone | LimitKind::SlowZone) => {
            format!("{} `{name}`", limit.name())
        }
        (Some(name), _) => format!("{} of joint `{name}`", limit.name()),
        (None, LimitKind::Envelope | LimitKind::Separation | LimitKind::SelfCollision) => {
            format!("{} of {}", limit.name(), link_name(config, index))
        }
        (None, _) => limit.name().to_owned(),
    }
}
