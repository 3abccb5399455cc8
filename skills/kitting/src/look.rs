//! Looking: taking the arm out of the way, or the wrist camera to where something may lie.

use sinew_sdk::prelude::*;

/// Ticks between standing still and the exposure that counts: the hand has settled.
const SETTLE_TICKS: u64 = 40;

/// Named poses from which to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// The bin in the wrist camera, and nothing between the tray and the overhead camera.
    Bin,
    /// The tray in the wrist camera.
    Tray,
    /// The search area in the wrist camera.
    Search,
}

impl Looks {
    /// Its name in the cell's configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bin => "look-bin",
            Self::Tray => "look-tray",
            Self::Search => "look-search",
        }
    }
}

/// Goes to a look pose and waits for a snapshot whose images were all taken from there.
///
/// # Errors
/// What kept the arm from getting there; `sensor-stall` if a camera says nothing.
pub fn look(robot: &mut Robot, from: Looks, speed: f64) -> Result<sinew_sdk::Snapshot, Error> {
    let arrived = robot
        .motion
        .move_to(Goal::named(from.name()).speed(speed))?
        .tick;
    robot.world.wait_newer(arrived + SETTLE_TICKS)
}
