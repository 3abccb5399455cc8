//! Why a file was refused, and the checks that all files share.

use serde::de::DeserializeOwned;
use sinew_kinematics::ChainError;

use crate::place::{line_at, line_of};

/// Why a description or safety file was refused. Each names the file, the line and what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DescriptionError {
    /// Not TOML, a key that doesn't exist, one that is missing, or a value of the wrong type.
    #[error("{origin}:{line}: {message}")]
    Syntax {
        /// File that the text came from.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// What the parser says, with the keys that exist.
        message: String,
    },
    /// A value that can't be.
    #[error("{origin}:{line}: `{key}` is {found}; allowed: {allowed}")]
    Value {
        /// File that the text came from.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// Path of the key.
        key: String,
        /// What stands there.
        found: String,
        /// What may stand there.
        allowed: String,
    },
    /// The parts are valid but the chain they make is not.
    #[error("{origin}: {source}")]
    Chain {
        /// File that the text came from.
        origin: String,
        /// What is wrong.
        source: ChainError,
    },
}

/// A text under check.
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    pub(crate) origin: &'a str,
}

impl Source<'_> {
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, DescriptionError> {
        toml::from_str(self.text).map_err(|error| DescriptionError::Syntax {
            origin: self.origin.to_owned(),
            line: error
                .span()
                .map_or(1, |span| line_at(self.text, span.start)),
            message: error.message().to_owned(),
        })
    }

    pub(crate) fn refuse(&self, key: &str, found: String, allowed: &str) -> DescriptionError {
        DescriptionError::Value {
            origin: self.origin.to_owned(),
            line: line_of(self.text, key),
            key: key.to_owned(),
            found,
            allowed: allowed.to_owned(),
        }
    }

    /// `low ≤ value ≤ high`; a NaN is not.
    pub(crate) fn within(
        &self,
        key: &str,
        value: f64,
        low: f64,
        high: f64,
    ) -> Result<f64, DescriptionError> {
        if (low..=high).contains(&value) {
            return Ok(value);
        }
        Err(self.refuse(key, number(value), &format!("{low} to {high}")))
    }

    /// Above zero, up to `high`.
    pub(crate) fn positive(
        &self,
        key: &str,
        value: f64,
        high: f64,
    ) -> Result<f64, DescriptionError> {
        if value > 0.0 && value <= high {
            return Ok(value);
        }
        Err(self.refuse(key, number(value), &format!("above 0, up to {high}")))
    }

    /// Every coordinate within ± `reach`.
    pub(crate) fn point(
        &self,
        key: &str,
        value: [f64; 3],
        reach: f64,
    ) -> Result<[f64; 3], DescriptionError> {
        for c in value {
            if !(-reach..=reach).contains(&c) {
                return Err(self.refuse(
                    key,
                    format!("{value:?}"),
                    &format!("each of the three within -{reach} to {reach}"),
                ));
            }
        }
        Ok(value)
    }

    /// Every extent above zero, up to `high`.
    pub(crate) fn extents(
        &self,
        key: &str,
        value: [f64; 3],
        high: f64,
    ) -> Result<[f64; 3], DescriptionError> {
        for c in value {
            if !(c > 0.0 && c <= high) {
                return Err(self.refuse(
                    key,
                    format!("{value:?}"),
                    &format!("each of the three above 0, up to {high}"),
                ));
            }
        }
        Ok(value)
    }
}

/// A number as a person reads it: 1e300 has no 301 digits.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e9).contains(&size) && value.is_finite() {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}
