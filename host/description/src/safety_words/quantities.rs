//! Every number of a configuration, with its unit.

use sinew_safety::{ForceReaction, SafetyConfig};

use crate::RobotDescription;

/// What more of a quantity means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
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
    pub(super) more: More,
}

impl Quantity {
    pub(super) fn place(&self) -> String {
        match &self.of {
            Some(of) => format!("{} of {of}", self.key),
            None => self.key.clone(),
        }
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
