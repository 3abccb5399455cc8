//! How a person names a plugin: `acme/pick`, `pick`, `acme/pick@1.2.0`, `acme/pick@5f2c91`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::digest::Digest;
use crate::store::Version;

/// Digits of a digest that name one.
const DIGEST_DIGITS_MIN: usize = 4;

/// A name, with or without its publisher, and perhaps a version or the first digits of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    name: String,
    which: Option<String>,
}

/// What is wrong with how it is written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` names no plugin: write NAME or PUBLISHER/NAME, and for one version NAME@1.2.0 or NAME@ and the first digits of its digest, 4 or more"
)]
pub struct SelectorError(String);

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let wrong = || SelectorError(text.chars().take(100).collect());
        let (name, which) = match text.split_once('@') {
            Some((name, which)) => (name, Some(which)),
            None => (text, None),
        };
        let is_word = |word: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            !word.is_empty() && word.bytes().all(plain)
        };
        let is_name = match name.split_once('/') {
            Some((publisher, name)) => is_word(publisher) && is_word(name),
            None => is_word(name),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-+.".contains(&b);
        let which = which.map(|which| which.strip_prefix("sha256:").unwrap_or(which));
        // A version has dots in it.
        let is_long = |which: &str| which.contains('.') || which.len() >= DIGEST_DIGITS_MIN;
        let is_version = which.is_none_or(|which| is_long(which) && which.bytes().all(plain));
        if !is_name || !is_version {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            which: which.map(str::to_owned),
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)?;
        self.which
            .iter()
            .try_for_each(|which| write!(out, "@{which}"))
    }
}

impl Selector {
    /// Whether it names one version.
    #[must_use]
    pub fn is_of_one_version(&self) -> bool {
        self.which.is_some()
    }

    pub(crate) fn fits_name(&self, full: &str) -> bool {
        full == self.name
            || full
                .split_once('/')
                .is_some_and(|(_, name)| name == self.name)
    }

    /// A version counts before a digest that begins alike.
    pub(crate) fn fits_version(&self, version: &Version) -> bool {
        self.which
            .as_ref()
            .is_none_or(|which| *which == version.to_string())
    }

    pub(crate) fn fits_digest(&self, digest: &Digest) -> bool {
        (self.which.as_ref()).is_none_or(|which| {
            which.len() >= DIGEST_DIGITS_MIN && digest.to_string().starts_with(which)
        })
    }
}
