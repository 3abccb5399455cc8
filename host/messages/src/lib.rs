//! The plain data of every stage, from sensor frame to safety verdict, and the mailbox that carries it
//! between the reflex (1 kHz) and the skill brain.
//!
//! Everything that crosses between the two is `repr(C)`, has a fixed size and no pointers, so that the
//! same bytes can later lie in memory shared by two processes. Enumerations travel as integers with a
//! checked decoder: bytes from the other side are never trusted to be a valid variant.
//!
//! Frames: every pose and every Cartesian quantity is in the robot's **base frame** (metres, z up)
//! unless its name says otherwise. The tool frame is the point between the finger tips (TCP), z out of
//! the gripper, y along the finger opening.

mod command;
mod event;
mod mailbox;
mod mode;
mod payload;
mod sensor;
mod surroundings;
mod verdict;

pub use command::{
    ActionChunk, ArmGoal, ArmGoalKind, CHUNK_STEPS_MAX, ChunkStep, GripperGoal, Setpoint,
};
pub use event::{ActivationRefusal, ResetAnswer, SafetyEvent, SafetyEventKind};
pub use mailbox::{Mailbox, RequestCounts, Requests, Slot, words_of};
pub use mode::SafetyMode;
pub use payload::Payload;
pub use sensor::{DriveStatus, LoopStatus, MotionState, SafetyInputs, SensorFrame, StopState};
pub use surroundings::{OBSTACLES_MAX, Obstacle, ObstacleFrame, ObstacleKind};
pub use verdict::{Indexed, LimitKind, StopCategory, TickRecord, VerdictKind, VerdictRecord};

use bytemuck::{Pod, Zeroable};

/// Joints of the arm. The reflex is compiled for one arm size: no allocation, no run-time arity.
pub const JOINTS: usize = 7;

/// One value a joint, base to tool.
pub type JointVector = [f64; JOINTS];

/// A pose in the robot's base frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Pose {
    /// Position in metres.
    pub position_m: [f64; 3],
    /// Unit quaternion, `[x, y, z, w]`.
    pub orientation_xyzw: [f64; 4],
}

impl Pose {
    /// No translation, no rotation.
    pub const IDENTITY: Self = Self {
        position_m: [0.0; 3],
        orientation_xyzw: [0.0, 0.0, 0.0, 1.0],
    };

    /// True if every component is finite and the quaternion has unit length within 1e-3.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let norm_squared: f64 = self.orientation_xyzw.iter().map(|c| c * c).sum();
        self.position_m.iter().all(|c| c.is_finite())
            && norm_squared.is_finite()
            && (norm_squared - 1.0).abs() < 2e-3
    }
}
