//! Looking: taking the arm out of the way, or the wrist camera to where something may lie.

use sinew_sdk::prelude::*;

/// Ticks between standing still and the exposure that counts: the hand has settled.
const SETTLE_TICKS: u64 = 40;
/// Tries before a camera that shows nothing new is a failure, and the ticks between them: a few lost frames
/// are no reason to give up.
const STALL_TRIES: u32 = 10;
const STALL_TICKS: u64 = 300;

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
    seen_after(robot, arrived + SETTLE_TICKS)
}

/// A snapshot whose images were all taken after `tick`; cameras that stand still for a moment are waited for.
///
/// # Errors
/// `sensor-stall` if they go on to.
pub fn seen_after(robot: &mut Robot, tick: u64) -> Result<sinew_sdk::Snapshot, Error> {
    for _ in 1..STALL_TRIES {
        match robot.world.wait_newer(tick) {
            Err(error) if error.label() == Some("sensor-stall") => {
                robot.clock.sleep(STALL_TICKS)?;
            }
            answer => return answer,
        }
    }
    robot.world.wait_newer(tick)
}
