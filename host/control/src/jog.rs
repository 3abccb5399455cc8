//! Hold-to-run: every joint turns at a velocity for as long as somebody holds on.
//!
//! A jog has no target. It goes on while its lease is renewed, and what ends it is the lease: the gate brakes then, along
//! the stop that it verified. Toward the end of a joint's range it brakes by itself, as far from it as goals keep.

use sinew_kinematics::Chain;
use sinew_messages::{JOINTS, JointVector};

use crate::joints::Axes;
use crate::limits::MotionLimits;
use crate::profile::Profile;
use crate::tracker::toward_velocity;

/// The velocities that are held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jog {
    velocity_rad_s: JointVector,
    /// Joints that came to the end of their range: they stay there, or each tick would change its mind.
    at_end: [bool; JOINTS],
}

impl Jog {
    /// Nothing turns.
    pub(crate) const STILL: Self = Self {
        velocity_rad_s: [0.0; JOINTS],
        at_end: [false; JOINTS],
    };

    /// These velocities, if every joint can turn at its own.
    pub(crate) fn new(velocity_rad_s: &JointVector, limits: &MotionLimits) -> Option<Self> {
        let can = |(velocity, limits): (&f64, &crate::profile::AxisLimits)| {
            velocity.is_finite() && velocity.abs() <= limits.velocity
        };
        velocity_rad_s
            .iter()
            .zip(limits.joints())
            .all(can)
            .then_some(Self {
                velocity_rad_s: *velocity_rad_s,
                at_end: [false; JOINTS],
            })
    }

    /// The motion one tick after `start`.
    pub(crate) fn step(&mut self, start: &Axes, chain: &Chain, limits: &MotionLimits) -> Axes {
        let margin = limits.config().position_margin_rad;
        core::array::from_fn(|i| {
            let joint = &chain.joints()[i];
            let rest = Profile::stop(start[i], &limits.joints()[i]).end_position();
            let wanted = self.velocity_rad_s[i];
            self.at_end[i] |= (wanted > 0.0 && rest >= joint.upper_rad - margin)
                || (wanted < 0.0 && rest <= joint.lower_rad + margin);
            let velocity = if self.at_end[i] { 0.0 } else { wanted };
            toward_velocity(start[i], velocity, &limits.joints()[i])
        })
    }
}
