//! How much one tick may look at. A tick has to be over in time whatever the configuration, the robot and what moves
//! around it are like: what cannot be looked at in that time is refused, and the robot brakes.

use sinew_messages::LimitKind;

use crate::verdict::Violation;

/// Distances to simple shapes that one tick may take. The hardest of two million adversarial ticks took less than half
/// of them.
const A_TICK: u32 = 24_000;

/// What is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    left: u32,
}

impl Work {
    /// A new tick begins.
    pub(crate) const TICK: Self = Self { left: A_TICK };
    /// Not in a tick.
    pub(crate) const ENDLESS: Self = Self { left: u32::MAX };

    /// Takes the work of `distances` off; false if there is not enough left, and there is none then.
    pub(crate) fn spend(&mut self, distances: u32) -> bool {
        let enough = self.left.checked_sub(distances);
        self.left = enough.unwrap_or(0);
        enough.is_some()
    }

    /// That of a tick whose work did not do.
    pub(crate) fn exceeded() -> Violation {
        let most = f64::from(A_TICK);
        Violation {
            limit: LimitKind::Configuration,
            index: None,
            limit_value: most,
            asked: most + 1.0,
        }
    }

    /// There is none left, and what was found is not all that there is.
    pub(crate) fn is_spent(self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends() {
        let mut work = Work::TICK;
        assert!(work.spend(A_TICK - 1) && !work.is_spent());
        assert!(!work.spend(2) && work.is_spent());
        assert!(!work.spend(1), "what is spent stays spent");
        let mut exactly = Work::TICK;
        assert!(exactly.spend(A_TICK) && exactly.is_spent());
        let told = Work::exceeded();
        assert_eq!((told.limit_value, told.asked), (24_000.0, 24_001.0));
    }
}
