//! Tasks: one request to run a skill, from queued to succeeded, failed or cancelled.
//!
//! The engine runs skills and recoveries as plugins and nothing else: it knows no part, no pocket and no
//! trade. What a task is about stands in the skill's parameters, what the world must look like afterwards in
//! the manifest's post-conditions, and what can be done about a failure in the recoveries' own assessment.
//!
//! ```text
//! queued ─▶ running ──────────────▶ succeeded      the world agrees
//!             │  ▲
//!             ▼  │ resume, restart
//!          recovering ────────────▶ failed         budget used up, nobody can help, a stop is latched
//! (any of them) ──────────────────▶ cancelled
//! ```
//!
//! - **Success is judged by the world**: the declared post-conditions must hold in snapshots newer than the
//!   end of the run. A skill that says yes while the world says no is a `false-success`.
//! - **Leases**: a robot part has one holder at a time. A run gets the leases that its manifest names and loses
//!   them when it has ended, however it ended, once the robot stands still.
//! - **Evidence**: every run leaves its events, its record, what was refused to it and what it did wrong, also that of a recovery
//!   which was only asked.
//! - **Recovery**: see [`recovery`](crate::RecoveryBudget).
//!
//! Everything is driven by [`TaskEngine::step`]; no clock is read and equal inputs give equal events.

mod conditions;
mod engine;
mod event;
mod failure;
mod fault;
mod installed;
mod lease;
mod lifecycle;
mod params;
mod recovery;
mod task;

pub use conditions::{Condition, ConditionError, WorldView};
pub use engine::{
    CellNames, EngineConfig, SubmitError, SubmitOptions, TaskEngine, check_skill, check_task,
};
pub use event::{Happening, TaskEvent, Weighed};
pub use failure::FailureLabel;
pub use fault::{Fault, FaultKind, FaultyRun};
pub use installed::{
    Account, Bookkeeper, InstallError, Installed, InstalledVersion, Left, PluginRun, Plugins,
    SwapAt, Version, check_manifest,
};
pub use lease::{Leases, RobotParts};
pub use params::ParamsError;
pub use recovery::{History, RecoveryBudget};
pub use task::{DeniedRun, RecordedRun, TaskEnd, TaskId, TaskState, TaskStatus};

#[cfg(test)]
mod tests;
