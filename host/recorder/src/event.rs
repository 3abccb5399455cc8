//! What happened, in words and as JSON.

use serde::Serialize;
use serde_json::Value;

/// How much an event matters. The numbers are those of `foxglove.Log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For developers.
    Debug = 1,
    /// The usual course.
    Info = 2,
    /// Worth a look.
    Warn = 3,
    /// Something failed.
    Error = 4,
}

/// One event of a task, a plugin, the gate or the cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlightEvent {
    /// Tick at which it happened.
    pub tick: u64,
    /// How much it matters.
    pub level: Level,
    /// Who says so: `tasks`, `sinew/kit-parts`, `gate`, …
    pub source: String,
    /// Stable name, for machines: `task-state`, `step`, `recovery-chosen`, …
    pub name: String,
    /// One line for people.
    pub message: String,
    /// Everything else.
    pub detail: Value,
}
