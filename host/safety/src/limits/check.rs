//! Whether a configuration makes sense.

use nalgebra::Vector3;
use sinew_messages::JOINTS;
use sinew_units::TICK_S;

use super::{ForceReaction, LimitsError, SafetyConfig};
use crate::brake::STOP_TICKS_MAX;
use crate::contact::REGIONS_MAX;
use crate::grip::GripLimits;
use crate::setpoint::at_most;
use crate::singularity::Singularity;
use crate::zones::{SLOW_SPEEDS_MAX, ZONES_MAX, Zone, ZoneShape, slow_speeds};

/// What a quantity may be at all: far beyond any robot, near enough to catch a slip of the exponent.
struct Range {
    least: f64,
    most: f64,
    words: &'static str,
}

const fn range(least: f64, most: f64, words: &'static str) -> Range {
    Range { least, most, words }
}

const VELOCITY: Range = range(1e-3, 100.0, "0.001 to 100");
const ACCELERATION: Range = range(1e-2, 1e4, "0.01 to 10000");
const JERK: Range = range(0.1, 1e6, "0.1 to 1000000");
const FORCE: Range = range(0.1, 1e4, "0.1 to 10000");
/// Margins and rests, in rad, rad/s or m.
const SMALL: Range = range(1e-6, 1.0, "0.000001 to 1");
const EFFORT: Range = range(0.1, 1e5, "0.1 to 100000");
const EFFORT_RATE: Range = range(1.0, 1e8, "1 to 100000000");
const LOAD: Range = range(0.0, 1e3, "0 to 1000");
const MASS: Range = range(1e-2, 1e3, "0.01 to 1000");
const POWER: Range = range(0.1, 1e5, "0.1 to 100000");
const MOMENTUM: Range = range(1e-2, 1e5, "0.01 to 100000");
const STIFFNESS: Range = range(1e2, 1e7, "100 to 10000000");
/// Of a part of the body for a moment.
const FACTOR: Range = range(1.0, 10.0, "1 to 10");
const ADMITTANCE: Range = range(1e-6, 1.0, "0.000001 to 1");
/// Condition numbers: 1 is the best there is.
const CONDITION: Range = range(1.0, 1e6, "1 to 1000000");
/// Angles that a cone may be open by, rad.
const ANGLE: Range = range(1e-3, core::f64::consts::PI, "0.001 to 3.14159");
/// Distances that are added, m.
const DISTANCE: Range = range(0.0, 10.0, "0 to 10");
/// Of an arm, m.
const LENGTH: Range = range(1e-2, 10.0, "0.01 to 10");
/// Shares of another limit.
const SHARE: Range = range(1e-3, 1.0, "0.001 to 1");
/// Positions of envelope and zones, m, or of joints, rad.
pub(crate) const PLACE_MAX: f64 = 1e3;
const PLACE_WORDS: &str = "-1000 to 1000";

pub(super) fn check(c: &SafetyConfig) -> Result<(), LimitsError> {
    let within = within_range;
    let finite = |field, index, found: f64| {
        if at_most(found.abs(), PLACE_MAX) {
            return Ok(());
        }
        Err(LimitsError::Value {
            field,
            index,
            found,
            allowed: PLACE_WORDS,
        })
    };
    let ordered = |min_field, max_field, index, min: f64, max: f64| {
        finite(min_field, index, min)?;
        finite(max_field, index, max)?;
        if min < max {
            return Ok(());
        }
        Err(LimitsError::Reversed {
            min_field,
            max_field,
            index,
            min,
            max,
        })
    };
    for i in 0..JOINTS {
        let joint = Some(i);
        for (field, values, range) in [
            ("velocity_max_rad_s", &c.velocity_max_rad_s, &VELOCITY),
            (
                "acceleration_max_rad_s2",
                &c.acceleration_max_rad_s2,
                &ACCELERATION,
            ),
            ("jerk_max_rad_s3", &c.jerk_max_rad_s3, &JERK),
            (
                "stop_acceleration_rad_s2",
                &c.stop_acceleration_rad_s2,
                &ACCELERATION,
            ),
            ("stop_jerk_rad_s3", &c.stop_jerk_rad_s3, &JERK),
            (
                "following_error_max_rad",
                &c.following_error_max_rad,
                &SMALL,
            ),
        ] {
            within(field, joint, values[i], range)?;
        }
        let (min, max) = (c.position_min_rad[i], c.position_max_rad[i]);
        ordered("position_min_rad", "position_max_rad", joint, min, max)?;
        let room = 0.5 * (max - min);
        if c.following_error_max_rad[i] >= room {
            return Err(LimitsError::Value {
                field: "following_error_max_rad",
                index: joint,
                found: c.following_error_max_rad[i],
                allowed: "less than half the room between the position limits",
            });
        }
        let stop_s = c.velocity_max_rad_s[i] / c.stop_acceleration_rad_s2[i]
            + 2.0 * (c.acceleration_max_rad_s2[i].max(c.stop_acceleration_rad_s2[i]))
                / c.stop_jerk_rad_s3[i];
        let ticks = (stop_s / TICK_S).ceil() + 4.0;
        // Written so that NaN fails too.
        if !at_most(ticks, STOP_TICKS_MAX as f64) {
            // The cast saturates.
            let ticks = ticks as u64;
            return Err(LimitsError::StopTooLong { joint: i, ticks });
        }
    }
    for i in 0..3 {
        ordered(
            "envelope_min_m",
            "envelope_max_m",
            Some(i),
            c.envelope_min_m[i],
            c.envelope_max_m[i],
        )?;
    }
    within("tool_speed_max_m_s", None, c.tool_speed_max_m_s, &VELOCITY)?;
    within(
        "elbow_speed_max_m_s",
        None,
        c.elbow_speed_max_m_s,
        &VELOCITY,
    )?;
    check_modes(c)?;
    within("tracking_margin_m", None, c.tracking_margin_m, &SMALL)?;
    if let Some(collision) = &c.self_collision {
        within("self_collision.margin_m", None, collision.margin_m, &SMALL)?;
    }
    if let Some(cone) = &c.cone {
        let norm = Vector3::from(cone.axis).norm();
        if !at_most((norm - 1.0).abs(), 1e-6) {
            return Err(LimitsError::Value {
                field: "cone.axis",
                index: None,
                found: norm,
                allowed: "a unit vector",
            });
        }
        within("cone.half_angle_rad", None, cone.half_angle_rad, &ANGLE)?;
    }
    if let Some(effort) = &c.effort {
        for i in 0..JOINTS {
            within("effort.max_nm", Some(i), effort.max_nm[i], &EFFORT)?;
            within(
                "effort.rate_max_nm_s",
                Some(i),
                effort.rate_max_nm_s[i],
                &EFFORT_RATE,
            )?;
        }
        within("effort.load_max_kg", None, effort.load_max_kg, &LOAD)?;
    }
    if let Some(separation) = &c.separation {
        for (field, found, range) in [
            (
                "separation.approach_speed_m_s",
                separation.approach_speed_m_s,
                &VELOCITY,
            ),
            ("separation.intrusion_m", separation.intrusion_m, &DISTANCE),
            (
                "separation.robot_uncertainty_m",
                separation.robot_uncertainty_m,
                &DISTANCE,
            ),
        ] {
            within(field, None, found, range)?;
        }
        // Zr has to cover where the robot may really be.
        if separation.robot_uncertainty_m < c.tracking_margin_m {
            return Err(LimitsError::Value {
                field: "separation.robot_uncertainty_m",
                index: None,
                found: separation.robot_uncertainty_m,
                allowed: "at least the tracking margin",
            });
        }
    }
    within("force_stop_n", None, c.force_stop_n, &FORCE)?;
    check_contact(c)?;
    if let Some(grip) = &c.grip {
        within("grip.empty_width_m", None, grip.empty_width_m, &SMALL)?;
        within("grip.lost_force_n", None, grip.lost_force_n, &FORCE)?;
    }
    if let Some(singularity) = &c.singularity {
        check_singularity(singularity)?;
    }
    within("standstill_rad_s", None, c.standstill_rad_s, &SMALL)?;
    ordered(
        "gripper_width_min_m",
        "gripper_width_max_m",
        None,
        c.gripper_width_min_m,
        c.gripper_width_max_m,
    )?;
    if c.gripper_width_min_m < 0.0 {
        return Err(LimitsError::Value {
            field: "gripper_width_min_m",
            index: None,
            found: c.gripper_width_min_m,
            allowed: "0 or more",
        });
    }
    within("gripper_force_max_n", None, c.gripper_force_max_n, &FORCE)?;
    for (field, least, ticks) in [
        ("heartbeat_ticks", 1, c.heartbeat_ticks),
        ("following_error_ticks", 0, c.following_error_ticks),
    ] {
        patient(field, least, ticks)?;
    }
    if let Some(separation) = &c.separation {
        patient("separation.silent_ticks", 1, separation.silent_ticks)?;
    }
    for (field, ticks) in [
        (
            "effort.measured_ticks",
            c.effort.map(|effort| effort.measured_ticks),
        ),
        (
            "contact.transient_ticks",
            (c.contact.as_ref()).map(|contact| contact.transient_ticks),
        ),
        ("grip.lost_ticks", c.grip.map(|grip| grip.lost_ticks)),
    ] {
        patient(field, 0, u64::from(ticks.unwrap_or(0)))?;
    }
    if c.reaction_ticks > 100 {
        return Err(LimitsError::Value {
            field: "reaction_ticks",
            index: None,
            found: f64::from(c.reaction_ticks),
            allowed: "0 to 100",
        });
    }
    check_zones(&c.zones)?;
    c.grip.as_ref().map_or(Ok(()), |grip| check_grip(grip, c))
}

/// What the gripper can do at all must be more than what counts as a lost grip.
fn check_grip(grip: &GripLimits, c: &SafetyConfig) -> Result<(), LimitsError> {
    for (field, found, most, allowed) in [
        (
            "grip.empty_width_m",
            grip.empty_width_m,
            c.gripper_width_max_m,
            "below the gripper's largest width: the fingers are never farther apart, and would always count as empty",
        ),
        (
            "grip.lost_force_n",
            grip.lost_force_n,
            c.gripper_force_max_n,
            "below the gripper's largest force: nothing is ever held as hard as that, and every grip would count as lost",
        ),
    ] {
        if found >= most {
            return Err(LimitsError::Value {
                field,
                index: None,
                found,
                allowed,
            });
        }
    }
    Ok(())
}

/// Longest time for which the gate may be configured to wait and see: a minute.
const PATIENCE_TICKS: u64 = 60_000;

fn patient(field: &'static str, least: u64, ticks: u64) -> Result<(), LimitsError> {
    if (least..=PATIENCE_TICKS).contains(&ticks) {
        return Ok(());
    }
    Err(LimitsError::Value {
        field,
        index: None,
        found: ticks as f64,
        allowed: if least == 0 {
            "0 to 60000"
        } else {
            "1 to 60000"
        },
    })
}

fn check_contact(c: &SafetyConfig) -> Result<(), LimitsError> {
    let within = within_range;
    if let ForceReaction::Yield(yields) = &c.force_reaction {
        for (field, found, range) in [
            (
                "yield.admittance_m_s_n",
                yields.admittance_m_s_n,
                &ADMITTANCE,
            ),
            ("yield.speed_max_m_s", yields.speed_max_m_s, &VELOCITY),
            ("yield.distance_max_m", yields.distance_max_m, &SMALL),
        ] {
            within(field, None, found, range)?;
        }
        if yields.speed_max_m_s > c.tool_speed_max_m_s {
            return Err(LimitsError::Value {
                field: "yield.speed_max_m_s",
                index: None,
                found: yields.speed_max_m_s,
                allowed: "at most the tool speed of the mode `normal`",
            });
        }
    }
    let Some(contact) = &c.contact else {
        return Ok(());
    };
    within("contact.power_max_w", None, contact.power_max_w, &POWER)?;
    within(
        "contact.momentum_max_kg_m_s",
        None,
        contact.momentum_max_kg_m_s,
        &MOMENTUM,
    )?;
    let count = contact.regions.len();
    if count > REGIONS_MAX {
        return Err(LimitsError::TooManyRegions { count });
    }
    for (index, region) in contact.regions.iter().enumerate() {
        for (field, found, range) in [
            ("contact.region.force_max_n", region.force_max_n, &FORCE),
            (
                "contact.region.transient_factor",
                region.transient_factor,
                &FACTOR,
            ),
            (
                "contact.region.stiffness_n_m",
                region.stiffness_n_m,
                &STIFFNESS,
            ),
            ("contact.region.mass_kg", region.mass_kg, &MASS),
        ] {
            within(field, Some(index), found, range)?;
        }
    }
    Ok(())
}

fn check_singularity(singularity: &Singularity) -> Result<(), LimitsError> {
    let within = within_range;
    within(
        "singularity.characteristic_length_m",
        None,
        singularity.characteristic_length_m,
        &LENGTH,
    )?;
    for (field, found) in [
        ("singularity.slow_above", singularity.slow_above),
        ("singularity.stop_above", singularity.stop_above),
    ] {
        within(field, None, found, &CONDITION)?;
    }
    if singularity.slow_above >= singularity.stop_above {
        return Err(LimitsError::Reversed {
            min_field: "singularity.slow_above",
            max_field: "singularity.stop_above",
            index: None,
            min: singularity.slow_above,
            max: singularity.stop_above,
        });
    }
    within(
        "singularity.slow_share",
        None,
        singularity.slow_share,
        &SHARE,
    )
}

/// A mode that is meant to be slower must be.
fn check_modes(c: &SafetyConfig) -> Result<(), LimitsError> {
    for (mode, speed, share) in [
        (
            &c.reduced,
            "reduced.speed_max_m_s",
            "reduced.joint_speed_share",
        ),
        (
            &c.recovery,
            "recovery.speed_max_m_s",
            "recovery.joint_speed_share",
        ),
    ] {
        within_range(speed, None, mode.speed_max_m_s, &VELOCITY)?;
        within_range(share, None, mode.joint_speed_share, &SHARE)?;
        if mode.speed_max_m_s > c.tool_speed_max_m_s {
            return Err(LimitsError::Value {
                field: speed,
                index: None,
                found: mode.speed_max_m_s,
                allowed: "at most the tool speed of the mode `normal`",
            });
        }
    }
    Ok(())
}

fn within_range(
    field: &'static str,
    index: Option<usize>,
    found: f64,
    range: &Range,
) -> Result<(), LimitsError> {
    if (range.least..=range.most).contains(&found) {
        return Ok(());
    }
    Err(LimitsError::Value {
        field,
        index,
        found,
        allowed: range.words,
    })
}

fn check_zones(zones: &[Zone]) -> Result<(), LimitsError> {
    if zones.len() > ZONES_MAX {
        return Err(LimitsError::TooManyZones { count: zones.len() });
    }
    let count = slow_speeds(zones).len();
    if count > SLOW_SPEEDS_MAX {
        return Err(LimitsError::TooManySpeeds { count });
    }
    for (index, zone) in zones.iter().enumerate() {
        let refuse = |field, found, allowed| {
            Err(LimitsError::Value {
                field,
                index: Some(index),
                found,
                allowed,
            })
        };
        if let Some(speed) = zone.speed_max_m_s {
            within_range("zones.speed_max_m_s", Some(index), speed, &VELOCITY)?;
        }
        match &zone.shape {
            ZoneShape::Box(aabb) => {
                for (min, max) in aabb.min.iter().zip(aabb.max.iter()) {
                    for found in [*min, *max] {
                        if !at_most(found.abs(), PLACE_MAX) {
                            return refuse("zones", found, PLACE_WORDS);
                        }
                    }
                    if min >= max {
                        return Err(LimitsError::Reversed {
                            min_field: "zones.min_m",
                            max_field: "zones.max_m",
                            index: Some(index),
                            min: *min,
                            max: *max,
                        });
                    }
                }
            }
            ZoneShape::Cylinder(cylinder) => {
                for found in cylinder.base.iter() {
                    if !at_most(found.abs(), PLACE_MAX) {
                        return refuse("zones.base_m", *found, PLACE_WORDS);
                    }
                }
                for (field, found) in [
                    ("zones.radius_m", cylinder.radius_m),
                    ("zones.height_m", cylinder.height_m),
                ] {
                    if !(found > 0.0 && found <= PLACE_MAX) {
                        return refuse(field, found, "above 0, up to 1000");
                    }
                }
            }
            // Its points enclose something: it could not be made otherwise.
            ZoneShape::Hull(hull) => {
                for found in hull.points().iter().flat_map(|point| point.iter()) {
                    if !at_most(found.abs(), PLACE_MAX) {
                        return refuse("zones.points_m", *found, PLACE_WORDS);
                    }
                }
            }
            ZoneShape::HalfSpace(half_space) => {
                let norm = Vector3::norm(&half_space.normal);
                if !at_most((norm - 1.0).abs(), 1e-6) {
                    return refuse("zones.normal", norm, "a unit vector");
                }
                if !at_most(half_space.offset_m.abs(), PLACE_MAX) {
                    return refuse("zones.offset_m", half_space.offset_m, PLACE_WORDS);
                }
            }
        }
    }
    Ok(())
}
