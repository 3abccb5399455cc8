//! From the file's shape to the gate's configuration.

use nalgebra::Vector3;
use sinew_kinematics::{Aabb, Cylinder, HalfSpace, Hull, Point};
use sinew_safety::{
    BodyRegion, Cone, ContactLimits, EffortLimits, ForceReaction, GripLimits, ModeLimits,
    SafetyConfig, SelfCollision, SeparationConfig, Singularity, YieldLimits, Zone, ZoneShape,
};
use sinew_units::Ticks;

use super::shape;
use crate::error::{DescriptionError, Source};

fn zones(source: &Source<'_>, from: Vec<shape::Zone>) -> Result<Vec<Zone>, DescriptionError> {
    from.into_iter()
        .enumerate()
        .map(|(index, zone)| {
            let shape = match (zone.r#box, zone.half_space, zone.cylinder, zone.hull) {
                (None, None, Some(cylinder), None) => ZoneShape::Cylinder(Cylinder {
                    base: Point::from(cylinder.base_m),
                    radius_m: cylinder.radius_m,
                    height_m: cylinder.height_m,
                }),
                (None, None, None, Some(hull)) => {
                    let points: Vec<Point> =
                        hull.points_m.iter().copied().map(Point::from).collect();
                    ZoneShape::Hull(Hull::new(&points).map_err(|error| {
                        source.refuse(
                            &format!("zone[{index}].hull.points_m"),
                            error.to_string(),
                            "4 to 32 finite points that enclose something",
                        )
                    })?)
                }
                (Some(corners), None, None, None) => ZoneShape::Box(Aabb {
                    min: Point::from(corners.min_m),
                    max: Point::from(corners.max_m),
                }),
                (None, Some(half_space), None, None) => {
                    let normal = Vector3::from(half_space.normal);
                    let off = (normal.norm() - 1.0).abs();
                    if off.is_nan() || off > 1e-3 {
                        return Err(source.refuse(
                            &format!("zone[{index}].half_space.normal"),
                            format!("{:?}", half_space.normal),
                            "a vector of length 1",
                        ));
                    }
                    ZoneShape::HalfSpace(HalfSpace {
                        normal: normal.normalize(),
                        offset_m: half_space.offset_m,
                    })
                }
                _ => {
                    return Err(source.refuse(
                        &format!("zone[{index}]"),
                        format!("{:?} with no shape or with several", zone.name),
                        "exactly one of `box`, `half_space`, `cylinder` and `hull`",
                    ));
                }
            };
            Ok(Zone {
                name: zone.name,
                shape,
                speed_max_m_s: zone.speed_max_m_s,
            })
        })
        .collect()
}

fn mode(from: &shape::Mode) -> ModeLimits {
    ModeLimits {
        speed_max_m_s: from.speed_max_m_s,
        joint_speed_share: from.joint_speed_share,
    }
}

fn cone(source: &Source<'_>, from: Option<shape::Cone>) -> Result<Option<Cone>, DescriptionError> {
    let Some(shape::Cone {
        axis,
        half_angle_deg,
    }) = from
    else {
        return Ok(None);
    };
    let direction = Vector3::from(axis);
    let off = (direction.norm() - 1.0).abs();
    if off.is_nan() || off > 1e-3 {
        return Err(source.refuse("cone.axis", format!("{axis:?}"), "a vector of length 1"));
    }
    Ok(Some(Cone {
        axis: direction.normalize().into(),
        half_angle_rad: half_angle_deg.to_radians(),
    }))
}

fn reaction(
    source: &Source<'_>,
    reaction: &shape::Reaction,
    yields: Option<shape::Yield>,
) -> Result<ForceReaction, DescriptionError> {
    match (reaction, yields) {
        (shape::Reaction::Off, None) => Ok(ForceReaction::Off),
        (shape::Reaction::Hold, None) => Ok(ForceReaction::Hold),
        (shape::Reaction::Latch, None) => Ok(ForceReaction::Latch),
        (shape::Reaction::Yield, Some(yields)) => Ok(ForceReaction::Yield(YieldLimits {
            admittance_m_s_n: yields.admittance_m_s_n,
            speed_max_m_s: yields.speed_max_m_s,
            distance_max_m: yields.distance_max_m,
        })),
        (shape::Reaction::Yield, None) => Err(source.refuse(
            "force.reaction",
            "\"yield\" without a section [yield]".into(),
            "a section [yield] that says how fast and how far, or another reaction",
        )),
        (_, Some(_)) => Err(source.refuse(
            "yield",
            "a section that nothing uses".into(),
            "`reaction = \"yield\"` in [force], or no section [yield]",
        )),
    }
}

fn contact_limits(
    source: &Source<'_>,
    from: shape::Contact,
) -> Result<ContactLimits, DescriptionError> {
    for (index, region) in from.region.iter().enumerate() {
        if (from.region[..index].iter()).any(|other| other.name == region.name) {
            return Err(source.refuse(
                &format!("contact.region[{index}].name"),
                format!("{:?}, which another region has", region.name),
                "a name of its own",
            ));
        }
    }
    Ok(ContactLimits {
        regions: (from.region.into_iter())
            .map(|region| BodyRegion {
                name: region.name,
                force_max_n: region.force_max_n,
                transient_factor: region.transient_factor,
                stiffness_n_m: region.stiffness_n_m,
                mass_kg: region.mass_kg,
            })
            .collect(),
        transient_ticks: from.transient_ms,
        power_max_w: from.power_max_w,
        momentum_max_kg_m_s: from.momentum_max_kg_m_s,
    })
}

/// The configuration that a file states; links that it ignores are still names.
pub(super) fn config(
    source: &Source<'_>,
    from: shape::Safety,
) -> Result<SafetyConfig, DescriptionError> {
    Ok(SafetyConfig {
        position_min_rad: from.joints.position_min_rad,
        position_max_rad: from.joints.position_max_rad,
        velocity_max_rad_s: from.joints.velocity_max_rad_s,
        acceleration_max_rad_s2: from.joints.acceleration_max_rad_s2,
        jerk_max_rad_s3: from.joints.jerk_max_rad_s3,
        stop_acceleration_rad_s2: from.stop.acceleration_rad_s2,
        stop_jerk_rad_s3: from.stop.jerk_rad_s3,
        reaction_ticks: u32::try_from(Ticks::from_ms(u64::from(from.stop.reaction_ms)).0)
            .unwrap_or(u32::MAX),
        tool_speed_max_m_s: from.tool.speed_max_m_s,
        elbow_speed_max_m_s: from.tool.elbow_speed_max_m_s,
        reduced: mode(&from.reduced),
        recovery: mode(&from.recovery),
        cone: cone(source, from.cone)?,
        self_collision: from.self_collision.map(|collision| SelfCollision {
            margin_m: collision.margin_m,
            // Names are looked up when the robot is known.
            ignored: Vec::new(),
        }),
        effort: from.effort.map(|effort| EffortLimits {
            max_nm: effort.max_nm,
            rate_max_nm_s: effort.rate_max_nm_s,
            load_max_kg: effort.load_max_kg,
            measured_ticks: effort.measured_ms,
        }),
        separation: from
            .separation
            .map(|separation| {
                Ok(SeparationConfig {
                    approach_speed_m_s: separation.approach_speed_m_s,
                    intrusion_m: separation.intrusion_m,
                    robot_uncertainty_m: separation.robot_uncertainty_m,
                    silent_ticks: milliseconds(
                        source,
                        "separation.silent_ms",
                        separation.silent_ms,
                    )?,
                })
            })
            .transpose()?,
        envelope_min_m: from.envelope.min_m,
        envelope_max_m: from.envelope.max_m,
        zones: zones(source, from.zone)?,
        gripper_width_min_m: from.gripper.width_min_m,
        gripper_width_max_m: from.gripper.width_max_m,
        gripper_force_max_n: from.gripper.force_max_n,
        tracking_margin_m: from.tracking.margin_m,
        following_error_max_rad: from.tracking.following_error_max_rad,
        following_error_ticks: milliseconds(
            source,
            "tracking.following_error_ms",
            from.tracking.following_error_ms,
        )?,
        force_stop_n: from.force.stop_n,
        force_reaction: reaction(source, &from.force.reaction, from.r#yield)?,
        contact: from
            .contact
            .map(|contact| contact_limits(source, contact))
            .transpose()?,
        grip: from.grip.map(|grip| GripLimits {
            empty_width_m: grip.empty_width_m,
            lost_force_n: grip.lost_force_n,
            lost_ticks: grip.lost_ms,
        }),
        singularity: from.singularity.map(|singularity| Singularity {
            characteristic_length_m: singularity.characteristic_length_m,
            slow_above: singularity.slow_above,
            stop_above: singularity.stop_above,
            slow_share: singularity.slow_share,
        }),
        heartbeat_ticks: milliseconds(
            source,
            "brain.heartbeat_timeout_ms",
            from.brain.heartbeat_timeout_ms,
        )?,
        standstill_rad_s: from.standstill.speed_max_rad_s,
    })
}

/// Longest span that a safety file may state: a minute.
const SPAN_MAX_MS: u64 = 60_000;

fn milliseconds(source: &Source<'_>, key: &str, ms: u64) -> Result<u64, DescriptionError> {
    if ms <= SPAN_MAX_MS {
        return Ok(Ticks::from_ms(ms).0);
    }
    Err(source.refuse(key, ms.to_string(), &format!("up to {SPAN_MAX_MS}")))
}
