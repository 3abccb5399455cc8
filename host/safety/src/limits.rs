//! The limits: plain data in, checked and hashed.

use nalgebra::Vector3;
use sinew_messages::{JOINTS, JointVector};
use sinew_units::TICK_S;

use crate::brake::STOP_TICKS_MAX;
use crate::contact::ContactLimits;
use crate::effort::EffortLimits;
use crate::grip::GripLimits;
use crate::obstacles::SeparationConfig;
use crate::setpoint::at_most;
use crate::singularity::Singularity;
use crate::zones::{ZONES_MAX, Zone, ZoneShape};

/// What a contact that exceeds a limit does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ForceReaction {
    /// Nothing; the force is recorded with the sensor frame.
    Off,
    /// Brake to an unlatched hold.
    Hold,
    /// Brake and latch, category 2.
    Latch,
    /// Give way to it through the gate, to an unlatched hold.
    Yield(YieldLimits),
}

/// How the robot gives way to a contact: the tool moves with the force, by an admittance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YieldLimits {
    /// Velocity of the tool for each newton, m/s/N.
    pub admittance_m_s_n: f64,
    /// Fastest retreat, m/s.
    pub speed_max_m_s: f64,
    /// Longest retreat, m.
    pub distance_max_m: f64,
}

/// What a mode allows less than `normal`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModeLimits {
    /// Speed limit of tool and elbow, m/s.
    pub speed_max_m_s: f64,
    /// Share of each joint's velocity limit, in (0, 1].
    pub joint_speed_share: f64,
}

/// How links keep off each other.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfCollision {
    /// Distance that they keep, m.
    pub margin_m: f64,
    /// Pairs of links that are not compared, because their capsules only cover the joint between them; numbered as
    /// in [`sinew_kinematics::LinkCapsule::link`]. Neighbours never are.
    pub ignored: Vec<[usize; 2]>,
}

/// Directions that the tool may point in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cone {
    /// Unit vector, base frame: where the tool's z axis points in the middle of the cone.
    pub axis: [f64; 3],
    /// Largest angle from it, rad.
    pub half_angle_rad: f64,
}

/// Everything that a person configures about the gate, before it is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct SafetyConfig {
    /// Lower position limits, rad.
    pub position_min_rad: JointVector,
    /// Upper position limits, rad.
    pub position_max_rad: JointVector,
    /// Velocity limits, rad/s.
    pub velocity_max_rad_s: JointVector,
    /// Acceleration limits, rad/s².
    pub acceleration_max_rad_s2: JointVector,
    /// Jerk limits, rad/s³.
    pub jerk_max_rad_s3: JointVector,
    /// Deceleration of the stop, rad/s².
    pub stop_acceleration_rad_s2: JointVector,
    /// Jerk of the stop, rad/s³.
    pub stop_jerk_rad_s3: JointVector,
    /// Worst-case reaction time L before a stop takes effect, ticks.
    pub reaction_ticks: u32,
    /// Speed limit of the TCP and of the gripper's tips, along the stop too, m/s.
    pub tool_speed_max_m_s: f64,
    /// Speed limit of the elbow, along the stop too, m/s.
    pub elbow_speed_max_m_s: f64,
    /// Limits of the mode `reduced`.
    pub reduced: ModeLimits,
    /// Limits of the mode `recovery`.
    pub recovery: ModeLimits,
    /// Cone that the tool's axis stays in, along the stop; none without.
    pub cone: Option<Cone>,
    /// Links keep off each other along the stop; they are not compared without.
    pub self_collision: Option<SelfCollision>,
    /// Efforts of the joints; neither predicted nor measured ones are looked at without.
    pub effort: Option<EffortLimits>,
    /// Distance from persons and other moving obstacles; they are not looked at without.
    pub separation: Option<SeparationConfig>,
    /// Lower corner of the box that every moving link stays inside, m.
    pub envelope_min_m: [f64; 3],
    /// Upper corner of that box, m.
    pub envelope_max_m: [f64; 3],
    /// Forbidden and slow zones.
    pub zones: Vec<Zone>,
    /// Smallest gripper width that may be asked, m.
    pub gripper_width_min_m: f64,
    /// Largest gripper width that may be asked, m.
    pub gripper_width_max_m: f64,
    /// Largest gripper force that may be asked, N.
    pub gripper_force_max_n: f64,
    /// How far a link may be from where its setpoint puts it, m: inside every envelope and zone margin.
    pub tracking_margin_m: f64,
    /// How far a joint may be from its setpoint, rad: inside every position limit.
    pub following_error_max_rad: JointVector,
    /// Ticks that a following error may last before it latches. Braking starts at once.
    pub following_error_ticks: u64,
    /// Tool force that stops, N.
    pub force_stop_n: f64,
    /// What that, and any other contact over a limit, does.
    pub force_reaction: ForceReaction,
    /// What contacts may be; the force that stops is all that counts without.
    pub contact: Option<ContactLimits>,
    /// When a grip counts as lost; it is not looked at without.
    pub grip: Option<GripLimits>,
    /// How near to a singularity the tool may come; as near as it likes without.
    pub singularity: Option<Singularity>,
    /// Ticks without a heartbeat of the skill brain before the stop latches.
    pub heartbeat_ticks: u64,
    /// Measured joint speed below which the robot counts as standing, rad/s.
    pub standstill_rad_s: f64,
}

/// Why a configuration was refused. Nothing is swapped or repaired.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LimitsError {
    /// A value that can't be.
    #[error("`{field}`{at} is {found}; allowed: {allowed}", at = at(*.index))]
    Value {
        /// Field of [`SafetyConfig`].
        field: &'static str,
        /// Joint, axis or zone; `None` if the field is a single value.
        index: Option<usize>,
        /// What it is.
        found: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// Lower and upper limit leave no room.
    #[error("`{min_field}`{at} is {min}, which is not below `{max_field}`, {max}", at = at(*.index))]
    Reversed {
        /// The lower limit's field.
        min_field: &'static str,
        /// The upper limit's field.
        max_field: &'static str,
        /// Joint or axis.
        index: Option<usize>,
        /// Lower limit.
        min: f64,
        /// Upper limit.
        max: f64,
    },
    /// The stop would take too long to be verified every tick.
    #[error(
        "joint {joint} needs {ticks} ticks to stop from its velocity limit; at most {STOP_TICKS_MAX} can be verified: raise `stop_acceleration_rad_s2` or `stop_jerk_rad_s3`, or lower `velocity_max_rad_s`"
    )]
    StopTooLong {
        /// Joint, from 0.
        joint: usize,
        /// Ticks that the stop takes.
        ticks: u64,
    },
    /// More zones than the gate looks at.
    #[error("{count} zones; at most {ZONES_MAX} are possible")]
    TooManyZones {
        /// How many there are.
        count: usize,
    },
}

fn at(index: Option<usize>) -> String {
    index.map_or_else(String::new, |index| format!("[{index}]"))
}

/// Limits that are known to make sense. The only ones that a [`crate::Gate`] takes.
#[derive(Clone, Debug, PartialEq)]
pub struct SafetyLimits {
    config: SafetyConfig,
    hash: u64,
}

impl SafetyLimits {
    /// Checks a configuration.
    ///
    /// # Errors
    /// [`LimitsError`] names the field: non-finite, empty, reversed or unverifiable values.
    pub fn new(config: SafetyConfig) -> Result<Self, LimitsError> {
        check(&config)?;
        let hash = hash(&config);
        Ok(Self { config, hash })
    }

    /// The configuration, read-only.
    #[must_use]
    pub fn config(&self) -> &SafetyConfig {
        &self.config
    }

    /// A stable hash over every value (FNV-1a, 64 bit), shown wherever the state is shown.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

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

fn check(c: &SafetyConfig) -> Result<(), LimitsError> {
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
    within("tracking_margin_m", None, c.tracking_margin_m, &SMALL)?;
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
    check_zones(&c.zones)
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

/// FNV-1a over the bytes of every value, in the order of the fields.
fn hash(c: &SafetyConfig) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut bytes = |bytes: &[u8]| {
        for byte in bytes {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let mut number = |value: f64| bytes(&value.to_bits().to_le_bytes());
    for values in [
        &c.position_min_rad,
        &c.position_max_rad,
        &c.velocity_max_rad_s,
        &c.acceleration_max_rad_s2,
        &c.jerk_max_rad_s3,
        &c.stop_acceleration_rad_s2,
        &c.stop_jerk_rad_s3,
        &c.following_error_max_rad,
    ] {
        values.iter().for_each(|v| number(*v));
    }
    for values in [&c.envelope_min_m, &c.envelope_max_m] {
        values.iter().for_each(|v| number(*v));
    }
    for value in [
        c.tool_speed_max_m_s,
        c.elbow_speed_max_m_s,
        c.reduced.speed_max_m_s,
        c.reduced.joint_speed_share,
        c.recovery.speed_max_m_s,
        c.recovery.joint_speed_share,
        c.gripper_width_min_m,
        c.gripper_width_max_m,
        c.gripper_force_max_n,
        c.tracking_margin_m,
        c.force_stop_n,
        c.standstill_rad_s,
    ] {
        number(value);
    }
    bytes(&c.reaction_ticks.to_le_bytes());
    bytes(&c.following_error_ticks.to_le_bytes());
    bytes(&c.heartbeat_ticks.to_le_bytes());
    bytes(&[match c.force_reaction {
        ForceReaction::Off => 0,
        ForceReaction::Hold => 1,
        ForceReaction::Latch => 2,
        ForceReaction::Yield(_) => 3,
    }]);
    for zone in &c.zones {
        bytes(&(zone.name.len() as u64).to_le_bytes());
        bytes(zone.name.as_bytes());
        let (tag, numbers): (u8, Vec<f64>) = match &zone.shape {
            ZoneShape::Box(b) => (0, b.min.iter().chain(b.max.iter()).copied().collect()),
            ZoneShape::HalfSpace(h) => {
                let normal = h.normal.iter().copied();
                (1, normal.chain([h.offset_m]).collect())
            }
            ZoneShape::Cylinder(c) => {
                let base = c.base.iter().copied();
                (2, base.chain([c.radius_m, c.height_m]).collect())
            }
            ZoneShape::Hull(h) => {
                let points = h.points().iter().flat_map(|point| point.iter().copied());
                (3, points.collect())
            }
        };
        bytes(&[tag]);
        bytes(&(numbers.len() as u64).to_le_bytes());
        numbers
            .iter()
            .for_each(|v| bytes(&v.to_bits().to_le_bytes()));
        let speed = zone.speed_max_m_s.unwrap_or(f64::NAN);
        bytes(&speed.to_bits().to_le_bytes());
    }
    // What is left out differs from every number.
    let mut optional = |values: &[f64]| {
        bytes(&(values.len() as u64).to_le_bytes());
        values
            .iter()
            .for_each(|v| bytes(&v.to_bits().to_le_bytes()));
    };
    match &c.cone {
        Some(Cone {
            axis: [x, y, z],
            half_angle_rad,
        }) => optional(&[*x, *y, *z, *half_angle_rad]),
        None => optional(&[]),
    }
    match &c.self_collision {
        Some(collision) => {
            let links = collision.ignored.iter().flatten().map(|link| *link as f64);
            let values: Vec<f64> = [collision.margin_m].into_iter().chain(links).collect();
            optional(&values);
        }
        None => optional(&[]),
    }
    match &c.effort {
        Some(effort) => {
            let numbers = effort.max_nm.iter().chain(&effort.rate_max_nm_s).copied();
            let rest = [effort.load_max_kg, f64::from(effort.measured_ticks)];
            let values: Vec<f64> = numbers.chain(rest).collect();
            optional(&values);
        }
        None => optional(&[]),
    }
    match &c.force_reaction {
        ForceReaction::Yield(y) => {
            optional(&[y.admittance_m_s_n, y.speed_max_m_s, y.distance_max_m]);
        }
        _ => optional(&[]),
    }
    match &c.contact {
        Some(contact) => {
            let regions = contact.regions.iter().flat_map(|region| {
                // Names of regions change nothing.
                [
                    region.force_max_n,
                    region.transient_factor,
                    region.stiffness_n_m,
                    region.mass_kg,
                ]
            });
            let rest = [
                contact.power_max_w,
                contact.momentum_max_kg_m_s,
                f64::from(contact.transient_ticks),
            ];
            let values: Vec<f64> = rest.into_iter().chain(regions).collect();
            optional(&values);
        }
        None => optional(&[]),
    }
    match &c.grip {
        Some(g) => optional(&[g.empty_width_m, g.lost_force_n, f64::from(g.lost_ticks)]),
        None => optional(&[]),
    }
    match &c.singularity {
        Some(s) => optional(&[
            s.characteristic_length_m,
            s.slow_above,
            s.stop_above,
            s.slow_share,
        ]),
        None => optional(&[]),
    }
    match &c.separation {
        Some(s) => optional(&[
            s.approach_speed_m_s,
            s.intrusion_m,
            s.robot_uncertainty_m,
            s.silent_ticks as f64,
        ]),
        None => optional(&[]),
    }
    state
}
