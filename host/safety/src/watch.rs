//! What the gate watches besides the setpoint: wired inputs, drives, time, heartbeat, requests, and the latch.

use sinew_messages::{
    DriveStatus, JOINTS, LimitKind, RequestCounts, SafetyInputs, SensorFrame, StopCategory,
};
use sinew_units::TICK_NS;

use crate::limits::SafetyConfig;
use crate::setpoint::at_most;
use crate::verdict::Violation;

/// Ticks after power-on within which the drives must report power.
const POWER_ON_TICKS: u64 = 20;

/// A reason to latch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Demand {
    pub(crate) category: StopCategory,
    pub(crate) limit: LimitKind,
    pub(crate) index: Option<u32>,
    pub(crate) limit_value: f64,
    pub(crate) asked: f64,
}

impl Demand {
    pub(crate) fn new(category: StopCategory, limit: LimitKind) -> Self {
        Self {
            category,
            limit,
            index: None,
            limit_value: 0.0,
            asked: 0.0,
        }
    }
}

/// A limit that is broken by what was measured latches and keeps the power on, unless something worse is said.
impl From<Violation> for Demand {
    fn from(violation: Violation) -> Self {
        Self {
            category: StopCategory::ControlledHold,
            limit: violation.limit,
            index: violation.index,
            limit_value: violation.limit_value,
            asked: violation.asked,
        }
    }
}

/// The latched stop: only gets more severe on its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latch {
    pub(crate) held: Option<Demand>,
    pub(crate) total: u64,
}

impl Latch {
    /// Says why the held stop cannot be reset; how severe it is stays as it is.
    pub(crate) fn explain(&mut self, reason: Demand) {
        if let Some(held) = &mut self.held {
            *held = Demand {
                category: held.category,
                ..reason
            };
        }
    }

    pub(crate) fn set(&mut self, demand: Demand) {
        match &mut self.held {
            None => {
                self.held = Some(demand);
                self.total += 1;
            }
            Some(held) => {
                let worse = held.category.more_severe(demand.category);
                if worse != held.category {
                    *held = demand;
                }
            }
        }
    }
}

/// Memory of the watch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    seen: RequestCounts,
    /// Tick and time of the last frame, while frames come without a gap.
    last_time: Option<(u64, u64)>,
    powered_for: u64,
    /// Ticks since power-on during which the robot followed too badly, without a break.
    pub(crate) lagging_for: u64,
}

impl Watch {
    pub(crate) fn power_changed(&mut self) {
        self.powered_for = 0;
        self.lagging_for = 0;
    }

    /// The next frame's time is not compared.
    pub(crate) fn forget_time(&mut self) {
        self.last_time = None;
    }

    /// Hands everything in this tick that demands a latched stop to `demand`, one by one.
    pub(crate) fn look(
        &mut self,
        frame: &SensorFrame,
        requests: &RequestCounts,
        powered: bool,
        c: &SafetyConfig,
        mut demand: impl FnMut(Demand),
    ) {
        self.look_at_requests(requests, &mut demand);
        if requests.heartbeat_tick != 0
            && let Some(age) = too_old(frame.tick, requests.heartbeat_tick, c.heartbeat_ticks)
        {
            demand(Demand {
                limit_value: c.heartbeat_ticks as f64,
                asked: age,
                ..Demand::new(StopCategory::ControlledHold, LimitKind::BrainDead)
            });
        }
        for (channel, bit) in [
            SafetyInputs::EMERGENCY_A_CLOSED,
            SafetyInputs::EMERGENCY_B_CLOSED,
        ]
        .into_iter()
        .enumerate()
        {
            // Either channel stops; two that disagree therefore latch as well, with the open one as the index.
            if frame.safety_inputs & bit == 0 {
                demand(Demand {
                    index: Some(channel as u32),
                    ..Demand::new(StopCategory::ControlledThenOff, LimitKind::EmergencyStop)
                });
            }
        }
        if frame.safety_inputs & SafetyInputs::PROTECTIVE_CLOSED == 0 {
            demand(Demand::new(
                StopCategory::ControlledHold,
                LimitKind::ProtectiveStop,
            ));
        }
        self.look_at_drives(frame, powered, &mut demand);
        self.look_at_time(frame, &mut demand);
    }

    /// Hands every stop that was requested since to `demand`.
    pub(crate) fn look_at_requests(
        &mut self,
        requests: &RequestCounts,
        mut demand: impl FnMut(Demand),
    ) {
        for (now, seen, category) in [
            (
                requests.stop_power_off,
                &mut self.seen.stop_power_off,
                StopCategory::PowerOff,
            ),
            (
                requests.stop_then_off,
                &mut self.seen.stop_then_off,
                StopCategory::ControlledThenOff,
            ),
            (
                requests.stop_hold,
                &mut self.seen.stop_hold,
                StopCategory::ControlledHold,
            ),
        ] {
            if now != *seen {
                *seen = now;
                demand(Demand::new(category, LimitKind::Requested));
            }
        }
    }

    fn look_at_drives(
        &mut self,
        frame: &SensorFrame,
        powered: bool,
        demand: &mut impl FnMut(Demand),
    ) {
        let status = frame.drive_status;
        let mut fault = status & DriveStatus::FAULT != 0;
        if powered {
            self.powered_for += 1;
            fault |= status & DriveStatus::WATCHDOG_TRIPPED != 0 && self.powered_for > 1;
            fault |= status & DriveStatus::POWERED == 0 && self.powered_for > POWER_ON_TICKS;
        }
        if fault {
            demand(Demand {
                index: Some(status),
                ..Demand::new(StopCategory::ControlledThenOff, LimitKind::Drive)
            });
        }
    }

    /// Hardware time must advance by T a tick, within a factor of two.
    fn look_at_time(&mut self, frame: &SensorFrame, demand: &mut impl FnMut(Demand)) {
        if let Some((tick, time_ns)) = self.last_time {
            // A tick without a frame is said to be one, and forgets the time.
            let follows = tick.checked_add(1) == Some(frame.tick);
            let passed = frame.time_ns.saturating_sub(time_ns);
            if !follows || !(TICK_NS / 2..=2 * TICK_NS).contains(&passed) {
                demand(Demand {
                    limit_value: TICK_NS as f64,
                    asked: passed as f64,
                    ..Demand::new(StopCategory::ControlledThenOff, LimitKind::TimeBase)
                });
            }
        }
        self.last_time = Some((frame.tick, frame.time_ns));
    }
}

/// Age of something that was stamped at a tick, in ticks, if it is older than it may be. A stamp of the future is not
/// fresh: its age is negative.
pub(crate) fn too_old(now: u64, stamp: u64, most: u64) -> Option<f64> {
    match now.checked_sub(stamp) {
        Some(age) => (age > most).then_some(age as f64),
        None => Some(-((stamp - now) as f64)),
    }
}

/// True if no measured joint moves.
pub(crate) fn stands(frame: &SensorFrame, c: &SafetyConfig) -> bool {
    frame
        .velocity_rad_s
        .iter()
        .all(|v| v.abs() <= c.standstill_rad_s)
}

/// The first joint beyond its following error, if one is, and by how much it is off.
pub(crate) fn lagging_joint(
    frame: &SensorFrame,
    setpoint: &[f64; JOINTS],
    c: &SafetyConfig,
) -> Option<(usize, f64)> {
    (0..JOINTS)
        .map(|i| (i, (frame.position_rad[i] - setpoint[i]).abs()))
        .find(|(i, off)| !at_most(*off, c.following_error_max_rad[*i]))
}
