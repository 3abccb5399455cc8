//! The records of the WIT package as Rust types. The names and the order of fields and cases are the WIT's; the
//! linker checks them against every component that is loaded.

use std::sync::Arc;

use sinew_messages as messages;
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::tape::{recorded_cases, recorded_fields};

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Vec3 {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Quaternion {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
    pub(crate) w: f64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Pose {
    pub(crate) position: Vec3,
    pub(crate) orientation: Quaternion,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Error {
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "cancelled")]
    Cancelled,
    #[component(name = "limit")]
    Limit(String),
    #[component(name = "unavailable")]
    Unavailable(Problem),
    #[component(name = "other")]
    Other(Problem),
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Problem {
    pub(crate) label: String,
    pub(crate) message: String,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Failure {
    pub(crate) label: String,
    pub(crate) message: String,
    pub(crate) detail: String,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Checkpoint {
    pub(crate) schema: u32,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Object {
    pub(crate) id: u64,
    pub(crate) class: Arc<str>,
    pub(crate) color: Arc<str>,
    pub(crate) pose: Pose,
    pub(crate) velocity: Vec3,
    pub(crate) size: Vec3,
    pub(crate) confidence: f64,
    #[component(name = "position-sigma")]
    pub(crate) position_sigma: f64,
    #[component(name = "first-seen")]
    pub(crate) first_seen: u64,
    #[component(name = "last-seen")]
    pub(crate) last_seen: u64,
    pub(crate) place: Arc<str>,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Place {
    pub(crate) name: Arc<str>,
    pub(crate) kind: String,
    pub(crate) pose: Pose,
    pub(crate) size: Vec3,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct RobotState {
    pub(crate) tick: u64,
    pub(crate) tool: Pose,
    pub(crate) joints: Vec<f64>,
    #[component(name = "gripper-width")]
    pub(crate) gripper_width: f64,
    #[component(name = "gripper-force")]
    pub(crate) gripper_force: f64,
    #[component(name = "tool-force")]
    pub(crate) tool_force: Vec3,
    pub(crate) stopped: bool,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Snapshot {
    pub(crate) tick: u64,
    pub(crate) objects: Vec<Object>,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Guarded {
    pub(crate) to: Pose,
    pub(crate) force: f64,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Target {
    #[component(name = "joints")]
    Joints(Vec<f64>),
    #[component(name = "pose")]
    Pose(Pose),
    #[component(name = "line")]
    Line(Pose),
    #[component(name = "guarded")]
    Guarded(Guarded),
    #[component(name = "named")]
    Named(String),
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Goal {
    pub(crate) target: Target,
    pub(crate) speed: f64,
    pub(crate) acceleration: f64,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct MotionOutcome {
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) tool: Pose,
    pub(crate) tick: u64,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct GripperOutcome {
    pub(crate) state: String,
    pub(crate) width: f64,
    pub(crate) force: f64,
    pub(crate) holding: bool,
    pub(crate) tick: u64,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct PolicyOutcome {
    pub(crate) state: String,
    pub(crate) label: String,
    pub(crate) confidence: f64,
    pub(crate) ticks: u64,
    pub(crate) message: String,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Context {
    pub(crate) skill: String,
    pub(crate) version: String,
    pub(crate) params: String,
    pub(crate) attempts: u32,
    pub(crate) resumable: bool,
    #[component(name = "time-limit")]
    pub(crate) time_limit: u64,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Proposal {
    pub(crate) plan: String,
    #[component(name = "cost-ticks")]
    pub(crate) cost_ticks: u64,
    pub(crate) success: f64,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct RecoveryOutcome {
    pub(crate) message: String,
    pub(crate) next: String,
}

recorded_fields! {
    Vec3 { x, y, z }
    Quaternion { x, y, z, w }
    Pose { position, orientation }
    Problem { label, message }
    Failure { label, message, detail }
    Checkpoint { schema, bytes }
    Object { id, class, color, pose, velocity, size, confidence, position_sigma, first_seen, last_seen, place }
    Place { name, kind, pose, size }
    RobotState { tick, tool, joints, gripper_width, gripper_force, tool_force, stopped }
    Snapshot { tick, objects }
    Guarded { to, force }
    Goal { target, speed, acceleration }
    MotionOutcome { state, reason, tool, tick }
    GripperOutcome { state, width, force, holding, tick }
    PolicyOutcome { state, label, confidence, ticks, message }
    Context { skill, version, params, attempts, resumable, time_limit }
}

recorded_cases! { Error {
    0 Denied(text),
    1 Cancelled,
    2 Limit(text),
    3 Unavailable(problem),
    4 Other(problem),
} }

recorded_cases! { Target {
    0 Joints(joints),
    1 Pose(pose),
    2 Line(pose),
    3 Guarded(contact),
    4 Named(name),
} }

impl Problem {
    fn new(label: &str, message: impl Into<String>) -> Self {
        Self {
            label: label.to_owned(),
            message: message.into(),
        }
    }
}

impl Error {
    /// A wrong argument or a failed attempt that no failure label fits.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::failed("", message)
    }

    /// A failed attempt that a failure label fits.
    pub(crate) fn failed(label: &str, message: impl Into<String>) -> Self {
        Self::Other(Problem::new(label, message))
    }

    /// Not now; `label` is empty if none fits.
    pub(crate) fn unavailable(label: &str, message: impl Into<String>) -> Self {
        Self::Unavailable(Problem::new(label, message))
    }

    /// A stop is latched.
    pub(crate) fn stopped() -> Self {
        Self::unavailable("safety-stop", "a stop is latched, a person must reset it")
    }
}

impl From<[f64; 3]> for Vec3 {
    fn from([x, y, z]: [f64; 3]) -> Self {
        Self { x, y, z }
    }
}

impl From<&messages::Pose> for Pose {
    fn from(pose: &messages::Pose) -> Self {
        let [x, y, z, w] = pose.orientation_xyzw;
        Self {
            position: pose.position_m.into(),
            orientation: Quaternion { x, y, z, w },
        }
    }
}

impl Pose {
    /// The message, with the quaternion brought to unit length; `None` if it is no pose.
    pub(crate) fn checked(self) -> Option<messages::Pose> {
        let Quaternion { x, y, z, w } = self.orientation;
        let pose = messages::Pose {
            position_m: [self.position.x, self.position.y, self.position.z],
            orientation_xyzw: [x, y, z, w],
        };
        pose.is_valid().then(|| {
            let norm = (x * x + y * y + z * z + w * w).sqrt();
            messages::Pose {
                orientation_xyzw: pose.orientation_xyzw.map(|c| c / norm),
                ..pose
            }
        })
    }
}
