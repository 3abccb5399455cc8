//! The chain: a line from a record and the line before, and back.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::record::{Entry, Pending, Record};

/// Hash that the first record follows.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = NOTHING.len();
/// What stands before a line's own hash.
const HASH_KEY: &str = ",\"sha256\":\"";
/// What stands after it.
const HASH_END: &str = "\"}";

/// What a log begins with.
pub(crate) const FIRST_BYTES: &[u8] = b"{\"seq\":1,";

/// Where a chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Records.
    pub(crate) seq: u64,
    /// Hash of the last one.
    pub(crate) sha256: String,
}

impl Head {
    pub(crate) fn start() -> Self {
        Self {
            seq: 0,
            sha256: NOTHING.to_owned(),
        }
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("it is no record: {0}")]
    NoRecord(String),
    #[error("its own hash does not fit: the line was changed")]
    OwnHash,
    #[error(
        "it is record {found} where {expected} comes next: lines are missing, inserted or moved"
    )]
    Sequence { expected: u64, found: u64 },
    #[error("it does not follow the line before: lines are missing, inserted or moved")]
    Previous,
    #[error("it is longer than any record")]
    TooLong,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    (bytes.iter())
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The fields that are hashed, in the order in which they are written.
#[derive(Serialize)]
struct Body<'a> {
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tick: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_unix_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    episode: Option<&'a str>,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    content: &'a Entry,
    prev: &'a str,
}

/// The record's line, with its line feed, after `head`; and the new head.
pub(crate) fn line(head: &Head, pending: &Pending) -> serde_json::Result<(String, Head)> {
    let seq = head.seq + 1;
    let mut text = serde_json::to_string(&Body {
        seq,
        tick: pending.stamp.tick,
        time_unix_ms: pending.stamp.time_unix_ms,
        episode: pending.stamp.episode.as_deref(),
        kind: pending.entry.kind(),
        actor: pending.actor.as_deref(),
        content: &pending.entry,
        prev: &head.sha256,
    })?;
    text.pop();
    let sha256 = sha256(text.as_bytes());
    text.push_str(HASH_KEY);
    text.push_str(&sha256);
    text.push_str(HASH_END);
    text.push('\n');
    Ok((text, Head { seq, sha256 }))
}

/// The record of a line without its line feed, if it comes after `head`.
pub(crate) fn check(line: &[u8], head: &Head) -> Result<Record, Flaw> {
    let no_record = |what: &str| Flaw::NoRecord(what.to_owned());
    let body = line
        .len()
        .checked_sub(HASH_KEY.len() + HASH_DIGITS + HASH_END.len())
        .ok_or_else(|| no_record("it is too short"))?;
    let record: Record =
        serde_json::from_slice(line).map_err(|error| Flaw::NoRecord(error.to_string()))?;
    let own = sha256(&line[..body]);
    let tail = [HASH_KEY, &record.sha256, HASH_END].concat();
    if line[body..] != *tail.as_bytes() {
        return Err(no_record("its hash does not stand at its end"));
    }
    if record.sha256 != own {
        return Err(Flaw::OwnHash);
    }
    if record.seq != head.seq + 1 {
        return Err(Flaw::Sequence {
            expected: head.seq + 1,
            found: record.seq,
        });
    }
    if record.prev != head.sha256 {
        return Err(Flaw::Previous);
    }
    Ok(record)
}
