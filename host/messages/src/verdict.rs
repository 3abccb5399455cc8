//! What the gate said, and the record of one tick.

use bytemuck::{Pod, Zeroable};

use crate::{JointVector, SensorFrame, Setpoint};

/// Stop categories of IEC 60204-1. Travels as `u32`; 0 on the wire means "no stop".
///
/// Severity orders them 2 < 1 < 0; a latched stop only gets more severe on its own.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCategory {
    /// Category 0: power off at once.
    PowerOff = 1,
    /// Category 1: controlled stop, then power off.
    ControlledThenOff = 2,
    /// Category 2: controlled stop, power stays on.
    ControlledHold = 3,
}

impl StopCategory {
    /// Decodes the integer that travelled; 0 and unknown integers are `None`.
    #[must_use]
    pub fn decode(code: u32) -> Option<Self> {
        [
            Self::PowerOff,
            Self::ControlledThenOff,
            Self::ControlledHold,
        ]
        .into_iter()
        .find(|category| *category as u32 == code)
    }

    /// The more severe of the two.
    #[must_use]
    pub fn more_severe(self, other: Self) -> Self {
        if (self as u32) < (other as u32) {
            self
        } else {
            other
        }
    }
}

/// Kinds of verdict. Travels as `u32`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictKind {
    /// The asked setpoint went through bit for bit.
    Pass = 0,
    /// A setpoint between the verified stop and the asked one went through.
    Limited = 1,
    /// The verified stop is being executed.
    Stop = 2,
    /// Gives way to a contact: what was asked is not looked at.
    Yield = 3,
}

/// What the index of a verdict or a stop counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// Joints, from the base.
    Joints,
    /// Zones, in the order of the configuration.
    Zones,
    /// Links: the base, those of the joints, the hand.
    Links,
    /// Channels of the emergency stop.
    Channels,
    /// Nothing that has a name.
    Nothing,
}

/// Why the gate did not simply pass. Travels as `u32`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Nothing to say.
    None = 0,
    /// A field was NaN or infinite.
    NonFinite = 1,
    /// Joint position, setpoint or along the stop.
    Position = 2,
    /// Joint velocity.
    Velocity = 3,
    /// Joint acceleration.
    Acceleration = 4,
    /// Joint jerk.
    Jerk = 5,
    /// Tool speed.
    ToolSpeed = 6,
    /// Workspace envelope, along the stop.
    Envelope = 7,
    /// Forbidden zone, along the stop.
    Zone = 8,
    /// Gripper force or width.
    Gripper = 9,
    /// Measured state is too far from the setpoint.
    FollowingError = 10,
    /// Tool force above its stop threshold.
    Force = 11,
    /// The goal's lease or the chunk ended, or the input went stale.
    Stale = 12,
    /// The brain's heartbeat stopped.
    BrainDead = 13,
    /// The wired emergency stop.
    EmergencyStop = 14,
    /// The wired protective stop.
    ProtectiveStop = 15,
    /// Somebody asked for a stop.
    Requested = 16,
    /// The robot has not been reset since boot.
    Boot = 17,
    /// The drives reported a fault, or their watchdog tripped.
    Drive = 18,
    /// Sensor time stood still, jumped or ran backwards.
    TimeBase = 19,
    /// Two links would meet, along the stop.
    SelfCollision = 20,
    /// The configuration is contradictory, or has more in the way than one tick can look at.
    Configuration = 21,
    /// Slow zone, along the stop.
    SlowZone = 22,
    /// Too near to a person or a moving obstacle, or nothing fresh is known of them.
    Separation = 23,
    /// Tilt of the tool out of its cone, along the stop.
    Orientation = 24,
    /// Joint effort or its rate, predicted or measured.
    Effort = 25,
    /// The robot stands where nothing may start.
    StartState = 26,
    /// A joint's sensor stands still, jumps or runs the wrong way.
    Encoder = 27,
    /// The mode allows no motion, or not this one.
    Mode = 28,
    /// What the hand carries does not fit the limits.
    Payload = 29,
    /// The tool is near a posture in which it cannot be moved in every direction.
    Singularity = 30,
    /// What the hand held is gone.
    GripLost = 31,
    /// Power that goes into a contact.
    Power = 32,
    /// Momentum of what moves, along the stop.
    Momentum = 33,
    /// Speed at which a contact would exceed what a part of the body may bear, along the stop.
    ContactSpeed = 34,
}

impl LimitKind {
    /// Every kind, in the order of its code.
    pub const ALL: [Self; 35] = [
        Self::None,
        Self::NonFinite,
        Self::Position,
        Self::Velocity,
        Self::Acceleration,
        Self::Jerk,
        Self::ToolSpeed,
        Self::Envelope,
        Self::Zone,
        Self::Gripper,
        Self::FollowingError,
        Self::Force,
        Self::Stale,
        Self::BrainDead,
        Self::EmergencyStop,
        Self::ProtectiveStop,
        Self::Requested,
        Self::Boot,
        Self::Drive,
        Self::TimeBase,
        Self::SelfCollision,
        Self::Configuration,
        Self::SlowZone,
        Self::Separation,
        Self::Orientation,
        Self::Effort,
        Self::StartState,
        Self::Encoder,
        Self::Mode,
        Self::Payload,
        Self::Singularity,
        Self::GripLost,
        Self::Power,
        Self::Momentum,
        Self::ContactSpeed,
    ];

    /// Decodes the integer that travelled; unknown integers are `None`.
    #[must_use]
    pub fn decode(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }

    /// What an index that goes with it counts.
    #[must_use]
    pub fn indexed(self) -> Indexed {
        match self {
            Self::Position
            | Self::Velocity
            | Self::Acceleration
            | Self::Jerk
            | Self::FollowingError
            | Self::Effort
            | Self::Encoder
            | Self::StartState => Indexed::Joints,
            Self::Zone | Self::SlowZone => Indexed::Zones,
            Self::Envelope | Self::Separation | Self::SelfCollision => Indexed::Links,
            Self::EmergencyStop => Indexed::Channels,
            _ => Indexed::Nothing,
        }
    }

    /// The name used in reports, events and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NonFinite => "non-finite",
            Self::Position => "position",
            Self::Velocity => "velocity",
            Self::Acceleration => "acceleration",
            Self::Jerk => "jerk",
            Self::ToolSpeed => "tool-speed",
            Self::Envelope => "envelope",
            Self::Zone => "zone",
            Self::Gripper => "gripper",
            Self::FollowingError => "following-error",
            Self::Force => "force",
            Self::Stale => "stale",
            Self::BrainDead => "brain-dead",
            Self::EmergencyStop => "emergency-stop",
            Self::ProtectiveStop => "protective-stop",
            Self::Requested => "requested",
            Self::Boot => "boot",
            Self::Drive => "drive",
            Self::TimeBase => "time-base",
            Self::SelfCollision => "self-collision",
            Self::Configuration => "configuration",
            Self::SlowZone => "slow-zone",
            Self::Separation => "separation",
            Self::Orientation => "orientation",
            Self::Effort => "effort",
            Self::StartState => "start-state",
            Self::Encoder => "encoder",
            Self::Mode => "mode",
            Self::Payload => "payload",
            Self::Singularity => "singularity",
            Self::GripLost => "grip-lost",
            Self::Power => "power",
            Self::Momentum => "momentum",
            Self::ContactSpeed => "contact-speed",
        }
    }
}

/// The verdict of one tick, as it is recorded.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct VerdictRecord {
    /// [`VerdictKind`] code.
    pub kind: u32,
    /// [`LimitKind`] code: the reason.
    pub limit: u32,
    /// [`StopCategory`] code of the latched stop, 0 if none is latched.
    pub category: u32,
    /// Joint, link or zone that the limit is about; `u32::MAX` if none.
    pub index: u32,
    /// The configured limit, in the unit of the reason.
    pub limit_value: f64,
    /// What was asked, in the unit of the reason.
    pub asked: f64,
    /// What was given, in the unit of the reason.
    pub given: f64,
    /// The k of `b + k(u − b)`: 1 passes, 0 is the verified stop.
    pub scale: f64,
}

/// One record a tick in the flight ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct TickRecord {
    /// What was read.
    pub frame: SensorFrame,
    /// What the motion source asked for.
    pub asked: Setpoint,
    /// What the gate let through.
    pub given: Setpoint,
    /// Why.
    pub verdict: VerdictRecord,
    /// Joint positions along the newest verified stop's end, rad: where the robot would come to rest.
    pub stop_end_rad: JointVector,
    /// Goal that was active.
    pub arm_goal_id: u64,
    /// Action chunk that was active; 0 if none.
    pub chunk_id: u64,
}
