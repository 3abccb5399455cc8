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
                    && way * given_way.signum() < -FLIPPED_SHARE * given_way.abs()
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
