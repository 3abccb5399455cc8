//! The files that describe a robot (joints, links, capsules, drives, gripper, cameras) and its safety limits.
//!
//! A file is TOML; each quantity carries its unit in its key. Unknown keys, impossible values and reversed
//! limits are refused with the line, the key and what is allowed, before anything is energised.

mod error;
mod name;
mod place;
mod robot;
mod safety_file;
mod safety_words;

pub use error::DescriptionError;
pub use robot::{
    Drive, GripperDescription, HandDescription, JointDescription, LinkMass, NamedPose,
    RobotDescription,
};
pub use safety_file::{SafetyFile, Warning};
pub use safety_words::{
    Difference, Quantity, difference, not_checked, quantities, reaction_words, zone_words,
};
