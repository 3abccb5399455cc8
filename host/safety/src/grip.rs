//! Whether the hand still holds what it carries.

use sinew_messages::{LimitKind, SensorFrame, Setpoint};

use crate::verdict::Violation;

/// When something that the hand carries counts as lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GripLimits {
    /// Fingers nearer to each other than this have nothing between them, m. Narrower than anything that is carried: how
    /// far they close on a thing may change while it settles.
    pub empty_width_m: f64,
    /// Force of the fingers below which they hold nothing, N.
    pub lost_force_n: f64,
    /// Ticks that it may be below.
    pub lost_ticks: u32,
}

/// How much wider than the hand holds something it has to be told to open before that is taken for letting go, m.
const OPENS_M: f64 = 1e-3;

/// Memory of the grip.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GripWatch {
    /// Width at which the hand took what it carries, and the setpoint's then, m: one that is clearly wider than both opens
    /// it.
    taken_at_m: Option<f64>,
    weak_for: u32,
    /// What was seen when it was lost: until the hand is said to carry something else, or nothing.
    lost: Option<Violation>,
}

impl GripWatch {
    /// The hand carries something from now on, or nothing.
    pub(crate) fn carry(&mut self, carries: bool, width_m: f64, given_m: f64) {
        *self = Self {
            taken_at_m: carries.then_some(width_m.max(given_m)),
            ..Self::default()
        };
    }

    /// The violation while what was carried is lost. Fingers that are told to open let go of it: that is no loss.
    pub(crate) fn look(
        &mut self,
        frame: &SensorFrame,
        given: &Setpoint,
        limits: &GripLimits,
    ) -> Option<Violation> {
        let taken_at = self.taken_at_m?;
        if self.lost.is_some() {
            return self.lost;
        }
        if given.gripper_width_m > taken_at + OPENS_M {
            self.taken_at_m = None;
            return None;
        }
        let violation = |limit_value, asked| Violation {
            limit: LimitKind::GripLost,
            index: None,
            limit_value,
            asked,
        };
        if frame.gripper_width_m < limits.empty_width_m {
            self.lost = Some(violation(limits.empty_width_m, frame.gripper_width_m));
        }
        self.weak_for = if frame.gripper_force_n < limits.lost_force_n {
            self.weak_for.saturating_add(1)
        } else {
            0
        };
        if self.weak_for > limits.lost_ticks {
            self.lost = Some(violation(limits.lost_force_n, frame.gripper_force_n));
        }
        self.lost
    }
}
