//! Frames to detections to tracked objects to world snapshots.
//!
//! [`Perception`] takes the newest exposure of each camera at a fixed rate, has it developed and looked at by
//! a worker thread, and uses the result when a configured latency is over: in virtual time it waits for the
//! worker then, so that nothing depends on the machine. The [`Detector`] is an ONNX model with a manifest;
//! the tracker gives parts an identity across images and cameras. All that comes in are images and the
//! loop's status.

mod detector;
mod error;
pub mod evaluation;
mod grip;
mod lens;
mod manifest;
mod pipeline;
mod track;
mod tracker;
mod worker;

pub use detector::{Detection, Detector};
pub use error::{DetectorError, PerceptionError};
pub use grip::{GripConfig, InHand};
pub use manifest::{DetectorManifest, PartClass};
pub use pipeline::{Perception, PerceptionConfig};
pub use tracker::TrackerConfig;
