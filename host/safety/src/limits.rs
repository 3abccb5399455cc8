//! The limits: plain data in, checked and hashed.

mod check;
mod hash;

use sinew_messages::JointVector;

use crate::brake::STOP_TICKS_MAX;
use crate::contact::{ContactLimits, REGIONS_MAX};
use crate::effort::EffortLimits;
use crate::grip::GripLimits;
use crate::obstacles::SeparationConfig;
use crate::singularity::Singularity;
use crate::zones::{SLOW_SPEEDS_MAX, ZONES_MAX, Zone};

pub(crate) use check::PLACE_MAX;
pub use hash::ConfigHash;

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
        "joint {joint} needs {ticks} ticks to stop from its velocity limit; at most {STOP_TICKS_MAX} can be verified: raise `stop_acceleration_rad_s2` or `stop_jerk_rad_s3`, or lower `velocity_max_rad_s` or `acceleration_max_rad_s2`"
    )]
    StopTooLong {
        /// Joint, from 0.
        joint: usize,
        /// Ticks that the stop takes.
        ticks: u64,
    },
    /// More different speeds than the gate tells apart in a tick.
    #[error(
        "slow zones with {count} different speeds; at most {SLOW_SPEEDS_MAX} are possible: give some of them the same one"
    )]
    TooManySpeeds {
        /// How many there are.
        count: usize,
    },
    /// More parts of the body than the gate looks at.
    #[error(
        "{count} parts of the body; at most {REGIONS_MAX} are possible: the most sensitive ones count"
    )]
    TooManyRegions {
        /// How many there are.
        count: usize,
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
    hash: ConfigHash,
}

impl SafetyLimits {
    /// Checks a configuration.
    ///
    /// # Errors
    /// [`LimitsError`] names the field: non-finite, empty, reversed or unverifiable values.
    pub fn new(config: SafetyConfig) -> Result<Self, LimitsError> {
        check::check(&config)?;
        let hash = hash::hash(&config);
        Ok(Self { config, hash })
    }

    /// The configuration, read-only.
    #[must_use]
    pub fn config(&self) -> &SafetyConfig {
        &self.config
    }

    /// What stands for it wherever the state is shown, and in an approval.
    #[must_use]
    pub fn hash(&self) -> ConfigHash {
        self.hash
    }
}
