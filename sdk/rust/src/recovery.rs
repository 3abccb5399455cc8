//! Recoveries: plugins that put right what made a skill fail.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bindings::recovery::exports::sinew::plugin::recovery_run as wire;
use crate::{Failure, Robot};

/// A recovery plugin.
///
/// ```ignore
/// struct Regrasp;
///
/// #[recovery]
/// impl Recovery for Regrasp {
///     fn assess(failure: &Failure, context: &Context, robot: &mut Robot) -> Option<Proposal> { … }
///     fn recover(failure: &Failure, context: &Context, robot: &mut Robot) -> Result<Recovered, Failure> { … }
/// }
/// ```
pub trait Recovery {
    /// Whether this recovery can help, and at what cost. Fast and without actuation: motion, gripper and
    /// policy answer `Denied` in here, and nothing waits.
    fn assess(failure: &Failure, context: &Context, robot: &mut Robot) -> Option<Proposal>;

    /// Puts it right.
    ///
    /// # Errors
    /// It could not be put right.
    fn recover(
        failure: &Failure,
        context: &Context,
        robot: &mut Robot,
    ) -> Result<Recovered, Failure>;
}

/// What failed and around what.
#[derive(Clone, Debug)]
pub struct Context {
    /// `publisher/name` of the skill that failed.
    pub skill: String,
    /// Its version: `params` and the failure's `detail` have its shapes.
    pub version: String,
    /// Its parameters.
    pub params: Value,
    /// Recoveries already tried for this task, whoever's, this one not counted.
    pub attempts: u32,
    /// There is a checkpoint: [`Recovered::resume`] leads back to it.
    pub resumable: bool,
    /// Ticks after which `recover` is cancelled.
    pub time_limit: u64,
}

impl Context {
    /// The failed skill's parameters as a struct.
    ///
    /// # Errors
    /// A `skill-fault` if they have another shape.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_value(self.params.clone()).map_err(|error| {
            Failure::new(
                "skill-fault",
                format!("parameters of {}: {error}", self.skill),
            )
        })
    }
}

/// What a recovery would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// In words.
    pub plan: String,
    /// Expected ticks.
    pub cost_ticks: u64,
    /// Its own estimate of success, 0 to 1.
    pub success: f64,
}

/// What a recovery did.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    /// In words.
    pub message: String,
    /// How the skill goes on.
    pub next: Next,
}

/// How the skill goes on after a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// From its last checkpoint.
    Resume,
    /// Anew.
    Restart,
}

impl Recovered {
    /// The skill goes on from its last checkpoint.
    #[must_use]
    pub fn resume(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            next: Next::Resume,
        }
    }

    /// The skill starts anew.
    #[must_use]
    pub fn restart(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            next: Next::Restart,
        }
    }
}

impl From<wire::Context> for Context {
    fn from(context: wire::Context) -> Self {
        Self {
            skill: context.skill,
            version: context.version,
            params: serde_json::from_str(&context.params).unwrap_or(Value::Null),
            attempts: context.attempts,
            resumable: context.resumable,
            time_limit: context.time_limit,
        }
    }
}

impl From<Proposal> for wire::Proposal {
    fn from(proposal: Proposal) -> Self {
        Self {
            plan: proposal.plan,
            cost_ticks: proposal.cost_ticks,
            success: proposal.success,
        }
    }
}

impl From<Recovered> for wire::Outcome {
    fn from(recovered: Recovered) -> Self {
        Self {
            message: recovered.message,
            next: match recovered.next {
                Next::Resume => "resume",
                Next::Restart => "restart",
            }
            .to_owned(),
        }
    }
}
