//! A loop on a parked cell: booted, and brought to where the cell's file says that it was.
//!
//! Where no stop was latched the loop is reset again, which nobody did and which the log does not say: it begins to be written
//! when the loop stands where the cell stood. If the gate doesn't grant that reset any more (the configuration changed, a
//! contact is open) that is a stop.

use std::sync::Arc;

use sinew_audit::Deferred;
use sinew_control::{ControlLoop, TickSummary};
use sinew_flight_ring::TrailConsumer;
use sinew_messages::{
    LimitKind, Mailbox, ResetAnswer, SafetyMode, StopCategory, StopState, VerdictRecord,
};
use sinew_sim::Cell;
use sinew_sim::scenario::WiredInput;

use super::cell_file::{CellFile, KeptStop};
use super::orders::{Given, Order};
use super::status::{breach_views, category_number};
use super::words::verdict_words;
use crate::Config;
use crate::audit::{AuditTarget, SafetyLog};

/// Ticks in which the loop answers whatever it is asked, drives that power up included.
pub(super) const ANSWER_TICKS: u64 = 60;

/// A loop that runs.
pub(super) struct Running {
    cell: Cell,
    control: ControlLoop,
    pub(super) mailbox: Arc<Mailbox>,
    /// What the loop says of its stops, resets and modes, until it goes to the log.
    trail: Option<TrailConsumer>,
    log: Option<SafetyLog>,
    pub(super) last: TickSummary,
    /// What the gate said in the tick in which it latched.
    latched_by: Option<VerdictRecord>,
}

impl Running {
    /// A loop where the cell was, and what keeps it from being there.
    pub(super) fn take_up(config: &Config, file: &CellFile) -> (Self, Option<KeptStop>) {
        let joints = file.joints().unwrap_or(*config.robot.chain().rest());
        let cell = Cell::with_home(&config.robot, &config.cell, joints);
        let mailbox = Arc::new(Mailbox::default());
        // Nobody listens to the flight ring here; what is said is in the last tick.
        let (flight, _) = sinew_flight_ring::ring(1);
        let (events, trail) = sinew_flight_ring::trail();
        let mut control = (config.control_loop(cell.robot(), &mailbox, flight)).with_trail(events);
        let last = control.tick();
        let mut running = Self {
            cell,
            control,
            mailbox,
            trail: Some(trail),
            log: None,
            last,
            latched_by: None,
        };
        let mode = file.mode().unwrap_or(SafetyMode::Hold);
        running.mailbox.requests.mode(mode);
        running.set_contacts(file);
        running.run(ANSWER_TICKS);
        if file.stop.is_some() {
            return (running, None);
        }
        running.mailbox.requests.reset();
        running.run(ANSWER_TICKS);
        let refusal = (running.is_latched()).then(|| running.refusal(config, file));
        (running, refusal)
    }

    /// From now on what the loop says stands in the log.
    pub(super) fn log_to(&mut self, config: &Config, target: AuditTarget) {
        let Some(trail) = self.trail.take() else {
            return;
        };
        let joints = core::array::from_fn(|i| config.robot.joints[i].name.clone());
        let log = SafetyLog::new(target, trail, joints, config.safety.config(), false);
        log.resumed(&config.robot, config.safety.hash());
        self.log = Some(log);
    }

    pub(super) fn log(&mut self) -> Option<&mut SafetyLog> {
        self.log.as_mut()
    }

    /// Ends the log, and hands back what could not be written.
    pub(super) fn end_log(&mut self) -> Vec<Deferred> {
        let Some(log) = self.log() else {
            return Vec::new();
        };
        // What fails is handed back.
        let _ = log.settle();
        log.writer().finish().iter().map(Deferred::from).collect()
    }

    pub(super) fn step(&mut self) {
        let was_latched = self.is_latched();
        self.last = self.control.tick();
        if self.is_latched() && !was_latched {
            self.latched_by = Some(self.last.record.verdict);
        }
        if let Some(log) = &mut self.log {
            log.step();
        } else if let Some(trail) = &mut self.trail {
            while trail.pop().is_some() {
                trail.acknowledge(1);
            }
        }
    }

    pub(super) fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.step();
        }
    }

    pub(super) fn is_latched(&self) -> bool {
        self.last.status.stop_state == StopState::Latched as u32
    }

    pub(super) fn rests(&self) -> bool {
        let velocity = &self.last.status.setpoint.velocity_rad_s;
        velocity.iter().all(|v| *v == 0.0)
    }

    /// True if the loop will say itself what comes of an order, in its log.
    pub(super) fn says(&self, order: Order) -> bool {
        let status = &self.last.status;
        let latched = StopCategory::decode(status.stop_category).filter(|_| self.is_latched());
        let worse = |category| latched.is_none_or(|held| category < category_number(held));
        self.log.is_some()
            && match order {
                Order::Stop(category) => worse(category_number(category)),
                Order::Press(WiredInput::Protective) => worse(2),
                Order::Press(_) => worse(1),
                Order::Hold => SafetyMode::decode(u64::from(status.mode)) != SafetyMode::Hold,
            }
    }

    /// True if the gate granted this request for a reset.
    pub(super) fn has_granted(&self, request: u64) -> bool {
        let status = &self.last.status;
        status.reset_answered >= request && status.reset_answer == ResetAnswer::Granted as u32
    }

    /// Tells the loop an order that the file has.
    pub(super) fn tell(&mut self, given: &Given, file: &CellFile) {
        match given.order {
            Order::Stop(category) => {
                self.mailbox.requests.stop(category);
            }
            Order::Press(_) => self.set_contacts(file),
            Order::Hold => {
                if let Some(log) = &mut self.log {
                    log.name_mode(SafetyMode::Hold, given.name());
                }
                self.mailbox.requests.mode(SafetyMode::Hold);
            }
        }
    }

    fn set_contacts(&mut self, file: &CellFile) {
        self.cell.set_safety_inputs(file.closed());
    }

    /// What keeps the loop from being reset.
    pub(super) fn refusal(&self, config: &Config, file: &CellFile) -> KeptStop {
        file.contact_stop()
            .unwrap_or_else(|| self.latched(config, file))
    }

    /// The stop that the loop has latched.
    pub(super) fn latched(&self, config: &Config, file: &CellFile) -> KeptStop {
        let status = &self.last.status;
        let limit = LimitKind::decode(status.reason).unwrap_or(LimitKind::None);
        let category = StopCategory::decode(status.stop_category).map_or(1, category_number);
        let breaches = breach_views(config, &status.frame.position_rad);
        let detail = match limit {
            LimitKind::EmergencyStop | LimitKind::ProtectiveStop => file.open_contacts(),
            LimitKind::Boot | LimitKind::Requested => String::new(),
            _ if !breaches.is_empty() => {
                let words: Vec<String> = breaches.iter().map(|breach| breach.words()).collect();
                words.join("; ")
            }
            _ => (self.latched_by)
                .filter(|verdict| verdict.limit == status.reason)
                .map_or_else(String::new, |verdict| verdict_words(config, &verdict)),
        };
        KeptStop {
            category,
            reason: limit.name().to_owned(),
            detail,
        }
    }
}
