//! Learned policies, run closed loop: observation → action chunk → mailbox.
//!
//! A policy is a directory with a [`Manifest`] (`policy.toml`) and an ONNX file whose digest stands in
//! it. The [`PolicyRunner`] builds observations from world snapshots and the loop's status alone, keeps
//! their history, normalises them, infers on a worker thread, blends overlapping chunks, and says how
//! much they disagree.
//!
//! Words used here:
//! - **step**: one entry of a chunk; the observation is taken once a step too. Steps of all chunks of a
//!   run lie on one grid that starts with the run, so that chunks overlap exactly.
//! - **heading frame**: origin at the tool point, z up, x along the horizontal direction of the tool's x
//!   axis. Observations and actions are in it, so that a policy is the same anywhere in the cell.
//! - **anchor**: the heading frame of the observation that a chunk answers.

mod chunk;
mod confidence;
mod ending;
mod goal_ids;
mod heading;
mod manifest;
mod observation;
mod runner;
mod store;
mod worker;

pub use chunk::Disagreement;
pub use confidence::Calibration;
pub use ending::EndCondition;
pub use goal_ids::GoalIds;
pub use heading::{Heading, tool_down};
pub use manifest::{
    ActionSpec, Channel, GripperSpec, Manifest, ModelSpec, Normalisation, ObjectSpec,
    ObservationSpec, TensorShape, YawSymmetry,
};
pub use observation::Feature;
pub use runner::{
    Activity, Pacing, PolicyEnd, PolicyOutcome, PolicyRunner, RunId, RunnerConfig, StartError,
    Within,
};
pub use store::{Policy, PolicyError, PolicyStore};
