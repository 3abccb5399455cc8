//! What gets looser or tighter from one configuration to another.

use sinew_kinematics::HAND;
use sinew_safety::{ForceReaction, SafetyConfig};

use super::covering::covers;
use super::quantities::{More, Quantity, quantities};
use super::{checks, reaction_words, zone_words};
use crate::RobotDescription;
use crate::safety_file::link_name;

/// What changes from one configuration to another, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What lets more happen.
    pub looser: Vec<String>,
    /// What lets less happen.
    pub tighter: Vec<String>,
    /// What is neither, or both.
    pub other: Vec<String>,
}

impl Difference {
    /// True if nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.looser.is_empty() && self.tighter.is_empty() && self.other.is_empty()
    }

    fn add(&mut self, more: Option<bool>, words: String) {
        match more {
            Some(true) => &mut self.looser,
            Some(false) => &mut self.tighter,
            None => &mut self.other,
        }
        .push(words);
    }
}

/// What changes from `a` to `b`.
#[must_use]
pub fn difference(a: &SafetyConfig, b: &SafetyConfig, robot: &RobotDescription) -> Difference {
    let mut found = Difference::default();
    // What the robot does, and what is looked at, before by how much.
    reaction(a, b, &mut found);
    for (old, new) in checks(a).into_iter().zip(checks(b)) {
        let what = old.name;
        match (old.on, new.on) {
            (true, false) => found.add(Some(true), format!("{what} is not checked any more")),
            (false, true) => found.add(Some(false), format!("{what} is checked")),
            _ => {}
        }
    }
    zones(a, b, &mut found);
    let (before, after) = (quantities(a, robot), quantities(b, robot));
    for old in &before {
        let same = |new: &&Quantity| (&new.key, &new.of) == (&old.key, &old.of);
        if let Some(new) = after.iter().find(same)
            && new.value != old.value
        {
            let more = match old.more {
                More::Looser => Some(new.value > old.value),
                More::Tighter => Some(new.value < old.value),
                More::Both => None,
            };
            let unit = if old.unit.is_empty() {
                String::new()
            } else {
                format!(" {}", old.unit)
            };
            let words = format!("{}: {} to {}{unit}", old.place(), old.value, new.value);
            found.add(more, words);
        }
    }
    if let (Some(old), Some(new)) = (&a.cone, &b.cone)
        && old.axis != new.axis
    {
        let words = format!("cone.axis: {:?} to {:?}", old.axis, new.axis);
        found.add(None, words);
    }
    ignored(a, b, robot, &mut found);
    regions(a, b, &mut found);
    found
}

/// How a force over its limit is met.
fn reaction(a: &SafetyConfig, b: &SafetyConfig, found: &mut Difference) {
    let (was, is) = (a.force_reaction, b.force_reaction);
    if reaction_words(was) == reaction_words(is) {
        return;
    }
    // A robot that gives way moves after a contact, one that holds does not, and from a latch it does not start again.
    let rank = |reaction| match reaction {
        ForceReaction::Off => 0,
        ForceReaction::Yield(_) => 1,
        ForceReaction::Hold => 2,
        ForceReaction::Latch => 3,
    };
    let words = format!(
        "force.reaction: {} to {}: a force over its limit {}, where it {}",
        reaction_words(was),
        reaction_words(is),
        what_it_does(is),
        what_it_does(was)
    );
    found.add(Some(rank(is) < rank(was)), words);
}

/// What a force over its limit does.
fn what_it_does(reaction: ForceReaction) -> String {
    match reaction {
        ForceReaction::Off => "does nothing".to_owned(),
        ForceReaction::Hold => "makes the robot stand".to_owned(),
        ForceReaction::Latch => "stops the robot until somebody resets it".to_owned(),
        ForceReaction::Yield(y) => format!(
            "makes the robot move away, at up to {} m/s for up to {} m",
            y.speed_max_m_s, y.distance_max_m
        ),
    }
}

/// Pairs of links that are compared no longer, or again.
fn ignored(a: &SafetyConfig, b: &SafetyConfig, robot: &RobotDescription, found: &mut Difference) {
    let (Some(old), Some(new)) = (&a.self_collision, &b.self_collision) else {
        return;
    };
    let name = |link: usize| link_name(robot, link.min(HAND));
    for [x, y] in &new.ignored {
        if !old.ignored.contains(&[*x, *y]) {
            let words = format!("{} and {} may touch", name(*x), name(*y));
            found.add(Some(true), words);
        }
    }
    for [x, y] in &old.ignored {
        if !new.ignored.contains(&[*x, *y]) {
            let words = format!("{} and {} keep off each other", name(*x), name(*y));
            found.add(Some(false), words);
        }
    }
}

/// Parts of the body that count no longer, or too.
fn regions(a: &SafetyConfig, b: &SafetyConfig, found: &mut Difference) {
    let (Some(old), Some(new)) = (&a.contact, &b.contact) else {
        return;
    };
    for (these, those, looser, words) in [
        (&old.regions, &new.regions, true, "does not count any more"),
        (&new.regions, &old.regions, false, "counts"),
    ] {
        for region in these {
            if !those.iter().any(|other| other.name == region.name) {
                found.add(
                    Some(looser),
                    format!("body region {:?} {words}", region.name),
                );
            }
        }
    }
}

fn zones(a: &SafetyConfig, b: &SafetyConfig, found: &mut Difference) {
    for old in &a.zones {
        let Some(new) = b.zones.iter().find(|zone| zone.name == old.name) else {
            found.add(
                Some(true),
                format!("zone {:?} is gone ({})", old.name, zone_words(old)),
            );
            continue;
        };
        if old.shape != new.shape {
            let words = format!(
                "zone {:?}: {} to {}",
                old.name,
                zone_words(old),
                zone_words(new)
            );
            // Whatever it doesn't cover any more may be entered, wherever else it lies now.
            let (is_kept, is_within) = (
                covers(&new.shape, &old.shape),
                covers(&old.shape, &new.shape),
            );
            match (is_kept, is_within) {
                (false, false) => {
                    let words = format!(
                        "{words}: not all that it covered is covered any more, and more beside it"
                    );
                    found.add(Some(true), words);
                }
                (true, true) => found.add(None, words),
                _ => found.add(Some(!is_kept), words),
            }
        }
        match (old.speed_max_m_s, new.speed_max_m_s) {
            (None, Some(speed)) => found.add(
                Some(true),
                format!("zone {:?} may be entered, at most at {speed} m/s", old.name),
            ),
            (Some(_), None) => {
                found.add(Some(false), format!("zone {:?} is forbidden", old.name));
            }
            _ => {}
        }
    }
    for new in &b.zones {
        if !a.zones.iter().any(|zone| zone.name == new.name) {
            found.add(
                Some(false),
                format!("zone {:?} is new ({})", new.name, zone_words(new)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use sinew_safety::ZoneShape;

    use super::*;
    use crate::SafetyFile;

    type Change = fn(&mut SafetyConfig);

    fn config() -> (SafetyConfig, RobotDescription) {
        let robot = RobotDescription::builtin();
        let limits = (SafetyFile::builtin().limits(&robot)).expect("the built-in files fit");
        (limits.config().clone(), robot)
    }

    #[test]
    fn what_gets_looser_and_what_tighter() {
        let (base, robot) = config();
        let looser: [Change; 19] = [
            |c| c.contact = None,
            |c| c.grip = None,
            |c| c.singularity = None,
            |c| {
                c.contact
                    .iter_mut()
                    .for_each(|contact| contact.power_max_w += 1.0)
            },
            |c| c.singularity.iter_mut().for_each(|s| s.stop_above += 1.0),
            |c| c.position_max_rad[0] += 0.1,
            |c| c.position_min_rad[0] -= 0.1,
            |c| c.velocity_max_rad_s[3] += 0.1,
            |c| c.stop_acceleration_rad_s2[3] += 0.1,
            |c| c.reaction_ticks -= 1,
            |c| c.tool_speed_max_m_s += 0.1,
            |c| c.envelope_max_m[2] += 0.1,
            |c| c.envelope_min_m[2] -= 0.1,
            |c| c.force_reaction = ForceReaction::Off,
            |c| c.self_collision = None,
            |c| drop(c.zones.remove(0)),
            |c| c.zones[0].speed_max_m_s = Some(0.2),
            |c| {
                if let ZoneShape::Box(aabb) = &mut c.zones[0].shape {
                    aabb.max.z -= 0.1;
                }
            },
            |c| {
                if let Some(collision) = &mut c.self_collision {
                    collision.ignored.push([1, 4]);
                }
            },
        ];
        for (n, change) in looser.into_iter().enumerate() {
            let mut other = base.clone();
            change(&mut other);
            let there = difference(&base, &other, &robot);
            assert_eq!(
                (there.looser.len(), there.tighter.len()),
                (1, 0),
                "{n}: {there:?}"
            );
            let back = difference(&other, &base, &robot);
            assert_eq!(
                (back.looser.len(), back.tighter.len()),
                (0, 1),
                "{n}: {back:?}"
            );
        }
        assert!(difference(&base, &base, &robot).is_empty());
        // What the robot does stands before by how much.
        let mut gives_way = base.clone();
        gives_way.tool_speed_max_m_s += 0.1;
        gives_way.zones[0].speed_max_m_s = Some(0.2);
        gives_way.force_reaction = ForceReaction::Yield(sinew_safety::YieldLimits {
            admittance_m_s_n: 0.002,
            speed_max_m_s: 0.05,
            distance_max_m: 0.03,
        });
        let there = difference(&base, &gives_way, &robot);
        assert_eq!(
            (there.looser.len(), there.tighter.len()),
            (3, 0),
            "{there:?}"
        );
        assert!(
            there.looser[0].contains("hold to yield")
                && there.looser[0].contains("0.05 m/s for up to 0.03 m"),
            "{there:?}"
        );
        assert!(there.looser[1].contains("may be entered"), "{there:?}");
        let back = difference(&gives_way, &base, &robot);
        assert_eq!((back.looser.len(), back.tighter.len()), (0, 3), "{back:?}");
        // A zone that goes elsewhere lets something happen where it was.
        let mut moved = base.clone();
        if let ZoneShape::Box(aabb) = &mut moved.zones[0].shape {
            (aabb.min.x, aabb.max.x) = (aabb.min.x + 0.01, aabb.max.x + 0.01);
        }
        for (a, b) in [(&base, &moved), (&moved, &base)] {
            let there = difference(a, b, &robot);
            assert_eq!(
                (there.looser.len(), there.tighter.len()),
                (1, 0),
                "{there:?}"
            );
            assert!(there.looser[0].contains("and more beside it"), "{there:?}");
        }
        let mut wider = base.clone();
        wider.tracking_margin_m += 0.001;
        assert_eq!(difference(&base, &wider, &robot).other.len(), 1);
    }
}
