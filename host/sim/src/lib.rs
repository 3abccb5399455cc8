//! The simulated workcell: deterministic, seeded, fault-injectable.
//!
//! The truth of the simulation (poses of parts, contacts) is read by this crate and its scorer alone;
//! the rest of the host sees what a real cell would show: joint states, forces at the hand, and images.

pub mod camera;
mod catalogue;
mod cell;
pub mod config;
pub mod draw;
mod drives;
mod faults;
pub mod film;
mod person;
mod physics;
pub mod profile;
mod rng;
mod robot;
mod scanner;
pub mod scenario;
pub mod scene;
mod scorer;
pub mod solids;
#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Listed, Unknown};
pub use cell::{Cell, CycleScene};
pub use config::{CellConfig, ConfigError, FixedPlace};
pub use draw::OrderLine;
pub use faults::FaultEvent;
pub use person::{PersonAt, PersonTruth};
pub use profile::{Profile, Profiles};
pub use robot::SimRobot;
pub use scenario::{Scenario, Scenarios};
pub use scorer::{Grade, LineGrade};
