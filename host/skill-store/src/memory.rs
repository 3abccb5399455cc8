//! What plugins keep with `memory`: by name, so that it survives a change of version, and as it was when the last good
//! version was left, so that going back to it goes back all the way.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Transaction};

use crate::digest::Digest;
use crate::error::StoreError;
use crate::store::Store;

/// What a plugin keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// By key.
    pub entries: BTreeMap<String, Vec<u8>>,
    /// Another one whenever an earlier memory was put back.
    pub epoch: i64,
}

/// Whose a memory is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryOf {
    /// The version that has kept it last.
    pub version: Option<Digest>,
    /// What other versions had kept when another one began to run.
    pub before: BTreeMap<Digest, BTreeMap<String, Vec<u8>>>,
}

impl Store {
    /// What every plugin keeps, by name.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn memories(&self) -> Result<BTreeMap<String, Memory>, StoreError> {
        self.database.read(|connection| {
            // One statement: entries and epoch are of one moment.
            let mut statement = connection.prepare(
                "SELECT s.name, s.memory_epoch, m.key, m.value FROM skills s LEFT JOIN memory m USING (name)",
            )?;
            let mut rows = statement.query([])?;
            let mut memories = BTreeMap::<String, Memory>::new();
            while let Some(row) = rows.next()? {
                let memory = memories.entry(row.get(0)?).or_default();
                memory.epoch = row.get(1)?;
                if let Some(key) = row.get(2)? {
                    memory.entries.insert(key, row.get(3)?);
                }
            }
            Ok(memories)
        })
    }

    /// What a plugin keeps; nothing if there was never one of this name.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn memory(&self, name: &str) -> Result<Memory, StoreError> {
        Ok(self.memories()?.remove(name).unwrap_or_default())
    }

    /// What it kept when its last good version was left: what it has again when that is gone back to. Nothing if there is none.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn memory_before(&self, name: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        self.database.read(|connection| {
            let mut statement =
                connection.prepare("SELECT key, value FROM memory_before WHERE name = ?")?;
            let rows = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    /// Replaces what a plugin keeps, unless an earlier memory was put back since `memory` was read: whether it did.
    ///
    /// `of`: whose it is. A host may run what was active before for a while after somebody has made another version active; what
    /// that one keeps until then is what it has again when it is gone back to.
    ///
    /// # Errors
    /// The database can't be written.
    pub fn keep_memory(
        &mut self,
        name: &str,
        memory: &Memory,
        of: &MemoryOf,
    ) -> Result<bool, StoreError> {
        self.change(|change| {
            let good: Option<Option<String>> = (change.query_row(
                "SELECT last_good FROM skills WHERE name = ? AND memory_epoch = ?",
                (name, memory.epoch),
                |row| row.get(0),
            ))
            .optional()?;
            let Some(good) = good else {
                return Ok(false);
            };
            change.execute("DELETE FROM memory WHERE name = ?", [name])?;
            for (key, value) in &memory.entries {
                change.execute(
                    "INSERT INTO memory (name, key, value) VALUES (?, ?, ?)",
                    (name, key, value),
                )?;
            }
            let is_good = |digest: &Digest| Some(digest.to_string()) == good;
            let before = of.before.iter().find(|(digest, _)| is_good(digest));
            if of.version.as_ref().is_some_and(is_good) {
                keep(change, name)?;
            } else if let Some((_, entries)) = before {
                forget(change, name)?;
                for (key, value) in entries {
                    change.execute(
                        "INSERT INTO memory_before (name, key, value) VALUES (?, ?, ?)",
                        (name, key, value),
                    )?;
                }
            }
            Ok(true)
        })
    }
}

/// Keeps a copy of what is there.
pub(crate) fn keep(change: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    forget(change, name)?;
    change.execute(
        "INSERT INTO memory_before SELECT * FROM memory WHERE name = ?",
        [name],
    )?;
    Ok(())
}

/// Forgets that copy: the version that it belongs to is not gone back to any more.
pub(crate) fn forget(change: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    change.execute("DELETE FROM memory_before WHERE name = ?", [name])?;
    Ok(())
}

/// Puts that copy back; nothing is there if there was no version before. What a host has read before does not count any more.
pub(crate) fn restore(change: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    change.execute(
        "UPDATE skills SET memory_epoch = (memory_epoch & 0x3fffffffffffffff) + 1 WHERE name = ?",
        [name],
    )?;
    change.execute("DELETE FROM memory WHERE name = ?", [name])?;
    change.execute(
        "INSERT INTO memory SELECT * FROM memory_before WHERE name = ?",
        [name],
    )?;
    forget(change, name)
}
