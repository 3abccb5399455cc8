//! The simulated workcell: deterministic, seeded, fault-injectable.
//!
//! The truth of the simulation (poses of parts, contacts) is read by this crate and its scorer alone;
//! the rest of the host sees what a real cell would show: joint states, forces at the hand, and images.

pub mod config;
pub mod film;
pub mod scene;

pub use config::{CellConfig, ConfigError, FixedPlace};
