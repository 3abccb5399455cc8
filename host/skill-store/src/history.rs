//! What happened in a store, in the transaction in which it happened.
//!
//! Rows are the outbox of the audit log: whoever keeps that log asks for those that it was not told of, writes them, and
//! says so. A power loss between the two tells twice, never not at all.

use rusqlite::Transaction;
use serde::Serialize;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::store::{By, Held, Store, Version};

/// Kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It came into the store.
    Installed,
    /// It became the active version.
    Activated,
    /// It is active, and good: its probation is over.
    Proven,
    /// It was left for the version before.
    RolledBack,
    /// It left the store.
    Removed,
    /// Nothing else becomes active until it is let go.
    Pinned,
    /// It was let go.
    Unpinned,
    /// Somebody agreed to what it asks for.
    Approved,
    /// It was revoked while a host ran it: no task begins with it any more.
    Distrusted,
}

impl What {
    const ALL: [Self; 9] = [
        Self::Installed,
        Self::Activated,
        Self::Proven,
        Self::RolledBack,
        Self::Removed,
        Self::Pinned,
        Self::Unpinned,
        Self::Approved,
        Self::Distrusted,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Activated => "activated",
            Self::Proven => "proven",
            Self::RolledBack => "rolled-back",
            Self::Removed => "removed",
            Self::Pinned => "pinned",
            Self::Unpinned => "unpinned",
            Self::Approved => "approved",
            Self::Distrusted => "distrusted",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its number; later ones have higher numbers.
    pub seq: i64,
    /// Milliseconds since 1970, if a clock ran.
    pub time_unix_ms: Option<u64>,
    /// Who did it.
    pub actor: String,
    /// What.
    pub what: What,
    /// `publisher/name`.
    pub name: String,
    /// Version.
    pub version: String,
    /// Digest of the artifact.
    pub digest: String,
    /// Why, or what else there is to say; may be empty.
    pub reason: String,
}

/// Which version an event is about.
#[derive(Clone, Copy)]
pub(crate) struct Of<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a Version,
    pub(crate) digest: Digest,
}

impl<'a> From<&'a Held> for Of<'a> {
    fn from(held: &'a Held) -> Self {
        Self {
            name: &held.name,
            version: &held.version,
            digest: held.digest,
        }
    }
}

/// Longest reason, characters: what a plugin says may have a part in it.
const REASON_MAX: usize = 500;

/// A text as it is kept: one line of bounded length, so that nobody writes lines of his own into what people read.
pub(crate) fn line(text: &str) -> String {
    let is_space = |c: char| c.is_whitespace() || c.is_control();
    let words = text.split(is_space).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().take(REASON_MAX).collect()
}

/// Writes a row.
pub(crate) fn note<'a>(
    change: &Transaction<'_>,
    by: &By,
    what: What,
    of: impl Into<Of<'a>>,
    reason: &str,
) -> rusqlite::Result<()> {
    let of = of.into();
    change.execute(
        "INSERT INTO history (at_ms, actor, what, name, version, digest, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            by.unix_ms.map(u64::cast_signed),
            &by.actor,
            what.name(),
            of.name,
            of.version.to_string(),
            of.digest.to_string(),
            line(reason),
        ),
    )?;
    Ok(())
}

impl Store {
    /// What happened to one plugin, oldest first; to all without a name.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn history(&self, name: Option<&str>) -> Result<Vec<Event>, StoreError> {
        self.events(
            "SELECT seq, at_ms, actor, what, name, version, digest, reason FROM history
             WHERE ?1 IS NULL OR name = ?1 ORDER BY seq",
            name,
        )
    }

    /// Has the audit log told of what it was not told of, oldest first. One tells at a time.
    ///
    /// # Errors
    /// Those of `tell`, as they are; the database can't be read or written.
    pub fn hand_out<E: From<StoreError>>(
        &mut self,
        tell: impl FnOnce(&[Event]) -> Result<(), E>,
    ) -> Result<(), E> {
        let _lock = self.lock()?;
        let untold = self.events(
            "SELECT seq, at_ms, actor, what, name, version, digest, reason FROM history
             WHERE told = 0 AND ?1 IS NULL ORDER BY seq",
            None,
        )?;
        let Some(last) = untold.last().map(|event| event.seq) else {
            return Ok(());
        };
        tell(&untold)?;
        self.change(|change| {
            change.execute(
                "UPDATE history SET told = 1 WHERE seq <= ? AND told = 0",
                [last],
            )?;
            Ok(())
        })?;
        Ok(())
    }

    fn events(&self, query: &str, name: Option<&str>) -> Result<Vec<Event>, StoreError> {
        let rows = self.database.read(|connection| {
            let mut statement = connection.prepare(query)?;
            let rows = statement.query_map([name], |row| {
                let what: String = row.get(3)?;
                // As it was written, unless somebody else has written it.
                let told = |column| row.get::<_, String>(column).map(|text| line(&text));
                Ok((
                    what,
                    Event {
                        seq: row.get(0)?,
                        time_unix_ms: row.get::<_, Option<i64>>(1)?.map(i64::cast_unsigned),
                        actor: told(2)?,
                        what: What::Installed,
                        name: told(4)?,
                        version: told(5)?,
                        digest: told(6)?,
                        reason: told(7)?,
                    },
                ))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        (rows.into_iter())
            .map(|(word, event)| {
                let what = What::ALL.into_iter().find(|what| what.name() == word);
                what.map(|what| Event { what, ..event }).ok_or_else(|| {
                    self.database
                        .damaged(format!("an event `{}` in its history", line(&word)))
                })
            })
            .collect()
    }
}
