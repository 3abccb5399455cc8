//! Write Sinew skills and recoveries in Rust.
//!
//! A skill is ordinary sequential code: a call such as [`Motion::move_to`] looks blocking, and the host
//! runs other work until it has ended. Parameters and result are plain structs; their JSON Schemas go into
//! the plugin's manifest, and the host checks every value against them.
//!
//! ```ignore
//! use sinew_sdk::prelude::*;
//!
//! /// Where to go.
//! #[derive(Deserialize, JsonSchema)]
//! struct Params { pose: String }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Outcome { ticks: u64 }
//!
//! #[skill]
//! fn run(params: Params, _resume: Option<()>, robot: &mut Robot) -> Result<Outcome, Failure> {
//!     let start = robot.clock.now();
//!     robot.motion.move_to(Goal::named(params.pose).speed(0.5))?;
//!     Ok(Outcome { ticks: robot.clock.now() - start })
//! }
//! ```
//!
//! What the compiler can't know stands in `manifest.toml` beside `Cargo.toml` (see [`manifest`]): name,
//! summary, the interfaces asked for and why, the parts of the robot, policies, post-conditions.
//!
//! Marks on a parameter let the host refuse a task before anything moves; without them a wrong name is a failure
//! of the run. `#[schemars(extend("x-sinew-class" = true))]` says that the string is a class of parts that
//! perception knows, `x-sinew-color` a colour, `x-sinew-pose` a named pose of the robot, `"x-sinew-place" =
//! "pocket"` a place of that kind; `x-sinew-unique` that no two items of the list may have the same one.
//!
//! Units are metres, radians, newtons; moments and spans are ticks of 1 ms. Poses are in the robot's base
//! frame, z up; tool poses are of the point between the finger tips.

mod bindings;
mod capabilities;
mod checkpoint;
mod error;
mod glue;
#[cfg(not(target_family = "wasm"))]
pub mod manifest;
mod motion;
mod pose;
mod recovery;

pub use bindings::capabilities::sinew::plugin::types::{Pose, Quaternion, Vec3};
pub use bindings::capabilities::sinew::plugin::world::{Object, Place, RobotState, Snapshot};
pub use capabilities::{
    Clock, Events, Files, Grip, GripEnd, Gripper, Lifecycle, Log, Memory, Operator, Policy,
    PolicyOutcome, PolicyState, World,
};
pub use checkpoint::Checkpoint;
pub use error::{Error, Failure, Problem};
pub use motion::{Goal, Motion, MotionEnd, MotionOutcome, Moving};
pub use pose::wrap_angle;
pub use recovery::{Context, Next, Proposal, Recovered, Recovery};
pub use sinew_sdk_macros::{recovery, skill};

/// What almost every plugin needs.
pub mod prelude {
    pub use crate::{
        Checkpoint, Context, Error, Failure, Goal, MotionEnd, Next, Object, Place, PolicyState,
        Pose, Problem, Proposal, Recovered, Recovery, Robot, Vec3, recovery, skill,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

/// The robot as this plugin may use it: one field a capability.
///
/// Using a field's methods makes the plugin import that interface, which it must then ask for in its manifest
/// and which the operator must have granted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Robot {
    /// What is perceived: objects, places, the robot itself.
    pub world: World,
    /// Motion of the arm.
    pub motion: Motion,
    /// The gripper.
    pub gripper: Gripper,
    /// Learned policies, run closed-loop by the host.
    pub policy: Policy,
    /// A small key-value store of the plugin's own.
    pub memory: Memory,
    /// Granted directories.
    pub files: Files,
    /// Asking a person.
    pub operator: Operator,
    /// Structured events for people and for the record.
    pub events: Events,
    /// Text for developers.
    pub log: Log,
    /// Time in ticks.
    pub clock: Clock,
    /// Checkpoints and cancellation.
    pub lifecycle: Lifecycle,
}

#[doc(hidden)]
pub mod __bindings {
    pub use crate::bindings::{recovery, skill};
}

#[doc(hidden)]
pub use glue::*;
