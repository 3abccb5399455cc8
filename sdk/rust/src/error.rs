//! Why a call was refused, and how a run fails.

use core::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::bindings::capabilities::sinew::plugin::types;

/// Labels that the host knows, in the order of its taxonomy.
const LABELS: [&str; 18] = [
    "no-grasp",
    "slip",
    "dropped",
    "wrong-object",
    "missing-object",
    "misplaced",
    "collision",
    "jam",
    "blocked-target",
    "unreachable",
    "timeout",
    "low-confidence",
    "sensor-stall",
    "policy-stall",
    "skill-fault",
    "safety-stop",
    "false-success",
    "operator-abort",
];

/// Why the host did not do what was asked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// No grant covers it, or the lease on the robot part is not held. The text says what to add.
    Denied(String),
    /// The run is being cancelled, or a newer goal replaced this one.
    Cancelled,
    /// A budget (rate, size, count, run length) is used up.
    Limit(String),
    /// The thing asked for is not there now: camera stalled, robot stopped, policy not loaded.
    Unavailable(String),
    /// Wrong argument or failed attempt.
    Other(String),
}

impl Error {
    /// The failure label that the text starts with (`unreachable: …`), if it does.
    #[must_use]
    pub fn label(&self) -> Option<&'static str> {
        let (Self::Limit(text) | Self::Unavailable(text) | Self::Other(text)) = self else {
            return None;
        };
        let word = text.split(':').next()?;
        LABELS.into_iter().find(|label| *label == word)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(text) => write!(f, "denied: {text}"),
            Self::Cancelled => write!(f, "cancelled"),
            Self::Limit(text) => write!(f, "limit: {text}"),
            Self::Unavailable(text) => write!(f, "unavailable: {text}"),
            Self::Other(text) => write!(f, "{text}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Denied(text) => Self::Denied(text),
            types::Error::Cancelled => Self::Cancelled,
            types::Error::Limit(text) => Self::Limit(text),
            types::Error::Unavailable(text) => Self::Unavailable(text),
            types::Error::Other(text) => Self::Other(text),
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
    /// The label of the error's text, or else `operator-abort` for a cancelled call, `timeout` for a used-up
    /// budget and `skill-fault` for everything else.
    fn from(error: Error) -> Self {
        let label = error.label().unwrap_or(match error {
            Error::Cancelled => "operator-abort",
            Error::Limit(_) => "timeout",
            _ => "skill-fault",
        });
        // The label stands beside the message, not in front of it again.
        let text = error.to_string();
        let message = text
            .strip_prefix(label)
            .and_then(|rest| rest.strip_prefix(": "));
        Self::new(label, message.unwrap_or(&text))
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
    fn an_error_becomes_the_failure_that_its_text_names() {
        for (error, label) in [
            (Error::Other("unreachable: too far".into()), "unreachable"),
            (
                Error::Unavailable("sensor-stall: overhead".into()),
                "sensor-stall",
            ),
            (Error::Other("no such pose".into()), "skill-fault"),
            (Error::Denied("unreachable: no".into()), "skill-fault"),
            (Error::Limit("rate".into()), "timeout"),
            (Error::Cancelled, "operator-abort"),
        ] {
            assert_eq!(Failure::from(error).label, label);
        }
    }
}
