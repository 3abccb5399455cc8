//! A safety configuration in words: every quantity with its unit, what is not checked, and what gets looser or tighter
//! from one to another.

mod covering;
mod difference;
mod quantities;

use sinew_safety::{ForceReaction, SafetyConfig, Zone, ZoneShape};

pub use difference::{Difference, difference};
pub use quantities::{Quantity, quantities};

/// A check that a configuration may leave out.
struct Check {
    /// What is checked.
    name: &'static str,
    /// It is.
    on: bool,
}

/// Every check that a configuration may leave out, always in the same order.
fn checks(c: &SafetyConfig) -> [Check; 7] {
    [
        ("the tool's cone", c.cone.is_some()),
        ("effort", c.effort.is_some()),
        ("self-collision", c.self_collision.is_some()),
        ("separation from persons", c.separation.is_some()),
        ("power and momentum of contacts", c.contact.is_some()),
        ("the grip", c.grip.is_some()),
        ("singularity", c.singularity.is_some()),
    ]
    .map(|(name, on)| Check { name, on })
}

/// What a configuration does not check.
#[must_use]
pub fn not_checked(c: &SafetyConfig) -> Vec<&'static str> {
    let left_out = checks(c).into_iter().filter(|check| !check.on);
    let mut names: Vec<&str> = left_out.map(|check| check.name).collect();
    if (c.contact.as_ref()).is_none_or(|contact| contact.regions.is_empty()) {
        names.push("force on parts of the body");
    }
    if c.force_reaction == ForceReaction::Off {
        names.push("force on the hand (its reaction is off)");
    }
    if c.zones.is_empty() {
        names.push("zones (there are none)");
    }
    names
}

/// A zone in words.
#[must_use]
pub fn zone_words(zone: &Zone) -> String {
    let shape = match &zone.shape {
        ZoneShape::Box(aabb) => format!(
            "box from {} to {} m",
            point(aabb.min.coords.as_slice()),
            point(aabb.max.coords.as_slice())
        ),
        ZoneShape::HalfSpace(half_space) => format!(
            "half-space below {} m along {}",
            half_space.offset_m,
            point(half_space.normal.as_slice())
        ),
        ZoneShape::Cylinder(cylinder) => format!(
            "cylinder at {} m, radius {} m, height {} m",
            point(cylinder.base.coords.as_slice()),
            cylinder.radius_m,
            cylinder.height_m
        ),
        ZoneShape::Hull(hull) => {
            let points: Vec<String> = (hull.points().iter())
                .map(|at| point(at.coords.as_slice()))
                .collect();
            format!("hull of {} m", points.join(", "))
        }
    };
    match zone.speed_max_m_s {
        None => format!("{shape}, forbidden"),
        Some(speed) => format!("{shape}, at most {speed} m/s"),
    }
}

fn point(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    format!("({})", numbers.join(", "))
}

/// How a force above its threshold is met.
#[must_use]
pub fn reaction_words(reaction: ForceReaction) -> &'static str {
    match reaction {
        ForceReaction::Off => "off",
        ForceReaction::Hold => "hold",
        ForceReaction::Latch => "latch",
        ForceReaction::Yield(_) => "yield",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RobotDescription, SafetyFile};

    #[test]
    fn what_is_left_out_is_said() {
        let robot = RobotDescription::builtin();
        let limits = (SafetyFile::builtin().limits(&robot)).expect("the built-in files fit");
        let mut config = limits.config().clone();
        assert_eq!(
            not_checked(&config),
            ["the tool's cone", "force on parts of the body"]
        );
        config.singularity = None;
        config.separation = None;
        config.force_reaction = ForceReaction::Off;
        config.zones.clear();
        let words = not_checked(&config).join(", ");
        for piece in ["singularity", "separation", "reaction is off", "zones"] {
            assert!(words.contains(piece), "{words}");
        }
    }
}
