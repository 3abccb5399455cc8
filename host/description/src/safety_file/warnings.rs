//! What a robot can have, and a person hardly means.

use sinew_safety::{SafetyConfig, ZoneShape};

use crate::RobotDescription;
use crate::error::Source;
use crate::place::line_of;

/// Something that a person should know before a file is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Line of the file, from 1.
    pub line: usize,
    /// Key of the file.
    pub key: String,
    /// What is odd about it, and what it leads to.
    pub problem: String,
}

impl Warning {
    pub(super) fn new(source: &Source<'_>, key: &str, problem: String) -> Self {
        Self {
            line: line_of(source.text, key),
            key: key.to_owned(),
            problem,
        }
    }
}

/// Everything odd about a configuration.
pub(super) fn of(
    source: &Source<'_>,
    config: &SafetyConfig,
    robot: &RobotDescription,
) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut add = |key: &str, problem: String| found.push(Warning::new(source, key, problem));
    for (i, joint) in robot.joints.iter().enumerate() {
        for (key, gate, plans, unit) in [
            (
                "joints.velocity_max_rad_s",
                config.velocity_max_rad_s[i],
                joint.velocity_max_rad_s,
                "rad/s",
            ),
            (
                "joints.acceleration_max_rad_s2",
                config.acceleration_max_rad_s2[i],
                joint.acceleration_max_rad_s2,
                "rad/s²",
            ),
            (
                "joints.jerk_max_rad_s3",
                config.jerk_max_rad_s3[i],
                joint.jerk_max_rad_s3,
                "rad/s³",
            ),
        ] {
            if plans > gate {
                let name = &joint.name;
                add(
                    key,
                    format!(
                        "{gate} {unit} for {name}, and motions are planned with the robot's {plans}: the gate will hold \
                         them back"
                    ),
                );
            }
        }
    }
    let gripper = &robot.gripper;
    for (key, gate, plans, unit, narrower) in [
        (
            "gripper.width_min_m",
            config.gripper_width_min_m,
            gripper.width_min_m,
            "m",
            config.gripper_width_min_m > gripper.width_min_m,
        ),
        (
            "gripper.width_max_m",
            config.gripper_width_max_m,
            gripper.width_max_m,
            "m",
            config.gripper_width_max_m < gripper.width_max_m,
        ),
        (
            "gripper.force_max_n",
            config.gripper_force_max_n,
            gripper.force_max_n,
            "N",
            config.gripper_force_max_n < gripper.force_max_n,
        ),
    ] {
        if narrower {
            add(
                key,
                format!(
                    "{gate} {unit}, and motions may ask for the robot's {plans}: the gate will hold them back"
                ),
            );
        }
    }
    for pose in &robot.poses {
        for (i, q) in pose.joints_rad.iter().enumerate() {
            let margin = config.following_error_max_rad[i];
            let (low, high) = (config.position_min_rad[i], config.position_max_rad[i]);
            let key = if *q < low + margin {
                "joints.position_min_rad"
            } else if *q > high - margin {
                "joints.position_max_rad"
            } else {
                continue;
            };
            add(
                key,
                format!(
                    "{} of the pose {:?} is {q} rad, outside {low} to {high} less the following error of {margin}: the \
                     robot will not get there",
                    robot.joints[i].name, pose.name
                ),
            );
        }
    }
    if let Some(grip) = &config.grip
        && grip.empty_width_m <= config.gripper_width_min_m
    {
        add(
            "grip.empty_width_m",
            format!(
                "{} m, which fingers at gripper.width_min_m ({} m) are not nearer than: empty fingers will not count as \
                 empty",
                grip.empty_width_m, config.gripper_width_min_m
            ),
        );
    }
    for (index, zone) in config.zones.iter().enumerate() {
        if is_beyond_envelope(&zone.shape, config) {
            add(
                &format!("zone[{index}]"),
                format!(
                    "zone {:?} lies wholly outside the envelope, where nothing may go: it does nothing. Lengths are in m",
                    zone.name
                ),
            );
        }
        if let Some(speed) = zone.speed_max_m_s
            && speed >= config.tool_speed_max_m_s.max(config.elbow_speed_max_m_s)
        {
            add(
                &format!("zone[{index}].speed_max_m_s"),
                format!(
                    "{speed} m/s in zone {:?}, no slower than [tool] allows everywhere: the zone does nothing",
                    zone.name
                ),
            );
        }
    }
    found
}

/// No point of the envelope is in the zone, or in the box around it.
fn is_beyond_envelope(shape: &ZoneShape, config: &SafetyConfig) -> bool {
    let (low, high) = (config.envelope_min_m, config.envelope_max_m);
    match (shape, shape.bounds()) {
        (_, Some(bounds)) => {
            (0..3).any(|axis| bounds.max[axis] < low[axis] || bounds.min[axis] > high[axis])
        }
        (ZoneShape::HalfSpace(half), None) => {
            // The corner that is deepest below the plane.
            let deepest: f64 = (0..3)
                .map(|axis| (half.normal[axis] * low[axis]).min(half.normal[axis] * high[axis]))
                .sum();
            deepest > half.offset_m
        }
        _ => false,
    }
}
