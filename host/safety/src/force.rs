//! Tool force above its threshold: an unlatched hold, or a latched stop.

use sinew_messages::{LimitKind, SensorFrame};

use crate::limits::{ForceReaction, SafetyConfig};
use crate::verdict::Violation;

/// Below this share of the threshold the contact counts as gone.
const RELEASED: f64 = 0.8;
/// A force that was held at may grow by this factor before it stops again: a retreat must be able to begin.
const GROWTH: f64 = 1.25;

/// Memory of the contact.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ForceWatch {
    /// Braking for a contact, until the robot stands.
    braking: bool,
    /// Force at which it stood, N; 0 without a contact.
    held_at_n: f64,
}

impl ForceWatch {
    /// The violation if the force stops the robot this tick, and whether it latches.
    pub(crate) fn look(
        &mut self,
        frame: &SensorFrame,
        c: &SafetyConfig,
        at_rest: bool,
    ) -> Option<(Violation, bool)> {
        let [x, y, z] = frame.tool_force_n;
        let force = libm::sqrt(x * x + y * y + z * z);
        if c.force_reaction == ForceReaction::Off {
            return None;
        }
        let latches = c.force_reaction == ForceReaction::Latch;
        if self.braking && at_rest {
            self.braking = false;
            self.held_at_n = force;
        }
        if force < RELEASED * c.force_stop_n {
            self.held_at_n = 0.0;
        }
        if force > c.force_stop_n.max(GROWTH * self.held_at_n) && !at_rest {
            self.braking = true;
        }
        (self.braking || (latches && force > c.force_stop_n)).then(|| {
            (
                Violation {
                    limit_value: c.force_stop_n,
                    asked: force,
                    ..Violation::of(LimitKind::Force)
                },
                latches,
            )
        })
    }
}
