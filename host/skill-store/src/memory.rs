//! What plugins keep with `memory`: by name, so that it survives a change of version, and as it was when the last good
//! version was left, so that going back to it goes back all the way.

use std::collections::BTreeMap;

use rusqlite::Transaction;

use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// What a plugin keeps.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn memory(&self, name: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        self.database.read(|connection| {
            let mut statement =
                connection.prepare("SELECT key, value FROM memory WHERE name = ?")?;
            let rows = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    /// Replaces what a plugin keeps.
    ///
    /// # Errors
    /// The database can't be written.
    pub fn keep_memory(
        &mut self,
        name: &str,
        entries: &BTreeMap<String, Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.change(|change| {
            change.execute("DELETE FROM memory WHERE name = ?", [name])?;
            for (key, value) in entries {
                change.execute(
                    "INSERT INTO memory (name, key, value) VALUES (?, ?, ?)",
                    (name, key, value),
                )?;
            }
            Ok(())
        })
    }
}

/// Keeps a copy of what is there.
pub(crate) fn keep(change: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    change.execute("DELETE FROM memory_before WHERE name = ?", [name])?;
    change.execute(
        "INSERT INTO memory_before SELECT * FROM memory WHERE name = ?",
        [name],
    )?;
    Ok(())
}

/// Puts that copy back; nothing is there if there was no version before.
pub(crate) fn restore(change: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    change.execute("DELETE FROM memory WHERE name = ?", [name])?;
    change.execute(
        "INSERT INTO memory SELECT * FROM memory_before WHERE name = ?",
        [name],
    )?;
    change.execute("DELETE FROM memory_before WHERE name = ?", [name])?;
    Ok(())
}
