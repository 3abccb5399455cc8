//! Whether what the joints' sensors say can be: a sensor that stands still, jumps, or runs the wrong way.

use sinew_messages::{JOINTS, JointVector, LimitKind, SensorFrame, StopCategory};
use sinew_units::TICK_S;

use crate::limits::SafetyConfig;
use crate::setpoint::at_most;
use crate::watch::Demand;

/// Times the velocity limit that a position may change by in one tick, and what noise may add, rad.
const JUMP_FACTOR: f64 = 3.0;
const NOISE_RAD: f64 = 1e-3;
/// Ticks without any change of the reading at all that make it suspicious, once the setpoint has gone this share of
/// the following error away.
const FROZEN_TICKS: u32 = 25;
const FROZEN_SHARE: f64 = 0.5;
/// Way of the setpoint after which the direction is compared, rad; and the share of it that a reading must go the
/// other way to be called flipped.
const COMPARED_RAD: f64 = 0.01;
const FLIPPED_SHARE: f64 = 0.5;
/// Ticks after which a comparison begins anew.
const COMPARED_TICKS: u32 = 200;
/// Measured speed over its limit by this factor, for this many ticks, is overspeed.
const OVERSPEED_FACTOR: f64 = 1.15;
const OVERSPEED_TICKS: u32 = 5;

/// Memory of one joint's sensor.
#[derive(Clone, Copy, Debug, Default)]
struct Joint {
    last: Option<f64>,
    /// Ticks without a change, and where the setpoint was at the first of them.
    still_for: u32,
    given_then: f64,
    /// Reading, setpoint and age of the comparison that runs.
    compared: Option<(f64, f64, u32)>,
    overspeed_for: u32,
}

/// Memory of all sensors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EncoderWatch {
    joints: [Joint; JOINTS],
}

impl EncoderWatch {
    /// Hands everything that demands a latched stop to `demand`. `given` is what was given in the tick before.
    pub(crate) fn look(
        &mut self,
        frame: &SensorFrame,
        given: &JointVector,
        c: &SafetyConfig,
        mut demand: impl FnMut(Demand),
    ) {
        for (i, joint) in self.joints.iter_mut().enumerate() {
            let mut latch = |limit, limit_value: f64, asked: f64| {
                demand(Demand {
                    category: StopCategory::ControlledThenOff,
                    limit,
                    index: Some(i as u32),
                    limit_value,
                    asked,
                });
            };
            let q = frame.position_rad[i];
            let last = joint.last.replace(q).unwrap_or(q);
            let step = (q - last).abs();
            let most = JUMP_FACTOR * c.velocity_max_rad_s[i] * TICK_S + NOISE_RAD;
            if !at_most(step, most) {
                latch(LimitKind::Encoder, most, step);
            }

            if q.to_bits() != last.to_bits() || joint.still_for == 0 {
                joint.given_then = given[i];
                joint.still_for = 0;
            }
            joint.still_for = joint.still_for.saturating_add(1);
            let gone = (given[i] - joint.given_then).abs();
            let far = FROZEN_SHARE * c.following_error_max_rad[i];
            if joint.still_for > FROZEN_TICKS && gone > far {
                latch(LimitKind::Encoder, far, gone);
            }

            let (from, given_from, age) = joint.compared.unwrap_or((q, given[i], 0));
            let (way, given_way) = (q - from, given[i] - given_from);
            if given_way.abs() >= COMPARED_RAD || age >= COMPARED_TICKS {
                if given_way.abs() >= COMPARED_RAD
                    && way * given_way < -FLIPPED_SHARE * given_way * given_way
                {
                    latch(LimitKind::Encoder, given_way, way);
                }
                joint.compared = Some((q, given[i], 0));
            } else {
                joint.compared = Some((from, given_from, age + 1));
            }

            let speed = frame.velocity_rad_s[i].abs();
            let fastest = OVERSPEED_FACTOR * c.velocity_max_rad_s[i];
            joint.overspeed_for = if at_most(speed, fastest) {
                0
            } else {
                joint.overspeed_for.saturating_add(1)
            };
            if joint.overspeed_for >= OVERSPEED_TICKS {
                latch(LimitKind::Velocity, fastest, speed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain;

    /// The joint that is looked at; the others stand still with their setpoints.
    const JOINT: usize = 3;

    #[derive(Default)]
    struct Sensors(EncoderWatch);

    impl Sensors {
        /// What is demanded in a tick with this reading, rad, velocity, rad/s, and setpoint, rad.
        fn say(&mut self, q: f64, v: f64, given: f64) -> Option<LimitKind> {
            let only = |value: f64| {
                let mut joints = [0.0; JOINTS];
                joints[JOINT] = value;
                joints
            };
            let frame = SensorFrame {
                position_rad: only(q),
                velocity_rad_s: only(v),
                ..plain::FRAME
            };
            let mut demanded = None;
            (self.0).look(&frame, &only(given), &plain::config(), |demand| {
                assert_eq!(demand.index, Some(JOINT as u32));
                assert_eq!(demand.category, StopCategory::ControlledThenOff);
                assert_eq!(demanded, None, "one at a time");
                demanded = Some(demand.limit);
            });
            demanded
        }
    }

    #[test]
    fn a_jump_is_more_than_thrice_the_velocity_and_noise() {
        let mut sensors = Sensors::default();
        for (q, expected) in [
            (0.9, None),
            (0.9039, None),
            (0.9, None),
            (0.9041, Some(LimitKind::Encoder)),
            (0.9041, None),
            (0.9, Some(LimitKind::Encoder)),
        ] {
            assert_eq!(sensors.say(q, 0.0, q), expected, "{q}");
        }
    }

    #[test]
    fn a_reading_is_frozen_that_never_changes_while_the_setpoint_goes_away() {
        // Half of the following error is not far yet.
        let mut sensors = Sensors::default();
        sensors.say(0.0, 0.0, 0.0);
        for _ in 0..100 {
            assert_eq!(sensors.say(0.0, 0.0, 0.5), None);
        }
        assert_eq!(sensors.say(0.0, 0.0, 0.51), Some(LimitKind::Encoder));
        // Nor are 25 ticks long, from the last change on.
        let mut sensors = Sensors::default();
        for _ in 0..20 {
            assert_eq!(sensors.say(0.0, 0.0, 0.0), None);
        }
        for tick in 1..40 {
            let expected = (tick > 25).then_some(LimitKind::Encoder);
            let given = if tick == 1 { 0.2 } else { 0.71 };
            assert_eq!(sensors.say(1e-300, 0.0, given), expected, "{tick}");
        }
    }

    #[test]
    fn a_reading_that_follows_is_neither_frozen_nor_flipped() {
        for way in [1.0, -1.0] {
            let mut sensors = Sensors::default();
            for tick in 0..1_000 {
                // It lags behind by most of the way at first.
                let given = way * 1e-3 * f64::from(tick);
                let q = given * f64::from(tick) / (f64::from(tick) + 30.0);
                assert_eq!(sensors.say(q, way, given), None, "{tick}");
            }
        }
    }

    #[test]
    fn a_reading_is_flipped_that_goes_back_by_half_of_the_way() {
        // From anywhere.
        for (from, way) in [(0.0, 1.0), (0.5, 1.0), (0.5, -1.0), (-0.75, 1.0)] {
            for (back, expected) in [
                (0.0077, None),
                (0.007_812_5, None),
                (0.0079, Some(LimitKind::Encoder)),
            ] {
                let mut sensors = Sensors::default();
                sensors.say(from, 0.0, from);
                for (q, given) in [(0.0025, 0.005), (0.005, 0.0099)] {
                    let found = sensors.say(from - way * q, 0.0, from + way * given);
                    assert_eq!(found, None);
                }
                let given = from + way * 0.015_625;
                let q = from - way * back;
                assert_eq!(sensors.say(q, 0.0, given), expected, "{back}");
                assert_eq!(sensors.say(q, 0.0, given), None, "anew");
            }
        }
    }

    #[test]
    fn what_was_long_ago_is_not_compared_with() {
        for (pause, expected) in [(100, Some(LimitKind::Encoder)), (300, None)] {
            let mut sensors = Sensors::default();
            sensors.say(0.0, 0.0, 0.0);
            for tick in 0..pause {
                // Noise, that it is not frozen.
                let q = -0.0035 - 1e-9 * f64::from(tick % 2);
                assert_eq!(sensors.say(q, 0.0, 0.006), None);
            }
            assert_eq!(sensors.say(-0.007, 0.0, 0.0125), expected, "{pause}");
        }
    }

    #[test]
    fn overspeed_is_five_ticks_of_it() {
        let mut sensors = Sensors::default();
        for _ in 0..20 {
            assert_eq!(sensors.say(0.0, -1.149, 0.0), None);
        }
        for _ in 0..4 {
            assert_eq!(sensors.say(0.0, -1.151, 0.0), None);
        }
        assert_eq!(sensors.say(0.0, 1.1, 0.0), None);
        for tick in 1..8 {
            let expected = (tick >= 5).then_some(LimitKind::Velocity);
            assert_eq!(sensors.say(0.0, -1.151, 0.0), expected, "{tick}");
        }
    }
}
