//! The composition root: configuration, threads, clocks, and the jobs that the command line starts.
//!
//! [`kit::Kit`] is what is loaded once (configuration, models, plugins); [`host::Host`] is put together from it
//! around a robot and cameras; [`job`] runs cycles of a skill on the simulated cell, each on a host of its own.

mod assets;
mod audit;
pub mod bench;
mod brain;
mod burden;
mod bystander;
mod denials;
pub mod doctor;
pub mod files;
mod fingerprint;
pub mod grants;
pub mod grasp;
pub mod host;
pub mod job;
pub mod kit;
pub mod perception_eval;
mod picture;
mod policies;
pub mod policy_lab;
pub mod replay;
pub mod robot;
pub mod safety_change;
pub mod safety_config;
mod safety_fit;
mod settings;
pub mod skills;
pub mod soak;
mod sources;
mod stopwatch;
mod trouble;
pub mod watch;

// Whoever composes a host of their own (tests, tools) needs the same crates.
pub use sinew_audit as audit_log;
pub use sinew_hardware as hardware;
pub use sinew_messages as messages;
pub use sinew_safety as safety;
pub use sinew_sim as sim;
pub use sinew_skill_store as skill_store;
pub use sinew_tasks as tasks;
pub use sinew_units as units;

pub use audit::{AUDIT_FILE, AuditTarget, open_audit, open_audit_with};
pub use burden::Weights;
pub use fingerprint::Fingerprint;
pub use settings::Settings;
pub use sinew_inference::Choice;
pub use sources::{Config, Sources};
pub use trouble::{InputError, Refused};

/// Fetches the ONNX Runtime library into the user's cache; `progress` is told each step.
///
/// # Errors
/// Whatever kept it from being installed; the cache is then unchanged.
pub fn setup_onnxruntime(progress: &mut dyn FnMut(&str)) -> anyhow::Result<std::path::PathBuf> {
    let cache = sinew_inference::cache_dir().ok_or(sinew_inference::setup::SetupError::NoCache)?;
    Ok(sinew_inference::setup::onnxruntime(&cache, progress)?)
}
