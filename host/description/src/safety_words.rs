//! A safety configuration in words: every quantity with its unit, and what gets looser or tighter from one to another.

use sinew_kinematics::HAND;
use sinew_safety::{ForceReaction, SafetyConfig, Zone, ZoneShape};

use crate::RobotDescription;
use crate::safety_file::link_name;

/// What more of a quantity means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    /// More may happen.
    Looser,
    /// Less may happen.
    Tighter,
    /// Some of both: a margin that is wider keeps more distance, and lets the robot be farther off.
    Both,
}

/// One number of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// Key of the safety file.
    pub key: String,
    /// Joint, axis or zone that it is about.
    pub of: Option<String>,
    /// Its value.
    pub value: f64,
    /// Its unit; empty for a share or a count.
    pub unit: &'static str,
    more: More,
}

impl Quantity {
    fn place(&self) -> String {
        match &self.of {
            Some(of) => format!("{} of {of}", self.key),
            None => self.key.clone(),
        }
    }
}

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

/// Every number of a configuration, in the order of the file.
#[must_use]
pub fn quantities(c: &SafetyConfig, robot: &RobotDescription) -> Vec<Quantity> {
    let mut list = Vec::new();
    let mut add = |key: &str, of: Option<String>, value: f64, unit, more| {
        list.push(Quantity {
            key: key.to_owned(),
            of,
            value,
            unit,
            more,
        });
    };
    for (key, values, unit, more) in [
        (
            "joints.position_min_rad",
            &c.position_min_rad,
            "rad",
            More::Tighter,
        ),
        (
            "joints.position_max_rad",
            &c.position_max_rad,
            "rad",
            More::Looser,
        ),
        (
            "joints.velocity_max_rad_s",
            &c.velocity_max_rad_s,
            "rad/s",
            More::Looser,
        ),
        (
            "joints.acceleration_max_rad_s2",
            &c.acceleration_max_rad_s2,
            "rad/s²",
            More::Looser,
        ),
        (
            "joints.jerk_max_rad_s3",
            &c.jerk_max_rad_s3,
            "rad/s³",
            More::Looser,
        ),
        // Whoever believes in better brakes comes nearer.
        (
            "stop.acceleration_rad_s2",
            &c.stop_acceleration_rad_s2,
            "rad/s²",
            More::Looser,
        ),
        (
            "stop.jerk_rad_s3",
            &c.stop_jerk_rad_s3,
            "rad/s³",
            More::Looser,
        ),
        (
            "tracking.following_error_max_rad",
            &c.following_error_max_rad,
            "rad",
            More::Both,
        ),
    ] {
        for (joint, value) in robot.joints.iter().zip(values) {
            add(key, Some(joint.name.clone()), *value, unit, more);
        }
    }
    for (axis, n) in [("x", 0), ("y", 1), ("z", 2)] {
        let of = Some(axis.to_owned());
        add(
            "envelope.min_m",
            of.clone(),
            c.envelope_min_m[n],
            "m",
            More::Tighter,
        );
        add("envelope.max_m", of, c.envelope_max_m[n], "m", More::Looser);
    }
    for (key, value, unit, more) in [
        (
            "stop.reaction_ms",
            f64::from(c.reaction_ticks),
            "ms",
            More::Tighter,
        ),
        (
            "tool.speed_max_m_s",
            c.tool_speed_max_m_s,
            "m/s",
            More::Looser,
        ),
        (
            "tool.elbow_speed_max_m_s",
            c.elbow_speed_max_m_s,
            "m/s",
            More::Looser,
        ),
        (
            "reduced.speed_max_m_s",
            c.reduced.speed_max_m_s,
            "m/s",
            More::Looser,
        ),
        (
            "reduced.joint_speed_share",
            c.reduced.joint_speed_share,
            "",
            More::Looser,
        ),
        (
            "recovery.speed_max_m_s",
            c.recovery.speed_max_m_s,
            "m/s",
            More::Looser,
        ),
        (
            "recovery.joint_speed_share",
            c.recovery.joint_speed_share,
            "",
            More::Looser,
        ),
        (
            "gripper.width_min_m",
            c.gripper_width_min_m,
            "m",
            More::Tighter,
        ),
        (
            "gripper.width_max_m",
            c.gripper_width_max_m,
            "m",
            More::Looser,
        ),
        (
            "gripper.force_max_n",
            c.gripper_force_max_n,
            "N",
            More::Looser,
        ),
        ("tracking.margin_m", c.tracking_margin_m, "m", More::Both),
        (
            "tracking.following_error_ms",
            c.following_error_ticks as f64,
            "ms",
            More::Looser,
        ),
        ("force.stop_n", c.force_stop_n, "N", More::Looser),
        (
            "brain.heartbeat_timeout_ms",
            c.heartbeat_ticks as f64,
            "ms",
            More::Looser,
        ),
        (
            "standstill.speed_max_rad_s",
            c.standstill_rad_s,
            "rad/s",
            More::Looser,
        ),
    ] {
        add(key, None, value, unit, more);
    }
    if let Some(collision) = &c.self_collision {
        add(
            "self_collision.margin_m",
            None,
            collision.margin_m,
            "m",
            More::Tighter,
        );
    }
    if let Some(cone) = &c.cone {
        let degrees = cone.half_angle_rad.to_degrees();
        add("cone.half_angle_deg", None, degrees, "°", More::Looser);
    }
    if let Some(effort) = &c.effort {
        for (joint, value) in robot.joints.iter().zip(&effort.max_nm) {
            let of = Some(joint.name.clone());
            add("effort.max_nm", of, *value, "N·m", More::Looser);
        }
        for (joint, value) in robot.joints.iter().zip(&effort.rate_max_nm_s) {
            let of = Some(joint.name.clone());
            add("effort.rate_max_nm_s", of, *value, "N·m/s", More::Looser);
        }
        add(
            "effort.load_max_kg",
            None,
            effort.load_max_kg,
            "kg",
            More::Looser,
        );
        let ms = f64::from(effort.measured_ticks);
        add("effort.measured_ms", None, ms, "ms", More::Looser);
    }
    if let Some(separation) = &c.separation {
        for (key, value, unit, more) in [
            (
                "separation.approach_speed_m_s",
                separation.approach_speed_m_s,
                "m/s",
                More::Tighter,
            ),
            (
                "separation.intrusion_m",
                separation.intrusion_m,
                "m",
                More::Tighter,
            ),
            (
                "separation.robot_uncertainty_m",
                separation.robot_uncertainty_m,
                "m",
                More::Tighter,
            ),
            (
                "separation.silent_ms",
                separation.silent_ticks as f64,
                "ms",
                More::Looser,
            ),
        ] {
            add(key, None, value, unit, more);
        }
    }
    contact(c, &mut add);
    if let Some(grip) = &c.grip {
        let (width, force) = (grip.empty_width_m, grip.lost_force_n);
        add("grip.empty_width_m", None, width, "m", More::Tighter);
        add("grip.lost_force_n", None, force, "N", More::Tighter);
        let ms = f64::from(grip.lost_ticks);
        add("grip.lost_ms", None, ms, "ms", More::Looser);
    }
    if let Some(s) = &c.singularity {
        let length = s.characteristic_length_m;
        let key = "singularity.characteristic_length_m";
        add(key, None, length, "m", More::Both);
        for (key, value) in [
            ("singularity.slow_above", s.slow_above),
            ("singularity.stop_above", s.stop_above),
            ("singularity.slow_share", s.slow_share),
        ] {
            add(key, None, value, "", More::Looser);
        }
    }
    for zone in &c.zones {
        if let Some(speed) = zone.speed_max_m_s {
            let of = Some(format!("zone {:?}", zone.name));
            add("zone.speed_max_m_s", of, speed, "m/s", More::Looser);
        }
    }
    list
}

/// What contacts may be, and how they are given way to.
fn contact(c: &SafetyConfig, add: &mut impl FnMut(&str, Option<String>, f64, &'static str, More)) {
    if let ForceReaction::Yield(y) = &c.force_reaction {
        let (admittance, speed, distance) = (y.admittance_m_s_n, y.speed_max_m_s, y.distance_max_m);
        add(
            "yield.admittance_m_s_n",
            None,
            admittance,
            "m/s/N",
            More::Both,
        );
        add("yield.speed_max_m_s", None, speed, "m/s", More::Looser);
        add("yield.distance_max_m", None, distance, "m", More::Looser);
    }
    let Some(contact) = &c.contact else {
        return;
    };
    let (power, momentum) = (contact.power_max_w, contact.momentum_max_kg_m_s);
    add("contact.power_max_w", None, power, "W", More::Looser);
    let key = "contact.momentum_max_kg_m_s";
    add(key, None, momentum, "kg·m/s", More::Looser);
    let ms = f64::from(contact.transient_ticks);
    add("contact.transient_ms", None, ms, "ms", More::Looser);
    for region in &contact.regions {
        let of = || Some(format!("{:?}", region.name));
        for (key, value, unit, more) in [
            (
                "contact.region.force_max_n",
                region.force_max_n,
                "N",
                More::Looser,
            ),
            (
                "contact.region.transient_factor",
                region.transient_factor,
                "",
                More::Looser,
            ),
            (
                "contact.region.stiffness_n_m",
                region.stiffness_n_m,
                "N/m",
                More::Tighter,
            ),
            (
                "contact.region.mass_kg",
                region.mass_kg,
                "kg",
                More::Tighter,
            ),
        ] {
            add(key, of(), value, unit, more);
        }
    }
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
        ZoneShape::Hull(hull) => format!("hull of {} points", hull.points().len()),
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

/// What changes from `a` to `b`.
#[must_use]
pub fn difference(a: &SafetyConfig, b: &SafetyConfig, robot: &RobotDescription) -> Difference {
    let mut found = Difference::default();
    let (before, after) = (quantities(a, robot), quantities(b, robot));
    for old in &before {
        let same = |new: &&Quantity| (&new.key, &new.of) == (&old.key, &old.of);
        if let Some(new) = after.iter().find(same)
            && new.value.to_bits() != old.value.to_bits()
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
    let (was, is) = (
        reaction_words(a.force_reaction),
        reaction_words(b.force_reaction),
    );
    if was != is {
        // To hold and to give way are neither looser nor tighter than each other.
        let rank = |reaction| match reaction {
            ForceReaction::Off => 0,
            ForceReaction::Hold | ForceReaction::Yield(_) => 1,
            ForceReaction::Latch => 2,
        };
        let (before, after) = (rank(a.force_reaction), rank(b.force_reaction));
        let looser = (before != after).then_some(after < before);
        found.add(looser, format!("force.reaction: {was} to {is}"));
    }
    for (what, had, has) in [
        ("the tool's cone", a.cone.is_some(), b.cone.is_some()),
        ("effort", a.effort.is_some(), b.effort.is_some()),
        (
            "self-collision",
            a.self_collision.is_some(),
            b.self_collision.is_some(),
        ),
        (
            "separation from persons",
            a.separation.is_some(),
            b.separation.is_some(),
        ),
        (
            "power and momentum of contacts",
            a.contact.is_some(),
            b.contact.is_some(),
        ),
        ("the grip", a.grip.is_some(), b.grip.is_some()),
        (
            "singularity",
            a.singularity.is_some(),
            b.singularity.is_some(),
        ),
    ] {
        match (had, has) {
            (true, false) => found.add(Some(true), format!("{what} is not checked any more")),
            (false, true) => found.add(Some(false), format!("{what} is checked")),
            _ => {}
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
    zones(a, b, &mut found);
    found
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
            // Boxes that lie one in the other can be told; for others a person has to look.
            let more = match (&old.shape, &new.shape) {
                (ZoneShape::Box(was), ZoneShape::Box(is)) => {
                    let holds = |outer: &sinew_kinematics::Aabb, inner: &sinew_kinematics::Aabb| {
                        (0..3).all(|i| outer.min[i] <= inner.min[i] && outer.max[i] >= inner.max[i])
                    };
                    if holds(is, was) {
                        Some(false)
                    } else if holds(was, is) {
                        Some(true)
                    } else {
                        None
                    }
                }
                _ => None,
            };
            let words = format!(
                "zone {:?}: {} to {}",
                old.name,
                zone_words(old),
                zone_words(new)
            );
            found.add(more, words);
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
        let mut wider = base.clone();
        wider.tracking_margin_m += 0.001;
        assert_eq!(difference(&base, &wider, &robot).other.len(), 1);
    }
}
