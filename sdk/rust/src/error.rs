//! Why a call was refused, and how a run fails.

use core::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::bindings::capabilities::sinew::plugin::types;

/// Why the host did not do what was asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// Not granted, not asked for in the manifest, no lease on the robot part, or not allowed in `assess`. The text says what is
    /// missing.
    Denied(String),
    /// The run is being cancelled.
    Cancelled,
    /// A budget (rate, size, count, quota) is used up.
    Limit(String),
    /// Not now: a camera is stalled, a stop is latched, nobody can be asked, another policy runs.
    Unavailable(Problem),
    /// A wrong argument, or an attempt that failed.
    Other(Problem),
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The host's failure label that fits (`unreachable`, …); empty if none does.
    pub label: String,
    /// For people. Its words may change from one version of the host to the next.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(label: &str, message: impl Into<String>) -> Self {
        Self {
            label: label.to_owned(),
            message: message.into(),
        }
    }
}

impl Error {
    /// A wrong argument, or a failed attempt that no label fits.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::Other(Problem::new("", message))
    }

    /// The host's failure label that fits, if one does.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        let (Self::Unavailable(problem) | Self::Other(problem)) = self else {
            return None;
        };
        Some(problem.label.as_str()).filter(|label| !label.is_empty())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label.as_str() {
            "" => f.write_str(&self.message),
            label => write!(f, "{label}: {}", self.message),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(text) => write!(f, "denied: {text}"),
            Self::Cancelled => write!(f, "cancelled"),
            Self::Limit(text) => write!(f, "limit: {text}"),
            Self::Unavailable(problem) => write!(f, "unavailable: {problem}"),
            Self::Other(problem) => write!(f, "{problem}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<types::Problem> for Problem {
    fn from(problem: types::Problem) -> Self {
        Self {
            label: problem.label,
            message: problem.message,
        }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Denied(text) => Self::Denied(text),
            types::Error::Cancelled => Self::Cancelled,
            types::Error::Limit(text) => Self::Limit(text),
            types::Error::Unavailable(problem) => Self::Unavailable(problem.into()),
            types::Error::Other(problem) => Self::Other(problem.into()),
        }
    }
}

/// How a run failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// One of the host's failure labels (`no-grasp`, `missing-object`, …).
    pub label: String,
    /// What happened, for people.
    pub message: String,
    /// What it is about; the keys are the plugin's own.
    pub detail: Value,
}

impl Failure {
    /// A failure with one of the host's labels.
    #[must_use]
    pub fn new(label: &str, message: impl Into<String>) -> Self {
        Self {
            label: label.to_owned(),
            message: message.into(),
            detail: Value::Null,
        }
    }

    /// The same with a detail, for the recovery to read. What can't be written as JSON is left out.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Serialize) -> Self {
        self.detail = serde_json::to_value(detail).unwrap_or(Value::Null);
        self
    }

    /// The detail as the struct that the failing skill wrote, if it has that shape.
    #[must_use]
    pub fn detail<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.detail.clone()).ok()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.message)
    }
}

impl core::error::Error for Failure {}

impl From<Error> for Failure {
    /// The label that the host gave, or else `operator-abort` for a cancelled call, `timeout` for a used-up budget and
    /// `skill-fault` for everything else.
    fn from(error: Error) -> Self {
        match error {
            // The label stands beside the message, not in front of it again.
            Error::Unavailable(Problem { label, message })
            | Error::Other(Problem { label, message })
                if !label.is_empty() =>
            {
                Self::new(&label, message)
            }
            Error::Cancelled => Self::new("operator-abort", error.to_string()),
            Error::Limit(_) => Self::new("timeout", error.to_string()),
            _ => Self::new("skill-fault", error.to_string()),
        }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        Self {
            label: failure.label,
            message: failure.message,
            detail: failure.detail.to_string(),
        }
    }
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        Self {
            label: failure.label,
            message: failure.message,
            detail: serde_json::from_str(&failure.detail).unwrap_or(Value::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_the_failure_that_it_is_labelled() {
        let problem = Problem::new;
        for (error, label, message) in [
            (
                Error::Other(problem("unreachable", "too far")),
                "unreachable",
                "too far",
            ),
            (
                Error::Unavailable(problem("sensor-stall", "overhead")),
                "sensor-stall",
                "overhead",
            ),
            (
                Error::Other(problem("", "unreachable: no such pose")),
                "skill-fault",
                "unreachable: no such pose",
            ),
            (Error::Denied("no".into()), "skill-fault", "denied: no"),
            (Error::Limit("rate".into()), "timeout", "limit: rate"),
            (Error::Cancelled, "operator-abort", "cancelled"),
        ] {
            assert_eq!(Failure::from(error), Failure::new(label, message));
        }
    }
}
