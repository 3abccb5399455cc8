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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain;

    const MS: u64 = 1_000_000;

    fn frame(tick: u64) -> SensorFrame {
        SensorFrame {
            tick,
            time_ns: tick * MS,
            ..plain::FRAME
        }
    }

    /// Everything that is demanded in one tick.
    fn look(
        watch: &mut Watch,
        frame: &SensorFrame,
        requests: &RequestCounts,
        powered: bool,
    ) -> Vec<Demand> {
        let mut demands = Vec::new();
        let config = SafetyConfig {
            heartbeat_ticks: 10,
            ..plain::config()
        };
        watch.look(frame, requests, powered, &config, |demand| {
            demands.push(demand);
        });
        demands
    }

    fn kinds(demands: &[Demand]) -> Vec<(LimitKind, StopCategory, Option<u32>)> {
        (demands.iter())
            .map(|demand| (demand.limit, demand.category, demand.index))
            .collect()
    }

    #[test]
    fn each_input_that_opens_is_named() {
        use SafetyInputs as Inputs;
        for (open, expected) in [
            (0, vec![]),
            (
                Inputs::EMERGENCY_A_CLOSED,
                vec![(
                    LimitKind::EmergencyStop,
                    StopCategory::ControlledThenOff,
                    Some(0),
                )],
            ),
            (
                Inputs::EMERGENCY_B_CLOSED,
                vec![(
                    LimitKind::EmergencyStop,
                    StopCategory::ControlledThenOff,
                    Some(1),
                )],
            ),
            (
                Inputs::PROTECTIVE_CLOSED,
                vec![(
                    LimitKind::ProtectiveStop,
                    StopCategory::ControlledHold,
                    None,
                )],
            ),
        ] {
            let mut seen = frame(1);
            seen.safety_inputs &= !open;
            let demands = look(
                &mut Watch::default(),
                &seen,
                &RequestCounts::default(),
                true,
            );
            assert_eq!(kinds(&demands), expected);
        }
    }

    #[test]
    fn each_request_counts_once() {
        let mut watch = Watch::default();
        let requests = RequestCounts {
            stop_power_off: 3,
            stop_then_off: 1,
            stop_hold: u64::MAX,
            ..RequestCounts::default()
        };
        let all = [
            StopCategory::PowerOff,
            StopCategory::ControlledThenOff,
            StopCategory::ControlledHold,
        ]
        .map(|category| (LimitKind::Requested, category, None));
        assert_eq!(kinds(&look(&mut watch, &frame(1), &requests, true)), all);
        assert_eq!(look(&mut watch, &frame(2), &requests, true), []);
        // Backwards is another count, too.
        let other = RequestCounts {
            stop_then_off: 0,
            ..requests
        };
        assert_eq!(kinds(&look(&mut watch, &frame(3), &other, true)), all[1..2]);
    }

    #[test]
    fn a_brain_is_dead_that_was_silent_for_longer_than_it_may() {
        let beat = |heartbeat_tick, now| {
            let requests = RequestCounts {
                heartbeat_tick,
                ..RequestCounts::default()
            };
            let demands = look(&mut Watch::default(), &frame(now), &requests, true);
            let [demand] = demands[..] else {
                assert_eq!(demands, []);
                return None;
            };
            assert_eq!(
                kinds(&demands),
                [(LimitKind::BrainDead, StopCategory::ControlledHold, None)]
            );
            assert_eq!(demand.limit_value, 10.0);
            Some(demand.asked)
        };
        assert_eq!(beat(100, 110), None);
        assert_eq!(beat(100, 111), Some(11.0));
        assert_eq!(beat(100, 97), Some(-3.0), "of the future");
        assert_eq!(beat(100, 100), None);
        assert_eq!(beat(0, 5_000), None, "it was never there");
    }

    #[test]
    fn drives_have_a_while_to_switch_on() {
        let status = |status: u32, powered: bool| {
            let mut watch = Watch::default();
            let from = (1..=40).find(|tick| {
                let mut seen = frame(*tick);
                seen.drive_status = status;
                let demands = look(&mut watch, &seen, &RequestCounts::default(), powered);
                let drive = (
                    LimitKind::Drive,
                    StopCategory::ControlledThenOff,
                    Some(status),
                );
                assert!(demands.is_empty() || kinds(&demands) == [drive]);
                !demands.is_empty()
            });
            (from, watch)
        };
        let tripped = DriveStatus::POWERED | DriveStatus::WATCHDOG_TRIPPED;
        assert_eq!(status(DriveStatus::POWERED, true).0, None);
        assert_eq!(status(0, true).0, Some(21));
        assert_eq!(status(tripped, true).0, Some(2));
        for powered in [false, true] {
            assert_eq!(status(DriveStatus::FAULT, powered).0, Some(1));
        }
        assert_eq!(status(DriveStatus::WATCHDOG_TRIPPED, false).0, None);
        assert_eq!(status(0, false).0, None);
        // Switched on anew it has as long again.
        let (_, mut watch) = status(0, true);
        watch.lagging_for = 3;
        watch.power_changed();
        assert_eq!(watch.lagging_for, 0);
        let mut seen = frame(22);
        seen.drive_status = 0;
        assert_eq!(look(&mut watch, &seen, &RequestCounts::default(), true), []);
    }

    #[test]
    fn time_goes_on_by_a_tick_within_a_factor_of_two() {
        let after = |tick: u64, passed_ns: u64| {
            let mut watch = Watch::default();
            let first = frame(100);
            assert_eq!(
                look(&mut watch, &first, &RequestCounts::default(), false),
                []
            );
            let next = SensorFrame {
                tick,
                time_ns: first.time_ns.wrapping_add(passed_ns),
                ..first
            };
            let demands = look(&mut watch, &next, &RequestCounts::default(), false);
            let time = (LimitKind::TimeBase, StopCategory::ControlledThenOff, None);
            assert!(demands.is_empty() || kinds(&demands) == [time]);
            demands.first().map(|demand| {
                assert_eq!(demand.limit_value, MS as f64);
                demand.asked
            })
        };
        for passed in [MS / 2, MS, 2 * MS] {
            assert_eq!(after(101, passed), None);
        }
        for passed in [0, MS / 2 - 1, 2 * MS + 1, 31_536_000_000 * MS] {
            assert_eq!(after(101, passed), Some(passed as f64));
        }
        assert_eq!(after(101, 0_u64.wrapping_sub(MS)), Some(0.0), "backwards");
        for tick in [99, 100, 102, u64::MAX] {
            assert_eq!(after(tick, MS), Some(MS as f64), "{tick}");
        }
        // What is forgotten is not compared.
        let mut watch = Watch::default();
        look(&mut watch, &frame(7), &RequestCounts::default(), false);
        watch.forget_time();
        assert_eq!(
            look(&mut watch, &frame(70), &RequestCounts::default(), false),
            []
        );
    }

    #[test]
    fn a_latch_only_gets_more_severe() {
        let mut latch = Latch {
            held: None,
            total: 0,
        };
        let demand = |category, limit| Demand::new(category, limit);
        let hold = demand(StopCategory::ControlledHold, LimitKind::Position);
        let then_off = demand(StopCategory::ControlledThenOff, LimitKind::Drive);
        let off = demand(StopCategory::PowerOff, LimitKind::Requested);
        latch.explain(off);
        assert_eq!(latch.held, None, "nothing is held");
        for (set, held) in [
            (hold, hold),
            (then_off, then_off),
            (hold, then_off),
            (off, off),
        ] {
            latch.set(set);
            assert_eq!((latch.held, latch.total), (Some(held), 1));
        }
        latch.explain(hold);
        let explained = Demand {
            category: StopCategory::PowerOff,
            ..hold
        };
        assert_eq!(latch.held, Some(explained));
    }

    #[test]
    fn standing_and_lagging_begin_beyond_their_limits() {
        let config = SafetyConfig {
            standstill_rad_s: 0.05,
            following_error_max_rad: [0.1; JOINTS],
            ..plain::config()
        };
        let mut seen = frame(1);
        seen.velocity_rad_s[6] = -0.05;
        assert!(stands(&seen, &config));
        seen.velocity_rad_s[6] = -0.0501;
        assert!(!stands(&seen, &config));
        seen.velocity_rad_s[6] = f64::NAN;
        assert!(!stands(&seen, &config));
        let mut given = [0.0; JOINTS];
        (given[2], seen.position_rad[5]) = (0.1, -0.1);
        assert_eq!(lagging_joint(&seen, &given, &config), None);
        seen.position_rad[5] = -0.25;
        assert_eq!(lagging_joint(&seen, &given, &config), Some((5, 0.25)));
        given[2] = 0.125;
        assert_eq!(lagging_joint(&seen, &given, &config), Some((2, 0.125)));
    }
}
