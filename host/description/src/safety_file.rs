//! The safety file: what a person configures about the gate, checked against the robot it is for.

use nalgebra::Vector3;
use serde::Deserialize;
use sinew_kinematics::{Aabb, Body, Cylinder, HAND, HalfSpace, Hull, Point};
use sinew_messages::{JOINTS, JointVector};
use sinew_safety::{
    BodyRegion, Cone, ContactLimits, EffortLimits, ForceReaction, GripLimits, LimitsError,
    ModeLimits, SafetyConfig, SafetyLimits, SelfCollision, SeparationConfig, Singularity,
    YieldLimits, Zone, ZoneShape, close_at_rest,
};
use sinew_units::Ticks;

use crate::RobotDescription;
use crate::error::{DescriptionError, Source};

/// The configuration of the cell that comes with Sinew.
const BUILTIN: &str = include_str!("../robots/cell-safety.toml");

/// A safety file whose values are possible in themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct SafetyFile {
    /// Name of the configuration.
    pub name: String,
    config: SafetyConfig,
    /// Names of links that are not compared.
    ignored: Vec<[String; 2]>,
    text: String,
    origin: String,
}

impl SafetyFile {
    /// The configuration of the cell that comes with Sinew.
    #[must_use]
    pub fn builtin() -> Self {
        Self::from_toml_str(BUILTIN, "cell-safety.toml (built in)")
            .expect("the embedded file is checked by this crate's tests")
    }

    /// Reads a safety file; `origin` names it in errors.
    ///
    /// # Errors
    /// [`DescriptionError`] with the line: unknown keys, wrong types, and values that no gate takes.
    pub fn from_toml_str(text: &str, origin: &str) -> Result<Self, DescriptionError> {
        let source = Source { text, origin };
        let file: file::Safety = source.parse()?;
        let name = file.name.clone();
        let ignored = (file.self_collision.as_ref())
            .map_or_else(Vec::new, |collision| collision.ignore.clone());
        let config = config(&source, file)?;
        SafetyLimits::new(config.clone()).map_err(|error| refusal(&source, &error))?;
        for (index, zone) in config.zones.iter().enumerate() {
            if config.zones[..index]
                .iter()
                .any(|other| other.name == zone.name)
            {
                return Err(source.refuse(
                    &format!("zone[{index}].name"),
                    format!("{:?}, which another zone has", zone.name),
                    "a name of its own",
                ));
            }
        }
        Ok(Self {
            name,
            config,
            ignored,
            text: text.to_owned(),
            origin: origin.to_owned(),
        })
    }

    /// The limits for a robot.
    ///
    /// # Errors
    /// [`DescriptionError`] if they would allow what its mechanics don't.
    pub fn limits(&self, robot: &RobotDescription) -> Result<SafetyLimits, DescriptionError> {
        let source = Source {
            text: &self.text,
            origin: &self.origin,
        };
        for (index, joint) in robot.joints.iter().enumerate() {
            for (key, value) in [
                (
                    "joints.position_min_rad",
                    self.config.position_min_rad[index],
                ),
                (
                    "joints.position_max_rad",
                    self.config.position_max_rad[index],
                ),
            ] {
                if !(joint.position_min_rad..=joint.position_max_rad).contains(&value) {
                    return Err(source.refuse(
                        key,
                        format!("{value} for joint {index} ({})", joint.name),
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
                self.config.gripper_width_max_m,
                robot.gripper.width_max_m,
            ),
            (
                "gripper.force_max_n",
                self.config.gripper_force_max_n,
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
        self.leaves_room(&source, robot)?;
        self.can_brake(&source, robot)?;
        let mut config = self.config.clone();
        if let Some(collision) = &mut config.self_collision {
            for names in &self.ignored {
                let links = [
                    link_of(&source, robot, &names[0])?,
                    link_of(&source, robot, &names[1])?,
                ];
                collision.ignored.push(links);
            }
        }
        if let Some(pair) = close_at_rest(&robot.chain(), &config).first() {
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
        SafetyLimits::new(config).map_err(|error| refusal(&source, &error))
    }
}

/// Postures that the brakes are tried in.
const BRAKE_POSTURES: u32 = 400;

impl SafetyFile {
    /// A joint that brakes alone at its stop acceleration, in any of many postures and with the largest load, needs
    /// no more than its effort limit, gravity included. What several joints that brake together take from each
    /// other is left to the prediction of every tick.
    fn can_brake(
        &self,
        source: &Source<'_>,
        robot: &RobotDescription,
    ) -> Result<(), DescriptionError> {
        let Some(effort) = &self.config.effort else {
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
                let (low, high) = (
                    self.config.position_min_rad[j],
                    self.config.position_max_rad[j],
                );
                low + share * (high - low)
            });
            let Some(weight) = chain.efforts(&q, &still, &still, &load) else {
                return Ok(());
            };
            for j in 0..JOINTS {
                let mut a = still;
                a[j] = self.config.stop_acceleration_rad_s2[j];
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
                        self.config.stop_acceleration_rad_s2[j],
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
    fn leaves_room(
        &self,
        source: &Source<'_>,
        robot: &RobotDescription,
    ) -> Result<(), DescriptionError> {
        let chain = robot.chain();
        let forward = chain.forward(chain.rest());
        for capsule in chain.place_capsules(&forward).filter(|c| c.link <= 1) {
            let link = link_name(robot, capsule.link);
            for (index, zone) in self.config.zones.iter().enumerate() {
                let clearance = zone.shape.clearance(&capsule);
                if zone.speed_max_m_s.is_none() && clearance < 0.0 {
                    return Err(source.refuse(
                        &format!("zone[{index}]"),
                        format!("{:?}, which the robot's {link} stands in", zone.name),
                        "away from what cannot leave it",
                    ));
                }
            }
            let (low, high) = (&self.config.envelope_min_m, &self.config.envelope_max_m);
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
}

/// Number of the link with a name: `base`, `hand`, or that of the joint that turns it.
fn link_of(
    source: &Source<'_>,
    robot: &RobotDescription,
    name: &str,
) -> Result<usize, DescriptionError> {
    (0..=HAND)
        .find(|link| link_name(robot, *link) == name)
        .ok_or_else(|| {
            let names: Vec<&str> = (0..=HAND).map(|link| link_name(robot, link)).collect();
            source.refuse(
                "self_collision.ignore",
                format!("{name:?}"),
                &names.join(", "),
            )
        })
}

/// Name of a link in a safety file.
pub(crate) fn link_name(robot: &RobotDescription, link: usize) -> &str {
    match link {
        0 => "base",
        HAND => "hand",
        link => &robot.joints[link - 1].name,
    }
}

/// The file's own shape.
mod file {
    use super::{Deserialize, JointVector};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Safety {
        pub(super) name: String,
        pub(super) joints: Joints,
        pub(super) stop: Stop,
        pub(super) tool: Tool,
        pub(super) reduced: Mode,
        pub(super) recovery: Mode,
        pub(super) cone: Option<Cone>,
        pub(super) self_collision: Option<SelfCollision>,
        pub(super) effort: Option<Effort>,
        pub(super) separation: Option<Separation>,
        pub(super) envelope: Corners,
        #[serde(default)]
        pub(super) zone: Vec<Zone>,
        pub(super) gripper: Gripper,
        pub(super) tracking: Tracking,
        pub(super) force: Force,
        pub(super) r#yield: Option<Yield>,
        pub(super) contact: Option<Contact>,
        pub(super) grip: Option<Grip>,
        pub(super) singularity: Option<Singularity>,
        pub(super) brain: Brain,
        pub(super) standstill: Standstill,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Joints {
        pub(super) position_min_rad: JointVector,
        pub(super) position_max_rad: JointVector,
        pub(super) velocity_max_rad_s: JointVector,
        pub(super) acceleration_max_rad_s2: JointVector,
        pub(super) jerk_max_rad_s3: JointVector,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Stop {
        pub(super) acceleration_rad_s2: JointVector,
        pub(super) jerk_rad_s3: JointVector,
        pub(super) reaction_ms: u32,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Tool {
        pub(super) speed_max_m_s: f64,
        pub(super) elbow_speed_max_m_s: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Mode {
        pub(super) speed_max_m_s: f64,
        pub(super) joint_speed_share: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Cone {
        pub(super) axis: [f64; 3],
        pub(super) half_angle_deg: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct SelfCollision {
        pub(super) margin_m: f64,
        #[serde(default)]
        pub(super) ignore: Vec<[String; 2]>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Effort {
        pub(super) max_nm: JointVector,
        pub(super) rate_max_nm_s: JointVector,
        pub(super) load_max_kg: f64,
        pub(super) measured_ms: u32,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Separation {
        pub(super) approach_speed_m_s: f64,
        pub(super) intrusion_m: f64,
        pub(super) robot_uncertainty_m: f64,
        pub(super) silent_ms: u64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Corners {
        pub(super) min_m: [f64; 3],
        pub(super) max_m: [f64; 3],
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Zone {
        pub(super) name: String,
        pub(super) r#box: Option<Corners>,
        pub(super) half_space: Option<HalfSpace>,
        pub(super) cylinder: Option<Cylinder>,
        pub(super) hull: Option<Hull>,
        /// Left out: nothing may enter.
        pub(super) speed_max_m_s: Option<f64>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Cylinder {
        pub(super) base_m: [f64; 3],
        pub(super) radius_m: f64,
        pub(super) height_m: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Hull {
        pub(super) points_m: Vec<[f64; 3]>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct HalfSpace {
        pub(super) normal: [f64; 3],
        pub(super) offset_m: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Gripper {
        pub(super) width_min_m: f64,
        pub(super) width_max_m: f64,
        pub(super) force_max_n: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Tracking {
        pub(super) margin_m: f64,
        pub(super) following_error_max_rad: JointVector,
        pub(super) following_error_ms: u64,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub(super) enum Reaction {
        Off,
        Hold,
        Latch,
        Yield,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Force {
        pub(super) stop_n: f64,
        pub(super) reaction: Reaction,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Yield {
        pub(super) admittance_m_s_n: f64,
        pub(super) speed_max_m_s: f64,
        pub(super) distance_max_m: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Contact {
        pub(super) power_max_w: f64,
        pub(super) momentum_max_kg_m_s: f64,
        pub(super) transient_ms: u32,
        #[serde(default)]
        pub(super) region: Vec<Region>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Region {
        pub(super) name: String,
        pub(super) force_max_n: f64,
        pub(super) transient_factor: f64,
        pub(super) stiffness_n_m: f64,
        pub(super) mass_kg: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Grip {
        pub(super) empty_width_m: f64,
        pub(super) lost_force_n: f64,
        pub(super) lost_ms: u32,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Singularity {
        pub(super) characteristic_length_m: f64,
        pub(super) slow_above: f64,
        pub(super) stop_above: f64,
        pub(super) slow_share: f64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Brain {
        pub(super) heartbeat_timeout_ms: u64,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Standstill {
        pub(super) speed_max_rad_s: f64,
    }
}

fn zones(source: &Source<'_>, from: Vec<file::Zone>) -> Result<Vec<Zone>, DescriptionError> {
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

fn mode(from: &file::Mode) -> ModeLimits {
    ModeLimits {
        speed_max_m_s: from.speed_max_m_s,
        joint_speed_share: from.joint_speed_share,
    }
}

fn cone(source: &Source<'_>, from: Option<file::Cone>) -> Result<Option<Cone>, DescriptionError> {
    let Some(file::Cone {
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
    reaction: &file::Reaction,
    yields: Option<file::Yield>,
) -> Result<ForceReaction, DescriptionError> {
    match (reaction, yields) {
        (file::Reaction::Off, None) => Ok(ForceReaction::Off),
        (file::Reaction::Hold, None) => Ok(ForceReaction::Hold),
        (file::Reaction::Latch, None) => Ok(ForceReaction::Latch),
        (file::Reaction::Yield, Some(yields)) => Ok(ForceReaction::Yield(YieldLimits {
            admittance_m_s_n: yields.admittance_m_s_n,
            speed_max_m_s: yields.speed_max_m_s,
            distance_max_m: yields.distance_max_m,
        })),
        (file::Reaction::Yield, None) => Err(source.refuse(
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
    from: file::Contact,
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

fn config(source: &Source<'_>, from: file::Safety) -> Result<SafetyConfig, DescriptionError> {
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

/// The key of the file that a field of the configuration comes from.
fn key_of(field: &str, index: Option<usize>) -> String {
    let zone = index.unwrap_or(0);
    match field {
        "stop_acceleration_rad_s2" => "stop.acceleration_rad_s2".into(),
        "stop_jerk_rad_s3" => "stop.jerk_rad_s3".into(),
        "reaction_ticks" => "stop.reaction_ms".into(),
        "tool_speed_max_m_s" => "tool.speed_max_m_s".into(),
        "elbow_speed_max_m_s" => "tool.elbow_speed_max_m_s".into(),
        "self_margin_m" => "self_collision.margin_m".into(),
        "cone.half_angle_rad" => "cone.half_angle_deg".into(),
        "separation.silent_ticks" => "separation.silent_ms".into(),
        "effort.measured_ticks" => "effort.measured_ms".into(),
        "contact.transient_ticks" => "contact.transient_ms".into(),
        "grip.lost_ticks" => "grip.lost_ms".into(),
        "following_error_ticks" => "tracking.following_error_ms".into(),
        "zones.base_m" => format!("zone[{zone}].cylinder.base_m"),
        "zones.radius_m" => format!("zone[{zone}].cylinder.radius_m"),
        "zones.height_m" => format!("zone[{zone}].cylinder.height_m"),
        "zones.points_m" => format!("zone[{zone}].hull.points_m"),
        "zones.speed_max_m_s" => format!("zone[{zone}].speed_max_m_s"),
        "envelope_min_m" => "envelope.min_m".into(),
        "envelope_max_m" => "envelope.max_m".into(),
        "gripper_width_min_m" => "gripper.width_min_m".into(),
        "gripper_width_max_m" => "gripper.width_max_m".into(),
        "gripper_force_max_n" => "gripper.force_max_n".into(),
        "tracking_margin_m" => "tracking.margin_m".into(),
        "following_error_max_rad" => "tracking.following_error_max_rad".into(),
        "force_stop_n" => "force.stop_n".into(),
        "heartbeat_ticks" => "brain.heartbeat_timeout_ms".into(),
        "standstill_rad_s" => "standstill.speed_max_rad_s".into(),
        "zones" => format!("zone[{zone}].box"),
        "zones.min_m" => format!("zone[{zone}].box.min_m"),
        "zones.max_m" => format!("zone[{zone}].box.max_m"),
        "zones.normal" => format!("zone[{zone}].half_space.normal"),
        "zones.offset_m" => format!("zone[{zone}].half_space.offset_m"),
        region if region.starts_with("contact.region.") => {
            region.replacen("region", &format!("region[{zone}]"), 1)
        }
        // These stand in the file under their own names.
        named if named.contains('.') => named.into(),
        joint => format!("joints.{joint}"),
    }
}

fn refusal(source: &Source<'_>, error: &LimitsError) -> DescriptionError {
    let place = |index: Option<usize>| index.map_or_else(String::new, |i| format!(" at [{i}]"));
    match error {
        LimitsError::Value {
            field,
            index,
            found,
            allowed,
        } => source.refuse(
            &key_of(field, *index),
            format!("{}{}", crate::error::number(*found), place(*index)),
            allowed,
        ),
        LimitsError::Reversed {
            min_field,
            max_field,
            index,
            min,
            max,
        } => source.refuse(
            &key_of(max_field, *index),
            format!("{max}{}", place(*index)),
            &format!("above {}, which is {min}", key_of(min_field, *index)),
        ),
        LimitsError::StopTooLong { joint, .. } => source.refuse(
            "stop.acceleration_rad_s2",
            format!("too weak for joint {joint} (of 0 to {})", JOINTS - 1),
            &error.to_string(),
        ),
        LimitsError::TooManyZones { .. } | LimitsError::TooManySpeeds { .. } => {
            source.refuse("zone", "too many".into(), &error.to_string())
        }
    }
}
