//! Whether the hand still holds what it is said to carry.

use sinew_messages::{Payload, SensorFrame};
use sinew_safety::GripLimits;

/// Memory of the grip.
#[derive(Clone, Debug, Default)]
pub(super) struct GripJudge {
    /// Width beyond which the hand lets go of it on purpose, m; none if it carries nothing.
    lets_go_m: Option<f64>,
    weak_for: u32,
    lost: bool,
}

impl GripJudge {
    /// The hand is said to carry something else, or nothing, at this width.
    pub(super) fn carry(&mut self, payload: &Payload, width_m: f64) {
        let carries = payload.mass_kg > 0.0 || payload.radius_m > 0.0;
        *self = Self {
            lets_go_m: carries.then_some(width_m),
            ..Self::default()
        };
    }

    /// True if what was carried is lost: nothing moves then until something else, or nothing, is.
    pub(super) fn is_lost(
        &mut self,
        limits: &GripLimits,
        frame: &SensorFrame,
        given_width_m: f64,
    ) -> bool {
        let Some(lets_go) = self.lets_go_m else {
            return false;
        };
        if !self.lost && given_width_m > lets_go {
            self.lets_go_m = None;
            return false;
        }
        let weak = frame.gripper_force_n < limits.lost_force_n;
        self.weak_for = if weak { self.weak_for + 1 } else { 0 };
        self.lost |=
            frame.gripper_width_m < limits.empty_width_m || self.weak_for > limits.lost_ticks;
        self.lost
    }
}
