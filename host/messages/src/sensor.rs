//! What comes up from the robot: the sensor frame of one tick, and the status of the loop.

use bytemuck::{Pod, Zeroable};

use crate::{JointVector, Pose, Setpoint};

/// State of the robot at the start of one tick, as the hardware measured it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct SensorFrame {
    /// Tick that this frame belongs to.
    pub tick: u64,
    /// Hardware time stamp in nanoseconds, monotonic.
    pub time_ns: u64,
    /// Measured joint positions, rad.
    pub position_rad: JointVector,
    /// Measured joint velocities, rad/s.
    pub velocity_rad_s: JointVector,
    /// Measured joint efforts, N·m.
    pub effort_nm: JointVector,
    /// Distance between the finger pads, m.
    pub gripper_width_m: f64,
    /// Rate of change of the width, m/s.
    pub gripper_velocity_m_s: f64,
    /// Mean normal force on the two pads, N, low-passed by the hardware.
    pub gripper_force_n: f64,
    /// External contact force on hand and held object without the grip itself, base frame, N, low-passed.
    pub tool_force_n: [f64; 3],
    /// [`DriveStatus`] bits.
    pub drive_status: u32,
    /// [`SafetyInputs`] bits.
    pub safety_inputs: u32,
}

impl SensorFrame {
    /// True if every measured value is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.position_rad
            .iter()
            .chain(&self.velocity_rad_s)
            .chain(&self.effort_nm)
            .chain(&self.tool_force_n)
            .chain([
                &self.gripper_width_m,
                &self.gripper_velocity_m_s,
                &self.gripper_force_n,
            ])
            .all(|value| value.is_finite())
    }
}

/// Bits of [`SensorFrame::drive_status`].
pub struct DriveStatus;

impl DriveStatus {
    /// The drives are powered.
    pub const POWERED: u32 = 1;
    /// The drives' own watchdog saw no command in time and stopped the robot.
    pub const WATCHDOG_TRIPPED: u32 = 1 << 1;
    /// A drive reported a fault of its own.
    pub const FAULT: u32 = 1 << 2;
}

/// Bits of [`SensorFrame::safety_inputs`]. Closed contacts read 1: a cut wire reads as a demand to stop.
pub struct SafetyInputs;

impl SafetyInputs {
    /// Emergency-stop chain, channel A closed.
    pub const EMERGENCY_A_CLOSED: u32 = 1;
    /// Emergency-stop chain, channel B closed.
    pub const EMERGENCY_B_CLOSED: u32 = 1 << 1;
    /// Protective-stop input closed.
    pub const PROTECTIVE_CLOSED: u32 = 1 << 2;
    /// All inputs closed: motion permitted as far as the wiring is concerned.
    pub const ALL_CLOSED: u32 =
        Self::EMERGENCY_A_CLOSED | Self::EMERGENCY_B_CLOSED | Self::PROTECTIVE_CLOSED;
}

/// Where a goal stands. Travels as `u32`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MotionState {
    /// No goal was ever given.
    Idle = 0,
    /// Being executed.
    Active = 1,
    /// Reached, and the robot is within tolerance of it.
    Done = 2,
    /// A guarded move met its contact force and holds there.
    Contact = 3,
    /// Not accepted: unreachable, non-finite, reversed, or of unknown kind.
    Rejected = 4,
    /// Replaced by a newer goal, or cancelled.
    Preempted = 5,
    /// Lease or chunk ran out, input went stale, or the gate could not let it go on: braked to an unlatched hold.
    Held = 6,
    /// A latched stop ended it.
    Stopped = 7,
}

impl MotionState {
    /// Decodes the integer that travelled; unknown integers are `None`.
    #[must_use]
    pub fn decode(code: u32) -> Option<Self> {
        [
            Self::Idle,
            Self::Active,
            Self::Done,
            Self::Contact,
            Self::Rejected,
            Self::Preempted,
            Self::Held,
            Self::Stopped,
        ]
        .into_iter()
        .find(|state| *state as u32 == code)
    }

    /// True if the goal will not change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Idle | Self::Active)
    }
}

/// Whether the loop may move. Travels as `u32`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopState {
    /// Free to move.
    Clear = 0,
    /// A stop is latched; see the verdict for its category and reason.
    Latched = 1,
}

/// Published by the reflex every tick, latest value wins.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct LoopStatus {
    /// Tick that this status belongs to.
    pub tick: u64,
    /// The sensor frame of this tick.
    pub frame: SensorFrame,
    /// What the gate let through this tick.
    pub setpoint: Setpoint,
    /// Tool pose by forward kinematics of the measured joints.
    pub tool_pose: Pose,
    /// Tool speed of the given setpoint, m/s.
    pub tool_speed_m_s: f64,
    /// Sequence number of the newest arm goal (or chunk goal) that the loop has taken over.
    pub arm_goal_id: u64,
    /// Sequence number of the newest gripper goal that the loop has taken over.
    pub gripper_goal_id: u64,
    /// [`MotionState`] of the arm goal.
    pub arm_state: u32,
    /// [`MotionState`] of the gripper goal.
    pub gripper_state: u32,
    /// [`StopState`] code.
    pub stop_state: u32,
    /// [`crate::StopCategory`] code of the latched stop; 0 while clear.
    pub stop_category: u32,
    /// [`crate::LimitKind`] code of the last verdict that was not a pass (or of the latched stop).
    pub reason: u32,
    /// [`crate::LimitKind`] code of what the arm goal was ended for as held; 0 while it goes on, and where no limit ended it.
    pub held_for: u32,
    /// 1 while the latest command of this tick was limited by the gate.
    pub limited: u32,
    /// 0.
    pub reserved: u32,
    /// Verdicts since start that limited a command.
    pub limited_total: u64,
    /// Latched stops since start.
    pub stops_total: u64,
    /// Highest request number for a reset that the loop has answered.
    pub reset_answered: u64,
    /// [`crate::ResetAnswer`] code of that answer.
    pub reset_answer: u32,
    /// [`crate::SafetyMode`] code in force; it differs from what was asked for while the robot still moves.
    pub mode: u32,
    /// Hash of the active safety configuration.
    pub safety_hash: u64,
}
