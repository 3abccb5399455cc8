//! The limits: plain data in, checked and hashed.

use nalgebra::Vector3;
use sinew_kinematics::{Aabb, HalfSpace};
use sinew_messages::{JOINTS, JointVector};
use sinew_units::TICK_S;

use crate::brake::STOP_TICKS_MAX;
use crate::setpoint::at_most;

/// Forbidden zones that a configuration may have.
pub const ZONES_MAX: usize = 1_000;

/// A part of space that no link may enter.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Name, for messages.
    pub name: String,
    /// Where it is.
    pub shape: ZoneShape,
}

/// Shape of a zone, base frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ZoneShape {
    /// An axis-aligned box.
    Box(Aabb),
    /// Everything below a plane.
    HalfSpace(HalfSpace),
}

/// What a tool force above its threshold does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForceReaction {
    /// Nothing; the force is recorded with the sensor frame.
    Off,
    /// Brake to an unlatched hold.
    Hold,
    /// Brake and latch, category 2.
    Latch,
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
    /// Speed limit of the TCP, m/s.
    pub tool_speed_max_m_s: f64,
    /// Lower corner of the box that every moving link stays inside, m.
    pub envelope_min_m: [f64; 3],
    /// Upper corner of that box, m.
    pub envelope_max_m: [f64; 3],
    /// Forbidden zones.
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
    /// How it stops.
    pub force_reaction: ForceReaction,
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
/// Positions of envelope and zones, m, or of joints, rad.
const PLACE_MAX: f64 = 1e3;
const PLACE_WORDS: &str = "-1000 to 1000";

fn check(c: &SafetyConfig) -> Result<(), LimitsError> {
    let within = |field, index, found: f64, range: &Range| {
        if (range.least..=range.most).contains(&found) {
            return Ok(());
        }
        Err(LimitsError::Value {
            field,
            index,
            found,
            allowed: range.words,
        })
    };
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
    within("tracking_margin_m", None, c.tracking_margin_m, &SMALL)?;
    within("force_stop_n", None, c.force_stop_n, &FORCE)?;
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
    if c.heartbeat_ticks == 0 {
        return Err(LimitsError::Value {
            field: "heartbeat_ticks",
            index: None,
            found: 0.0,
            allowed: "1 or more",
        });
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
    }]);
    for zone in &c.zones {
        bytes(&(zone.name.len() as u64).to_le_bytes());
        bytes(zone.name.as_bytes());
        let (tag, numbers) = match &zone.shape {
            ZoneShape::Box(b) => (0, [b.min.x, b.min.y, b.min.z, b.max.x, b.max.y, b.max.z]),
            ZoneShape::HalfSpace(h) => (
                1,
                [h.normal.x, h.normal.y, h.normal.z, h.offset_m, 0.0, 0.0],
            ),
        };
        bytes(&[tag]);
        numbers
            .iter()
            .for_each(|v| bytes(&v.to_bits().to_le_bytes()));
    }
    state
}
