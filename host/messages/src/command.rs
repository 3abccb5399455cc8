//! What goes down to the robot: goals, action chunks and the setpoint of one tick.

use bytemuck::{Pod, Zeroable};

use crate::{JointVector, Pose};

/// Steps that one action chunk can carry.
pub const CHUNK_STEPS_MAX: usize = 32;

/// What the drives are asked to do in one tick. Only the safety gate turns one into a command.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Setpoint {
    /// Joint positions, rad.
    pub position_rad: JointVector,
    /// Joint velocities, rad/s.
    pub velocity_rad_s: JointVector,
    /// Joint accelerations, rad/s².
    pub acceleration_rad_s2: JointVector,
    /// Distance between the finger pads, m.
    pub gripper_width_m: f64,
    /// Largest force that the gripper may apply, N.
    pub gripper_force_n: f64,
}

impl Setpoint {
    /// True if every field is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.position_rad
            .iter()
            .chain(&self.velocity_rad_s)
            .chain(&self.acceleration_rad_s2)
            .chain([&self.gripper_width_m, &self.gripper_force_n])
            .all(|value| value.is_finite())
    }
}

/// Kinds of arm goal. Travels as `u32`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmGoalKind {
    /// Brake and hold where the stop ends. Also how a goal is cancelled.
    Hold = 0,
    /// Joint-space move to `joints_rad`.
    Joint = 1,
    /// Joint-space move to the joint position that reaches `pose`.
    Pose = 2,
    /// Straight line of the tool to `pose`.
    Line = 3,
    /// Straight line to `pose` that ends at once when the tool force reaches `contact_force_n`.
    Guarded = 4,
    /// Follow the action chunks of the chunk slot whose `goal_id` is this goal's `id`.
    Chunks = 5,
    /// Hold-to-run: every joint turns at its velocity in `joints_rad` for as long as the lease is renewed, and brakes
    /// when it is not.
    Jog = 6,
}

impl ArmGoalKind {
    /// Decodes the integer that travelled; unknown integers are `None`.
    #[must_use]
    pub fn decode(code: u32) -> Option<Self> {
        [
            Self::Hold,
            Self::Joint,
            Self::Pose,
            Self::Line,
            Self::Guarded,
            Self::Chunks,
            Self::Jog,
        ]
        .into_iter()
        .find(|kind| *kind as u32 == code)
    }
}

/// A goal for the arm. Latest value wins; a new `id` is a new goal, the same `id` renews the lease.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct ArmGoal {
    /// Sequence number, strictly increasing over all goals of the sender.
    pub id: u64,
    /// Tick after which the goal may not go on without renewal.
    pub lease_end_tick: u64,
    /// [`ArmGoalKind`] code.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// Target of `Joint`, rad; velocities of `Jog`, rad/s.
    pub joints_rad: JointVector,
    /// Target of `Pose`, `Line`, `Guarded`: the tool in the base frame.
    pub pose: Pose,
    /// Share of the configured speed in (0, 1].
    pub speed_scale: f64,
    /// Share of the configured acceleration in (0, 1].
    pub acceleration_scale: f64,
    /// Contact threshold of `Guarded`, N.
    pub contact_force_n: f64,
}

/// A goal for the gripper. Latest value wins.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct GripperGoal {
    /// Sequence number, strictly increasing.
    pub id: u64,
    /// Distance between the pads to go to, m.
    pub width_m: f64,
    /// Largest force, N. A grasp is a width smaller than the part with this force.
    pub force_n: f64,
    /// Speed of the width, m/s.
    pub speed_m_s: f64,
}

/// One step of a chunk.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct ChunkStep {
    /// Tool pose to be at when the step ends.
    pub pose: Pose,
    /// Distance between the pads, m.
    pub gripper_width_m: f64,
    /// Largest gripper force, N.
    pub gripper_force_n: f64,
}

/// A short, timed piece of motion from a policy.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct ActionChunk {
    /// Sequence number, strictly increasing.
    pub id: u64,
    /// The [`ArmGoal::id`] (kind `Chunks`) that this chunk belongs to; others are ignored.
    pub goal_id: u64,
    /// Tick at which step 0 begins. Steps that lie in the past are skipped.
    pub start_tick: u64,
    /// Ticks a step.
    pub step_ticks: u32,
    /// Valid steps, at most [`CHUNK_STEPS_MAX`]. The chunk ends at `start_tick + len · step_ticks`.
    pub len: u32,
    /// The steps.
    pub steps: [ChunkStep; CHUNK_STEPS_MAX],
}
