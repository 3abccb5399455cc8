//! What goes into a run and what comes out of it.

use serde_json::Value;
use sinew_units::{Tick, Ticks};

use crate::denials::RunDenials;
use crate::tape::RunRecord;
use crate::wire;

/// Robot parts that the owner of the run holds for it. The owner sees to it that a part has one holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// The arm.
    pub arm: bool,
    /// The gripper.
    pub gripper: bool,
}

impl Lease {
    /// Arm and gripper.
    pub const ALL: Self = Self {
        arm: true,
        gripper: true,
    };
}

/// Where a run can be taken up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Version of the shape of `bytes`.
    pub schema: u32,
    /// The plugin's own.
    pub bytes: Vec<u8>,
}

/// How a run failed, in the plugin's words. The label is not checked here.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// A failure label, if the plugin keeps to the taxonomy.
    pub label: String,
    /// For people.
    pub message: String,
    /// For recoveries; null if the plugin gave no JSON.
    pub detail: Value,
}

/// What a recovery is told about the failed task.
#[derive(Clone, Debug)]
pub struct RecoveryContext {
    /// `publisher/name` of the skill that failed.
    pub skill: String,
    /// Its version.
    pub version: String,
    /// Its parameters.
    pub params: Value,
    /// Attempts already made for this task.
    pub attempts: u32,
    /// There is a checkpoint to go on from.
    pub resumable: bool,
    /// How long putting it right may take.
    pub time_limit: Ticks,
}

/// What a recovery would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// In words.
    pub plan: String,
    /// Expected ticks.
    pub cost_ticks: u64,
    /// Its own estimate of success, brought into 0 to 1.
    pub success: f64,
}

/// What came of asking a recovery what it would do, and what its run leaves behind: the same as any run.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// What it proposes, if it does, or how its run ended instead.
    pub answer: Result<Option<Proposal>, RunEnd>,
    /// What the run said, oldest first.
    pub events: Vec<RunEvent>,
    /// What was refused to it, if anything was.
    pub denials: Option<RunDenials>,
    /// What was recorded of it; `None` if nothing is.
    pub record: Option<RunRecord>,
}

impl Assessment {
    /// An answer that no run was needed for.
    #[must_use]
    pub fn without_run(answer: Result<Option<Proposal>, RunEnd>) -> Self {
        Self {
            answer,
            events: Vec::new(),
            denials: None,
            record: None,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEnd {
    /// It returned a result. A recovery's is `{"message": …, "next": "resume" | "restart"}`.
    Finished(Value),
    /// It returned a failure, or a result that misses its schema.
    Failed(Failure),
    /// It trapped: panic, out-of-bounds, stack overflow, exit. The instance is gone.
    Trapped {
        /// The guest's last words and the WebAssembly backtrace.
        message: String,
    },
    /// It used up a budget. The instance is gone.
    OutOfBudget {
        /// Which.
        what: String,
        /// The guard of the host's thread ended it, so the same run may end elsewhere next time.
        nondeterministic: bool,
    },
    /// The machine had no memory left for it, though it was within its own budget: no fault of the plugin's.
    Starved {
        /// What there was no room for.
        what: String,
    },
    /// It stands at a safe point, where it was to be taken over: it goes on from its checkpoint in another run.
    HandedOver,
    /// It was cancelled.
    Cancelled {
        /// It did not come back within its grace.
        killed: bool,
    },
}

impl RunEnd {
    /// The same run may end elsewhere on another machine, or at another time.
    #[must_use]
    pub fn is_by_the_machine(&self) -> bool {
        let by_guard = matches!(
            self,
            Self::OutOfBudget {
                nondeterministic: true,
                ..
            }
        );
        by_guard || matches!(self, Self::Starved { .. })
    }
}

/// What a run says while it goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
    /// A step begins.
    Step {
        /// When.
        tick: Tick,
        /// What.
        name: String,
        /// About which tracked object.
        object_id: Option<u64>,
    },
    /// A named event.
    Emitted {
        /// When.
        tick: Tick,
        /// What.
        name: String,
        /// The plugin's own.
        payload: Value,
    },
    /// Text for developers.
    Log {
        /// When.
        tick: Tick,
        /// `debug`, `info`, `warn` or `error`.
        level: &'static str,
        /// The text.
        message: String,
    },
    /// A checkpoint was stored.
    SafePoint {
        /// When.
        tick: Tick,
        /// Its version.
        schema: u32,
    },
    /// A call was refused for want of a grant or a lease.
    Denied {
        /// When.
        tick: Tick,
        /// What was refused, and what would allow it: a bounded line.
        text: String,
    },
}

/// What a run has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Host calls.
    pub calls: u64,
    /// Fuel, booked at each host call.
    pub fuel: u64,
    /// Refused calls.
    pub denials: u64,
    /// Log lines over the limit.
    pub log_dropped: u64,
    /// Events over the limit.
    pub events_dropped: u64,
    /// Largest linear memory, bytes.
    pub memory_peak_bytes: u64,
    /// Steps that ended before it came to a wait: it computes more than fits into one.
    pub overruns: u64,
    /// Time on a processor, ns. Differs from run to run. The first hundred thousand units of fuel of a step count by the wall clock: what
    /// another thread took meanwhile is in it.
    pub cpu_ns: u64,
}

impl Usage {
    /// Adds what another run has used; of memory the larger peak counts.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.fuel = self.fuel.saturating_add(other.fuel);
        self.denials = self.denials.saturating_add(other.denials);
        self.log_dropped = self.log_dropped.saturating_add(other.log_dropped);
        self.events_dropped = self.events_dropped.saturating_add(other.events_dropped);
        self.memory_peak_bytes = self.memory_peak_bytes.max(other.memory_peak_bytes);
        self.overruns = self.overruns.saturating_add(other.overruns);
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
    }
}

/// Longest label and message of a failure, characters, and longest detail, bytes: every recovery that might help is told all of it,
/// and pays for reading it.
const LABEL_MAX: usize = 100;
const MESSAGE_MAX: usize = 4_000;
const DETAIL_MAX: usize = 16 << 10;

impl From<wire::Failure> for Failure {
    fn from(failure: wire::Failure) -> Self {
        let cut = |text: String, most: usize| match text.char_indices().nth(most) {
            Some((at, _)) => text[..at].to_owned(),
            None => text,
        };
        let size = failure.detail.len();
        let mut message = cut(failure.message, MESSAGE_MAX);
        let detail = if size > DETAIL_MAX {
            message.push_str(&format!(
                " (its detail had {size} bytes and is left out: {DETAIL_MAX} are kept)"
            ));
            Value::Null
        } else {
            serde_json::from_str(&failure.detail).unwrap_or(Value::Null)
        };
        Self {
            label: cut(failure.label, LABEL_MAX),
            message,
            detail,
        }
    }
}

impl From<Checkpoint> for wire::Checkpoint {
    fn from(Checkpoint { schema, bytes }: Checkpoint) -> Self {
        Self { schema, bytes }
    }
}

impl From<&Failure> for wire::Failure {
    fn from(failure: &Failure) -> Self {
        Self {
            label: failure.label.clone(),
            message: failure.message.clone(),
            detail: failure.detail.to_string(),
        }
    }
}

impl From<&RecoveryContext> for wire::Context {
    fn from(context: &RecoveryContext) -> Self {
        Self {
            skill: context.skill.clone(),
            version: context.version.clone(),
            params: context.params.to_string(),
            attempts: context.attempts,
            resumable: context.resumable,
            time_limit: context.time_limit.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_no_longer_than_every_recovery_can_read() {
        let of = |detail: String| {
            Failure::from(wire::Failure {
                label: "é".repeat(5_000),
                message: "m".repeat(100_000),
                detail,
            })
        };
        let small = of("[1, 2]".to_owned());
        assert_eq!(small.label.chars().count(), LABEL_MAX);
        assert_eq!(small.message.len(), MESSAGE_MAX);
        assert_eq!(small.detail, serde_json::json!([1, 2]));
        let large = of(format!("\"{}\"", "d".repeat(DETAIL_MAX)));
        assert_eq!(large.detail, Value::Null);
        assert!(
            large.message.ends_with("16384 are kept)"),
            "{}",
            &large.message[MESSAGE_MAX..]
        );
    }
}
