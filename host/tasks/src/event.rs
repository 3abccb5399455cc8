//! What happens to tasks, for people, for machines and for the record.

use serde::Serialize;
use serde_json::Value;
use sinew_units::Tick;

use crate::failure::FailureLabel;
use crate::task::{TaskId, TaskState};

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskEvent {
    /// When, in ticks.
    #[serde(serialize_with = "tick_number")]
    pub tick: Tick,
    /// To which task.
    pub task: TaskId,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

pub(crate) fn tick_number<S: serde::Serializer>(
    tick: &Tick,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(tick.0)
}

/// A recovery's proposal as it was weighed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weighed {
    /// The recovery.
    pub recovery: String,
    /// What it would do.
    pub plan: String,
    /// Expected ticks of one attempt.
    pub cost_ticks: u64,
    /// Chance of success, its own estimate and what was seen of it weighed together.
    pub success: f64,
    /// Expected ticks until success: cost over chance. The smallest is chosen.
    pub expected_ticks: f64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// It was asked for.
    Submitted {
        /// The skill.
        skill: String,
        /// Its parameters.
        params: Value,
    },
    /// Its state changed.
    State {
        /// Before.
        from: TaskState,
        /// After.
        to: TaskState,
        /// Why.
        cause: String,
    },
    /// It got robot parts.
    LeaseTaken {
        /// Which.
        parts: Vec<&'static str>,
    },
    /// It gave all its robot parts back.
    LeaseReleased,
    /// A skill or a recovery begins to run.
    RunStarted {
        /// The plugin.
        plugin: String,
        /// Its version.
        version: String,
        /// Version of the checkpoint that it is taken up from, if it is.
        resumed: Option<u32>,
        /// Seed of its randomness.
        seed: u64,
    },
    /// It ended.
    RunEnded {
        /// The plugin.
        plugin: String,
        /// How.
        how: String,
    },
    /// A plugin named its step.
    Step {
        /// The plugin.
        plugin: String,
        /// The step.
        step: String,
        /// Tracked object that it is about.
        object: Option<u64>,
    },
    /// A plugin's own event.
    Emitted {
        /// The plugin.
        plugin: String,
        /// The event's name.
        name: String,
        /// Its payload.
        payload: Value,
    },
    /// A plugin's text for developers.
    Log {
        /// The plugin.
        plugin: String,
        /// `debug`, `info`, `warn` or `error`.
        level: &'static str,
        /// The text.
        text: String,
    },
    /// A plugin stored a checkpoint.
    SafePoint {
        /// The plugin.
        plugin: String,
        /// Version of the checkpoint.
        schema: u32,
    },
    /// A plugin was refused something.
    Denied {
        /// The plugin.
        plugin: String,
        /// What, and what would allow it.
        text: String,
    },
    /// The task went over to another version of its skill.
    Swapped {
        /// The skill.
        plugin: String,
        /// The version before.
        from: String,
        /// The version that goes on.
        to: String,
        /// Why.
        cause: String,
    },
    /// It was to go over to another version, and stays with its own.
    SwapRefused {
        /// The skill.
        plugin: String,
        /// The other version.
        to: String,
        /// Why it can't go on from here.
        reason: String,
    },
    /// The post-conditions don't hold yet; reported when the reason changes.
    Unmet {
        /// What does not hold.
        reason: String,
    },
    /// The skill failed.
    Failure {
        /// Under which label it is filed.
        label: FailureLabel,
        /// In words.
        message: String,
        /// What it is about.
        detail: Value,
    },
    /// The recoveries were asked.
    Assessed {
        /// About which label.
        label: FailureLabel,
        /// Best first.
        proposals: Vec<Weighed>,
    },
    /// A recovery is tried.
    RecoveryChosen {
        /// Which.
        recovery: String,
        /// What it will do.
        plan: String,
        /// Attempts of this task, this one included.
        attempt: u32,
    },
    /// A recovery came to its end.
    RecoveryEnded {
        /// Which.
        recovery: String,
        /// It says that it has put it right, and its post-conditions hold.
        put_right: bool,
        /// In words.
        message: String,
    },
    /// It became clear whether a recovery has helped: the skill got beyond where it had failed, or not.
    RecoveryJudged {
        /// Which.
        recovery: String,
        /// Has it helped?
        helped: bool,
    },
    /// A person is needed.
    Question {
        /// What to ask.
        text: String,
    },
}

impl Happening {
    /// Stable name of the kind.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Submitted { .. } => "submitted",
            Self::State { .. } => "state",
            Self::LeaseTaken { .. } => "lease-taken",
            Self::LeaseReleased => "lease-released",
            Self::RunStarted { .. } => "run-started",
            Self::RunEnded { .. } => "run-ended",
            Self::Step { .. } => "step",
            Self::Emitted { .. } => "emitted",
            Self::Log { .. } => "log",
            Self::SafePoint { .. } => "safe-point",
            Self::Denied { .. } => "denied",
            Self::Swapped { .. } => "swapped",
            Self::SwapRefused { .. } => "swap-refused",
            Self::Unmet { .. } => "unmet",
            Self::Failure { .. } => "failure",
            Self::Assessed { .. } => "assessed",
            Self::RecoveryChosen { .. } => "recovery-chosen",
            Self::RecoveryEnded { .. } => "recovery-ended",
            Self::RecoveryJudged { .. } => "recovery-judged",
            Self::Question { .. } => "question",
        }
    }

    /// One line for people.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Submitted { skill, .. } => format!("{skill} was asked for"),
            Self::State { from, to, cause } => {
                format!("{} → {}: {cause}", from.name(), to.name())
            }
            Self::LeaseTaken { parts } => format!("has {}", parts.join(", ")),
            Self::LeaseReleased => "gave its robot parts back".to_owned(),
            Self::RunStarted {
                plugin,
                version,
                resumed,
                ..
            } => match resumed {
                Some(_) => format!("{plugin} {version} goes on from its last safe point"),
                None => format!("{plugin} {version} begins"),
            },
            Self::RunEnded { plugin, how } => format!("{plugin} {how}"),
            Self::Step { step, .. } => step.clone(),
            Self::Emitted { name, payload, .. } => format!("{name} {payload}"),
            Self::Log { text, .. } | Self::Denied { text, .. } | Self::Question { text } => {
                text.clone()
            }
            Self::SafePoint { .. } => "safe point".to_owned(),
            Self::Swapped {
                plugin,
                from,
                to,
                cause,
            } => format!("{plugin} goes over from {from} to {to}: {cause}"),
            Self::SwapRefused { plugin, to, reason } => {
                format!("{plugin} stays as it is: {to} can't go on from here, {reason}")
            }
            Self::Unmet { reason } => format!("not yet as it should be: {reason}"),
            Self::Failure { label, message, .. } => format!("{label}: {message}"),
            Self::Assessed { label, proposals } => match proposals.first() {
                None => format!("no recovery can help with {label}"),
                Some(best) => format!(
                    "{} of the recoveries can help with {label}; best: {}",
                    proposals.len(),
                    best.recovery
                ),
            },
            Self::RecoveryChosen {
                recovery,
                plan,
                attempt,
            } => format!("attempt {attempt}: {recovery} will {plan}"),
            Self::RecoveryEnded {
                recovery,
                put_right,
                message,
            } => {
                let how = if *put_right {
                    "says it is put right"
                } else {
                    "failed"
                };
                format!("{recovery} {how}: {message}")
            }
            Self::RecoveryJudged { recovery, helped } => {
                format!(
                    "{recovery} {}",
                    if *helped { "helped" } else { "did not help" }
                )
            }
        }
    }

    /// The plugin that it is about; empty if none.
    #[must_use]
    pub fn plugin(&self) -> &str {
        match self {
            Self::RunStarted { plugin, .. }
            | Self::RunEnded { plugin, .. }
            | Self::Step { plugin, .. }
            | Self::Emitted { plugin, .. }
            | Self::Log { plugin, .. }
            | Self::SafePoint { plugin, .. }
            | Self::Swapped { plugin, .. }
            | Self::SwapRefused { plugin, .. }
            | Self::Denied { plugin, .. } => plugin,
            Self::RecoveryChosen { recovery, .. }
            | Self::RecoveryEnded { recovery, .. }
            | Self::RecoveryJudged { recovery, .. } => recovery,
            _ => "",
        }
    }

    /// True of what a plugin says by itself, as often as its budget lets it; all else is said by the host.
    #[must_use]
    pub fn is_by_plugin(&self) -> bool {
        matches!(
            self,
            Self::Step { .. } | Self::Emitted { .. } | Self::Log { .. } | Self::SafePoint { .. }
        )
    }

    /// How much it matters: `debug`, `info`, `warn` or `error`.
    #[must_use]
    pub fn level(&self) -> &'static str {
        match self {
            Self::Log { level, .. } => level,
            Self::State {
                to: TaskState::Failed,
                ..
            }
            | Self::Question { .. } => "error",
            Self::Failure { .. }
            | Self::Denied { .. }
            | Self::SwapRefused { .. }
            | Self::RecoveryEnded {
                put_right: false, ..
            } => "warn",
            Self::LeaseTaken { .. }
            | Self::LeaseReleased
            | Self::SafePoint { .. }
            | Self::Assessed { .. }
            | Self::Unmet { .. } => "debug",
            _ => "info",
        }
    }
}
