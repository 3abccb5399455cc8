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

#[cfg(test)]
mod tests {
    use sinew_messages::JOINTS;

    use super::*;
    use crate::plain;

    const LIMITS: GripLimits = GripLimits {
        empty_width_m: 0.005,
        lost_force_n: 1.0,
        lost_ticks: 10,
    };

    /// What is said about fingers at a width, m, with a force, N, that are told to be at `given`, m.
    fn look(grip: &mut GripWatch, width_m: f64, force_n: f64, given_m: f64) -> Option<f64> {
        let frame = SensorFrame {
            gripper_width_m: width_m,
            gripper_force_n: force_n,
            ..plain::FRAME
        };
        let given = Setpoint {
            position_rad: [0.0; JOINTS],
            velocity_rad_s: [0.0; JOINTS],
            acceleration_rad_s2: [0.0; JOINTS],
            gripper_width_m: given_m,
            gripper_force_n: 20.0,
        };
        grip.look(&frame, &given, &LIMITS)
            .map(|violation| violation.asked)
    }

    fn carrying() -> GripWatch {
        let mut grip = GripWatch::default();
        grip.carry(true, 0.02, 0.01);
        grip
    }

    #[test]
    fn fingers_nearer_than_any_load_hold_nothing() {
        let mut grip = carrying();
        assert_eq!(look(&mut grip, 0.005, 20.0, 0.0), None);
        assert_eq!(look(&mut grip, 0.0049, 20.0, 0.0), Some(0.0049));
        // Until it is said to carry something else.
        assert_eq!(look(&mut grip, 0.02, 20.0, 0.0), Some(0.0049));
        grip.carry(true, 0.02, 0.01);
        assert_eq!(look(&mut grip, 0.02, 20.0, 0.0), None);
    }

    #[test]
    fn fingers_without_force_for_long_hold_nothing() {
        let mut grip = carrying();
        for _ in 0..100 {
            assert_eq!(look(&mut grip, 0.02, 1.0, 0.0), None);
        }
        for _ in 0..3 {
            for _ in 0..10 {
                assert_eq!(look(&mut grip, 0.02, 0.9, 0.0), None);
            }
            assert_eq!(look(&mut grip, 0.02, 1.0, 0.0), None);
        }
        for tick in 1..15 {
            let expected = (tick > 10).then_some(0.9);
            assert_eq!(look(&mut grip, 0.02, 0.9, 0.0), expected, "{tick}");
        }
    }

    #[test]
    fn a_hand_that_is_told_to_open_lets_go() {
        let opens_m = 0.02 + OPENS_M;
        for (given_m, expected) in [(opens_m, Some(0.001)), (opens_m.next_up(), None)] {
            let mut grip = carrying();
            assert_eq!(look(&mut grip, 0.02, 20.0, given_m), None);
            assert_eq!(look(&mut grip, 0.001, 0.0, 0.0), expected);
        }
        let mut grip = GripWatch::default();
        assert_eq!(look(&mut grip, 0.0, 0.0, 0.0), None, "it carries nothing");
    }
}
