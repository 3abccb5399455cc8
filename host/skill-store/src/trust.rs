//! The trust file: which keys sign for which publisher, from when to when, and what is revoked.
//!
//! ```toml
//! [[publishers.acme.keys]]
//! key = "ed25519:3b6a…"
//! from = 2026-01-01            # first and last day, UTC; left out: no bound
//! until = 2027-12-31
//!
//! [[publishers.acme.keys]]
//! key = "ed25519:99f1…"
//! revoked = "laptop stolen"
//!
//! [[revoked]]
//! digest = "5f2c…"
//! why = "drops parts near people"
//! ```
//!
//! A key's days count when something is installed: what was signed and installed in time stays. A revocation counts at
//! every load.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use thiserror::Error;

use crate::digest::Digest;
use crate::history::line;
use crate::keys::PublicKey;

/// The trust file, checked.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Which file it is, for messages.
    origin: String,
    keys: Vec<TrustedKey>,
    revoked: BTreeMap<Digest, String>,
}

#[derive(Clone, Debug)]
struct TrustedKey {
    publisher: String,
    key: PublicKey,
    from: Option<Date>,
    until: Option<Date>,
    revoked: Option<String>,
}

/// A day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Year.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
}

impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// What is wrong with a trust file, or why a key or digest does not count.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrustError {
    /// Not TOML, or an unknown key.
    #[error("{origin}: {reason}")]
    Shape {
        /// Where the text came from.
        origin: String,
        /// Line, column and what was expected.
        reason: String,
    },
    /// A value that makes no sense.
    #[error("{origin}: {place}: {reason}")]
    Value {
        /// Where the text came from.
        origin: String,
        /// Which value.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody trusts this key.
    #[error(
        "it is signed with {key}, which {file} does not name; if you know whose key this is, add it there:\n\n\
         [[publishers.PUBLISHER.keys]]\nkey = \"{key}\""
    )]
    Unknown {
        /// The key.
        key: PublicKey,
        /// `the trust file`, and which it is where that is known.
        file: String,
    },
    /// The key is another publisher's.
    #[error("it is signed with {key}, which is a key of {of}, and not of `{publisher}`")]
    OtherPublisher {
        /// The key.
        key: PublicKey,
        /// Whose it is.
        of: String,
        /// Whose it would have to be.
        publisher: String,
    },
    /// Nobody has signed it, and its publisher signs.
    #[error("it is not signed, and the trust file has keys of its publisher `{publisher}`")]
    Unsigned {
        /// The publisher.
        publisher: String,
    },
    /// Too early or too late.
    #[error("it is signed with {key} of `{publisher}`, which is valid {when}; today is {today}")]
    NotValid {
        /// The key.
        key: PublicKey,
        /// Whose it is.
        publisher: String,
        /// `from 2026-01-01 until 2026-12-31`.
        when: String,
        /// The day that it was to be used.
        today: Date,
    },
    /// The key is revoked.
    #[error("it is signed with {key} of `{publisher}`, which is revoked: {why}")]
    KeyRevoked {
        /// The key.
        key: PublicKey,
        /// Whose it was.
        publisher: String,
        /// Why.
        why: String,
    },
    /// The artifact is revoked.
    #[error("the artifact {digest} is revoked: {why}")]
    DigestRevoked {
        /// The artifact.
        digest: Digest,
        /// Why.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    publishers: BTreeMap<String, PublisherEntry>,
    #[serde(default)]
    revoked: Vec<RevokedEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublisherEntry {
    keys: Vec<KeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    key: String,
    from: Option<toml::value::Datetime>,
    until: Option<toml::value::Datetime>,
    revoked: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedEntry {
    digest: String,
    why: String,
}

impl Trust {
    /// Nobody is trusted: `origin` would be the file to say whom.
    #[must_use]
    pub fn of_nobody(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            ..Self::default()
        }
    }

    /// Parses and checks; `origin` names the source in messages.
    ///
    /// # Errors
    /// Unknown keys, values that make no sense, one key for two publishers.
    pub fn from_toml_str(text: &str, origin: &str) -> Result<Self, TrustError> {
        let file: File = toml::from_str(text).map_err(|error| TrustError::Shape {
            origin: origin.to_owned(),
            reason: error.to_string(),
        })?;
        let wrong = |place: String, reason: String| TrustError::Value {
            origin: origin.to_owned(),
            place,
            reason,
        };
        let mut trust = Self::of_nobody(origin);
        for (publisher, entry) in file.publishers {
            for (index, key) in entry.keys.into_iter().enumerate() {
                let place = format!("publishers.{publisher}.keys[{index}]");
                let trusted =
                    trusted(&publisher, key).map_err(|reason| wrong(place.clone(), reason))?;
                if let Some(other) = trust.find(trusted.key) {
                    let reason =
                        format!("{} stands under `{}` already", trusted.key, other.publisher);
                    return Err(wrong(place, reason));
                }
                trust.keys.push(trusted);
            }
        }
        for (index, RevokedEntry { digest, why }) in file.revoked.into_iter().enumerate() {
            let digest = (digest.parse())
                .map_err(|reason| wrong(format!("revoked[{index}].digest"), reason))?;
            trust.revoked.insert(digest, line(&why));
        }
        Ok(trust)
    }

    fn unknown(&self, key: PublicKey) -> TrustError {
        let file = format!("the trust file {}", self.origin)
            .trim_end()
            .to_owned();
        TrustError::Unknown { key, file }
    }

    fn find(&self, key: PublicKey) -> Option<&TrustedKey> {
        self.keys.iter().find(|trusted| trusted.key == key)
    }

    /// Whether it knows a key of a publisher, valid or not.
    pub(crate) fn has_keys_of(&self, publisher: &str) -> bool {
        self.keys
            .iter()
            .any(|trusted| trusted.publisher == publisher)
    }

    /// The publisher that a key signs for on a day.
    ///
    /// # Errors
    /// Unknown, revoked, or not valid on that day.
    pub fn publisher(&self, key: PublicKey, today: Date) -> Result<&str, TrustError> {
        self.check_revoked_key(key)?;
        let trusted = self.find(key).ok_or_else(|| self.unknown(key))?;
        let is_early = trusted.from.is_some_and(|from| today < from);
        let is_late = trusted.until.is_some_and(|until| today > until);
        if is_early || is_late {
            let bound = |word: &str, day: Option<Date>| day.map(|day| format!("{word} {day}"));
            let when = [bound("from", trusted.from), bound("until", trusted.until)];
            return Err(TrustError::NotValid {
                key,
                publisher: trusted.publisher.clone(),
                when: when.into_iter().flatten().collect::<Vec<_>>().join(" "),
                today,
            });
        }
        Ok(&trusted.publisher)
    }

    /// Whether a version of `name` that was let in once may still be loaded.
    ///
    /// # Errors
    /// It or its key is revoked, nobody trusts its key for its publisher any more, or its publisher signs by now and it is not
    /// signed.
    pub fn still_counts(
        &self,
        name: &str,
        digest: Digest,
        key: Option<PublicKey>,
    ) -> Result<(), TrustError> {
        self.check_revoked_digest(digest)?;
        let publisher = name.split('/').next().unwrap_or_default();
        let Some(key) = key else {
            if self.has_keys_of(publisher) {
                return Err(TrustError::Unsigned {
                    publisher: publisher.to_owned(),
                });
            }
            return Ok(());
        };
        self.check_revoked_key(key)?;
        match self.find(key) {
            None => Err(self.unknown(key)),
            Some(trusted) if trusted.publisher != publisher => Err(TrustError::OtherPublisher {
                key,
                of: trusted.publisher.clone(),
                publisher: publisher.to_owned(),
            }),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn check_revoked_digest(&self, digest: Digest) -> Result<(), TrustError> {
        match self.revoked.get(&digest) {
            Some(why) => Err(TrustError::DigestRevoked {
                digest,
                why: why.clone(),
            }),
            None => Ok(()),
        }
    }

    fn check_revoked_key(&self, key: PublicKey) -> Result<(), TrustError> {
        match self.find(key) {
            Some(TrustedKey {
                publisher,
                revoked: Some(why),
                ..
            }) => Err(TrustError::KeyRevoked {
                key,
                publisher: publisher.clone(),
                why: why.clone(),
            }),
            _ => Ok(()),
        }
    }
}

fn trusted(publisher: &str, entry: KeyEntry) -> Result<TrustedKey, String> {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if publisher.is_empty() || !publisher.bytes().all(is_word) {
        return Err("a publisher's id has lower-case letters, digits and dashes".to_owned());
    }
    let key = entry
        .key
        .parse()
        .map_err(|error: crate::KeyError| error.to_string())?;
    let from = entry.from.map(day).transpose()?;
    let until = entry.until.map(day).transpose()?;
    if let (Some(from), Some(until)) = (from, until)
        && from > until
    {
        return Err(format!("from {from} until {until} is no time"));
    }
    Ok(TrustedKey {
        publisher: publisher.to_owned(),
        key,
        from,
        until,
        revoked: entry.revoked.map(|why| line(&why)),
    })
}

fn day(date: toml::value::Datetime) -> Result<Date, String> {
    match date {
        toml::value::Datetime {
            date: Some(date),
            time: None,
            offset: None,
        } => Ok(Date {
            year: date.year,
            month: date.month,
            day: date.day,
        }),
        other => Err(format!(
            "`{other}` is no day: write 2026-12-31, without a time"
        )),
    }
}
