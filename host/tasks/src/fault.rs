//! Which ends of a run are the plugin's own fault, whatever became of its task.

use sinew_plugin_host::{RunEnd, line};

use crate::failure::FailureLabel;
use crate::task::TaskId;

/// How a plugin misbehaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It could not be started.
    Start,
    /// It trapped.
    Trap,
    /// It used up a budget.
    Budget,
    /// It was asked to end, or stood under a latched stop, and had to be killed.
    Killed,
    /// It returned a result that misses its schema, or a failure that is no label.
    Result,
}

impl FaultKind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Trap => "trap",
            Self::Budget => "budget",
            Self::Killed => "killed",
            Self::Result => "result",
        }
    }
}

/// What a plugin did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// In words: one line, of which the plugin may have chosen a part.
    pub text: String,
}

/// A run of a task that has ended, and in which the plugin misbehaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultyRun {
    /// Of which task.
    pub task: TaskId,
    /// Which run of it, as in [`RecordedRun`](crate::RecordedRun).
    pub number: u64,
    /// A recovery was only asked what it would do.
    pub assess: bool,
    /// `publisher/name`.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component, hexadecimal.
    pub digest: String,
    /// What it did.
    pub fault: Fault,
}

impl Fault {
    /// What was wrong with how a run ended, if anything was.
    pub(crate) fn of(ended: &RunEnd) -> Option<Self> {
        let (kind, text) = match ended {
            RunEnd::Trapped { message } => (FaultKind::Trap, format!("it trapped: {message}")),
            RunEnd::OutOfBudget { what, .. } => {
                (FaultKind::Budget, format!("it used up its budget: {what}"))
            }
            RunEnd::Cancelled { killed: true } => (
                FaultKind::Killed,
                "it did not end when it was to, and was killed".to_owned(),
            ),
            RunEnd::Failed(failure)
                if matches!(
                    FailureLabel::of_plugin(&failure.label),
                    None | Some(FailureLabel::SkillFault)
                ) =>
            {
                let text = format!("{}: {}", failure.label, failure.message);
                (FaultKind::Result, text)
            }
            RunEnd::Failed(_)
            | RunEnd::Finished(_)
            | RunEnd::Starved { .. }
            | RunEnd::HandedOver
            | RunEnd::Cancelled { killed: false } => return None,
        };
        let text = line(text.lines().next().unwrap_or_default());
        Some(Self { kind, text })
    }
}
