//! Whether a configuration fits a robot: its mechanics, its place, its brakes, its links.

use sinew_kinematics::Body;
use sinew_messages::{JOINTS, JointVector};
use sinew_safety::{SafetyConfig, close_at_rest};

use super::link_name;
use crate::RobotDescription;
use crate::error::{DescriptionError, Source};

/// No limit lets through what the robot's mechanics don't bear.
pub(super) fn within_mechanics(
    source: &Source<'_>,
    config: &SafetyConfig,
    robot: &RobotDescription,
) -> Result<(), DescriptionError> {
    for (index, joint) in robot.joints.iter().enumerate() {
        for (key, value) in [
            ("joints.position_min_rad", config.position_min_rad[index]),
            ("joints.position_max_rad", config.position_max_rad[index]),
        ] {
            if !(joint.position_min_rad..=joint.position_max_rad).contains(&value) {
                return Err(source.refuse(
                    key,
                    format!("{value} for joint {} ({})", index + 1, joint.name),
                    &format!(
                        "within the robot's own {} to {}",
                        joint.position_min_rad, joint.position_max_rad
                    ),
                ));
            }
        }
    }
    for (key, value, allowed) in [
        (
            "gripper.width_max_m",
            config.gripper_width_max_m,
            robot.gripper.width_max_m,
        ),
        (
            "gripper.force_max_n",
            config.gripper_force_max_n,
            robot.gripper.force_max_n,
        ),
    ] {
        if value > allowed {
            return Err(source.refuse(
                key,
                crate::error::number(value),
                &format!("up to the robot's own {allowed}"),
            ));
        }
    }
    Ok(())
}

/// Postures that the brakes are tried in.
const BRAKE_POSTURES: u32 = 400;

/// A joint that brakes alone at its stop acceleration, in any of many postures and with the largest load, needs
/// no more than its effort limit, gravity included. What several joints that brake together take from each
/// other is left to the prediction of every tick.
pub(super) fn can_brake(
    source: &Source<'_>,
    config: &SafetyConfig,
    robot: &RobotDescription,
) -> Result<(), DescriptionError> {
    let Some(effort) = &config.effort else {
        return Ok(());
    };
    let chain = robot.chain();
    let load = Body {
        mass_kg: effort.load_max_kg,
        com_m: robot.hand.tcp_m,
        inertia_kg_m2: [0.0; 3],
    };
    let still = [0.0; JOINTS];
    let mut most: JointVector = [0.0; JOINTS];
    for n in 0..BRAKE_POSTURES {
        // A low-discrepancy sequence (powers of the root of x⁸ = x + 1): spread evenly, and the same each time.
        let q: JointVector = core::array::from_fn(|j| {
            let share = (0.5 + f64::from(n) * 0.905_071_3_f64.powi(j as i32 + 1)).fract();
            let (low, high) = (config.position_min_rad[j], config.position_max_rad[j]);
            low + share * (high - low)
        });
        let Some(weight) = chain.efforts(&q, &still, &still, &load) else {
            return Ok(());
        };
        for j in 0..JOINTS {
            let mut a = still;
            a[j] = config.stop_acceleration_rad_s2[j];
            if let Some(braking) = chain.efforts(&q, &still, &a, &load) {
                let inertia = (braking[j] - weight[j]).abs();
                most[j] = most[j].max(inertia + weight[j].abs());
            }
        }
    }
    for (j, need) in most.iter().enumerate() {
        if *need > effort.max_nm[j] {
            return Err(source.refuse(
                "stop.acceleration_rad_s2",
                format!(
                    "{} for {}, which needs {need:.0} N·m against gravity and a load of {} kg where \
                     effort.max_nm allows {}",
                    config.stop_acceleration_rad_s2[j],
                    robot.joints[j].name,
                    effort.load_max_kg,
                    effort.max_nm[j]
                ),
                "a weaker stop, a smaller load, or stronger drives",
            ));
        }
    }
    Ok(())
}

/// What cannot get out of the way is neither in a zone nor outside the envelope: base and first link.
pub(super) fn leaves_room(
    source: &Source<'_>,
    config: &SafetyConfig,
    robot: &RobotDescription,
) -> Result<(), DescriptionError> {
    let chain = robot.chain();
    let forward = chain.forward(chain.rest());
    for capsule in chain.place_capsules(&forward).filter(|c| c.link <= 1) {
        let link = link_name(robot, capsule.link);
        for (index, zone) in config.zones.iter().enumerate() {
            let clearance = zone.shape.clearance(&capsule);
            if zone.speed_max_m_s.is_none() && clearance < 0.0 {
                return Err(source.refuse(
                    &format!("zone[{index}]"),
                    format!("{:?}, which the robot's {link} stands in", zone.name),
                    "away from what cannot leave it",
                ));
            }
        }
        let (low, high) = (&config.envelope_min_m, &config.envelope_max_m);
        for axis in 0..3 {
            let (a, b) = (capsule.a[axis], capsule.b[axis]);
            let key = if capsule.link > 0 && a.min(b) - capsule.radius_m < low[axis] {
                "envelope.min_m"
            } else if capsule.link > 0 && a.max(b) + capsule.radius_m > high[axis] {
                "envelope.max_m"
            } else {
                continue;
            };
            return Err(source.refuse(
                key,
                format!("{low:?} to {high:?}"),
                &format!("a box around the robot's {link}, which cannot leave its place"),
            ));
        }
    }
    Ok(())
}

/// Links that are compared are far enough apart in the posture of rest.
pub(super) fn links_keep_off_at_rest(
    source: &Source<'_>,
    config: &SafetyConfig,
    robot: &RobotDescription,
) -> Result<(), DescriptionError> {
    if let Some(pair) = close_at_rest(&robot.chain(), config).first() {
        let [a, b] = pair.links.map(|link| link_name(robot, link));
        return Err(source.refuse(
            "self_collision.margin_m",
            format!(
                "too much for {a} and {b}, which are {:.4} m apart in the posture of rest and, with what \
                 following errors add, must be {:.4} m",
                pair.clearance_m, pair.need_m
            ),
            "a smaller margin, smaller following errors, or the two listed in self_collision.ignore if their \
             capsules only cover the joint between them",
        ));
    }
    Ok(())
}
