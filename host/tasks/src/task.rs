//! What a task is to whoever asked for it.

use core::fmt;

use serde::Serialize;
use serde_json::Value;
use sinew_plugin_host::{RunDenials, RunRecord};
use sinew_units::Tick;

use crate::event::{TaskEvent, tick_number};
use crate::failure::FailureLabel;
use crate::fault::FaultyRun;

/// Number of a task, counting up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TaskId(pub u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.0)
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits for its turn or for robot parts.
    Queued,
    /// Its skill runs, or the world is asked whether it succeeded.
    Running,
    /// Its skill failed, and a recovery is being chosen or runs.
    Recovering,
    /// The skill said yes and the world agreed.
    Succeeded,
    /// It will not be done.
    Failed,
    /// Somebody took it back.
    Cancelled,
}

impl TaskState {
    /// Its name in events and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Recovering => "recovering",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// True if it will not change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskEnd {
    /// `succeeded`, `failed` or `cancelled`.
    pub state: TaskState,
    /// Why not, unless it succeeded.
    pub label: Option<FailureLabel>,
    /// One line on it.
    pub message: String,
    /// Version of the skill that it ended on.
    pub version: String,
    /// SHA-256 of that version's component, hexadecimal.
    pub digest: String,
    /// How often it went over to another version.
    pub swaps: u64,
    /// The skill's result, if it succeeded.
    pub result: Value,
    /// Every failure on the way, the recovered ones included, in order.
    pub failures_met: Vec<FailureLabel>,
    /// Recoveries started.
    pub recoveries_attempted: u64,
    /// Recoveries after which the skill got beyond where it had failed: to a new safe point, or to the end.
    pub recoveries_succeeded: u64,
    /// Succeeded without a recovery.
    pub first_pass: bool,
    /// A person is needed before this can be done: no recovery could help, or only a person may.
    pub needs_person: bool,
    /// What to ask that person.
    pub question: Option<String>,
    /// The guard of the host's thread ended a run of it, so the same task may end elsewhere next time.
    pub nondeterministic: bool,
    /// Tick at which it left the queue; the end's tick if it never did.
    #[serde(serialize_with = "tick_number")]
    pub started: Tick,
    /// Tick at which it ended.
    #[serde(serialize_with = "tick_number")]
    pub ended: Tick,
}

/// What a task is doing now, to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskStatus {
    /// Its number.
    pub id: TaskId,
    /// Where it stands.
    pub state: TaskState,
    /// The skill.
    pub skill: String,
    /// The plugin that runs now: the skill or a recovery; empty if none does.
    pub plugin: String,
    /// The step that the plugin named last.
    pub step: String,
    /// Tracked object that the step is about.
    pub object: Option<u64>,
}

/// A run of a task that has ended, as it was recorded.
#[derive(Clone, Debug)]
pub struct RecordedRun {
    /// Of which task.
    pub task: TaskId,
    /// Which run of it, from 1; recoveries count too.
    pub number: u64,
    /// A recovery was only asked what it would do; the number is that of the run that comes next.
    pub assess: bool,
    /// What was recorded.
    pub record: RunRecord,
}

/// A run of a task that has ended, and that something was refused to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedRun {
    /// Of which task.
    pub task: TaskId,
    /// Which run of it, as in [`RecordedRun`].
    pub number: u64,
    /// A recovery was only asked what it would do.
    pub assess: bool,
    /// What was refused.
    pub denials: RunDenials,
}

/// What tasks leave for whoever drives the engine, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) events: Vec<TaskEvent>,
    pub(crate) recorded: Vec<RecordedRun>,
    pub(crate) denied: Vec<DeniedRun>,
    pub(crate) faulty: Vec<FaultyRun>,
}
