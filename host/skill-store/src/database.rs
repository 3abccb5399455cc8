//! The file of the store's state.
//!
//! A rollback journal and not a write-ahead log: changes are few, and a store on a medium that can't be written has to
//! be readable without files beside it. `synchronous = EXTRA` also syncs the folder when the journal goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::StoreError;
use crate::history::line;
use crate::store::PATIENCE;

/// The format that this version writes, and the only one that it reads.
pub(crate) const FORMAT: i64 = 2;
/// "Snwk": what tells the file from other databases.
const APPLICATION: i64 = 0x536e_776b;
const FILE: &str = "state.sqlite";

const SCHEMA: &str = "
CREATE TABLE artifacts (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    signer TEXT,                -- public key; NULL: unsigned
    bytes INTEGER NOT NULL,
    installed_ms INTEGER,
    compiled_sha256 TEXT NOT NULL,
    compiled_for TEXT NOT NULL,
    proven INTEGER NOT NULL DEFAULT 0,      -- a probation of it has ended well
    condemned TEXT              -- why it was rolled back
) STRICT;
CREATE TABLE gone (             -- versions that were removed: what is known of them stays known
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    signed INTEGER NOT NULL,
    condemned TEXT
) STRICT;
CREATE INDEX artifacts_by_name ON artifacts (name);
CREATE TABLE skills (
    name TEXT PRIMARY KEY,
    active TEXT REFERENCES artifacts (digest),
    last_good TEXT REFERENCES artifacts (digest),
    highest TEXT,               -- highest version ever active
    pinned INTEGER NOT NULL DEFAULT 0,
    swap_at TEXT NOT NULL DEFAULT 'next-task',
    probation_runs INTEGER NOT NULL DEFAULT 0,      -- left; 0: good
    probation_failures INTEGER NOT NULL DEFAULT 0,  -- left before it is rolled back
    memory_epoch INTEGER NOT NULL DEFAULT 0         -- how often an earlier memory was put back
) STRICT;
CREATE TABLE consents (
    name TEXT NOT NULL,
    ask TEXT NOT NULL,
    PRIMARY KEY (name, ask)
) STRICT;
CREATE TABLE memory (
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name, key)
) STRICT;
CREATE TABLE memory_before (    -- as it was when the last good version was left
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (name, key)
) STRICT;
CREATE TABLE accounts (
    digest TEXT PRIMARY KEY,
    runs INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    faults INTEGER NOT NULL DEFAULT 0,
    cpu_ns INTEGER NOT NULL DEFAULT 0,
    fuel INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    denials INTEGER NOT NULL DEFAULT 0,
    deadline_misses INTEGER NOT NULL DEFAULT 0,
    memory_peak_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER,
    actor TEXT NOT NULL,
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    told INTEGER NOT NULL DEFAULT 0     -- stands in the audit log
) STRICT;
";

/// The open file.
pub(crate) struct Database {
    path: PathBuf,
    connection: Connection,
    /// Steps of the engine since somebody asked for something, in units of [`WORK_STEP`]: a file can be made so that there is no
    /// end to what is in it.
    worked: Arc<AtomicU64>,
}

/// Instructions of the engine between two counts.
const WORK_STEP: i32 = 10_000;
/// Counts until somebody who reads or changes something is refused: a thousand times what a large store takes.
const WORK_MAX: u64 = 2_000;

impl Database {
    pub(crate) fn exists(root: &Path) -> bool {
        root.join(FILE).exists()
    }

    /// Whether nothing was ever written into it.
    pub(crate) fn is_blank(root: &Path) -> bool {
        fs::metadata(root.join(FILE)).map_or(true, |there| there.is_file() && there.len() == 0)
    }

    /// What is wrong with a folder that has files of a store, and no state.
    pub(crate) fn lost(root: &Path) -> StoreError {
        StoreError::Damaged {
            path: root.join(FILE),
            what: "it is gone or empty, and there are artifacts beside it: put it back from a backup, or, to begin a new store, move \
                   the folder away"
                .to_owned(),
        }
    }

    /// Opens it; `writable`: to change it, and to make it if it is not there.
    pub(crate) fn open(root: &Path, writable: bool) -> Result<Self, StoreError> {
        let path = root.join(FILE);
        let flags = if writable {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        } else {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        };
        if !writable && is_file_or_nothing(&path) {
            recover(&path);
        }
        let trouble = |source| StoreError::Database {
            path: path.clone(),
            source,
        };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // To open a pipe would wait for whoever writes to it.
        if !is_file_or_nothing(&path) || !is_file_or_nothing(&journal_of(&path)) {
            return Err(StoreError::NotAStore { path });
        }
        let mut connection = Connection::open_with_flags(&path, flags).map_err(trouble)?;
        let worked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&worked);
        let is_too_much = move || counted.fetch_add(1, Ordering::Relaxed) >= WORK_MAX;
        (connection.progress_handler(WORK_STEP, Some(is_too_much))).map_err(trouble)?;
        let mut database = Self {
            path,
            connection,
            worked,
        };
        database.prepare(root, writable)?;
        Ok(database)
    }

    fn prepare(&mut self, root: &Path, writable: bool) -> Result<(), StoreError> {
        let is_other = |error: &rusqlite::Error| {
            error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase)
        };
        let found = (self.connection.busy_timeout(PATIENCE)).and_then(|()| {
            // At one moment: somebody else may be making it.
            let now = self.connection.unchecked_transaction()?;
            let format = now.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let application: i64 =
                now.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let tables: i64 =
                now.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            now.commit()?;
            Ok((format, application, tables))
        });
        let (format, application, tables): (i64, i64, i64) = match found {
            Ok(found) => found,
            Err(error) if is_other(&error) => return Err(self.not_a_store()),
            Err(error) => return Err(self.trouble(error)),
        };
        match (format, application) {
            (FORMAT, APPLICATION) => {}
            (newer, APPLICATION) if newer > FORMAT => {
                return Err(StoreError::Newer {
                    path: root.to_owned(),
                    found: newer,
                    known: FORMAT,
                });
            }
            (older, APPLICATION) => {
                return Err(StoreError::Older {
                    path: root.to_owned(),
                    found: older,
                    known: FORMAT,
                });
            }
            // It was cut off before anything stood in it.
            (0, 0) if tables == 0 && writable => self.create()?,
            (0, 0) if tables == 0 => {
                return Err(StoreError::NoStore {
                    path: root.to_owned(),
                });
            }
            _ => return Err(self.not_a_store()),
        }
        self.check_shape()?;
        let set = || {
            self.connection.pragma_update(None, "foreign_keys", true)?;
            self.connection.pragma_update(None, "synchronous", "EXTRA")
        };
        set().map_err(|error| self.trouble(error))
    }

    /// A table that became a view can be as long as somebody likes, and a trigger does what nobody has asked for. With a log of
    /// its own the database can't be read on a medium that can't be written.
    fn check_shape(&self) -> Result<(), StoreError> {
        static OURS: OnceLock<Vec<Shape>> = OnceLock::new();
        let ours = match OURS.get() {
            Some(ours) => ours,
            None => {
                let made = Connection::open_in_memory().and_then(|connection| {
                    connection.execute_batch(SCHEMA)?;
                    shapes(&connection)
                });
                let made = made.map_err(|error| self.trouble(error))?;
                OURS.get_or_init(|| made)
            }
        };
        let journal: String =
            self.read(|now| now.pragma_query_value(None, "journal_mode", |row| row.get(0)))?;
        if journal != "delete" {
            return Err(self.damaged(format!(
                "its journal (`{journal}`) is not as it was made; `sqlite3 {} 'PRAGMA journal_mode = DELETE'` makes it so",
                quoted(&self.path)
            )));
        }
        let there = self.read(shapes)?;
        let odd = (there.iter().find(|shape| !ours.contains(shape)))
            .or_else(|| ours.iter().find(|shape| !there.contains(shape)));
        match odd {
            None => Ok(()),
            Some((kind, name, _)) => {
                let what = format!("the {kind} `{}` is not as it was made", line(name));
                Err(self.damaged(what))
            }
        }
    }

    fn create(&mut self) -> Result<(), StoreError> {
        let make = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let there: i64 =
                transaction
                    .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if there == 0 {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "application_id", APPLICATION)?;
                transaction.pragma_update(None, "user_version", FORMAT)?;
            }
            transaction.commit()
        };
        make(&mut self.connection).map_err(|error| self.trouble(error))
    }

    fn not_a_store(&self) -> StoreError {
        StoreError::NotAStore {
            path: self.path.clone(),
        }
    }

    fn trouble(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Database {
            path: self.path.clone(),
            source,
        }
    }

    /// What does not fit what was written once.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    /// How long it waits for others.
    pub(crate) fn patience(&self, patience: Duration) -> Result<(), StoreError> {
        (self.connection.busy_timeout(patience)).map_err(|error| self.trouble(error))
    }

    /// Reads.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.worked.store(0, Ordering::Relaxed);
        work(&self.connection).map_err(|error| self.trouble(error))
    }

    /// One change: all of it, or nothing. `committing` is called before it counts.
    pub(crate) fn change<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
        committing: impl FnOnce(),
    ) -> Result<T, StoreError> {
        self.worked.store(0, Ordering::Relaxed);
        let change = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            committing();
            transaction.commit()?;
            Ok(done)
        };
        change(&mut self.connection).map_err(|error| self.trouble(error))
    }
}

/// For a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

fn journal_of(path: &Path) -> PathBuf {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    journal.into()
}

/// Nothing is there, or a file: no pipe, no folder, nothing that leads elsewhere.
pub(crate) fn is_file_or_nothing(path: &Path) -> bool {
    path.symlink_metadata()
        .map_or(true, |there| there.is_file())
}

/// Kind, name and definition of a table, an index, or what else a database can have.
type Shape = (String, String, Option<String>);

/// Everything that a database has but what it makes for itself.
fn shapes(connection: &Connection) -> rusqlite::Result<Vec<Shape>> {
    let query = "SELECT type, name, sql FROM sqlite_schema
                 WHERE NOT (type = 'index' AND name GLOB 'sqlite_autoindex_*' AND sql IS NULL)
                   AND NOT (type = 'table' AND name = 'sqlite_sequence')
                 ORDER BY type, name";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// A change that the power went in has left its journal: whoever may write takes it back, which reading alone can't. Where
/// nobody may write, the reading says so.
fn recover(path: &Path) {
    let journal = journal_of(path);
    if !journal.exists() || !is_file_or_nothing(&journal) {
        return;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let _ = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(PATIENCE)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::open(folder.path(), true).expect("it is made");
        let count = |rows: &str| {
            let query = format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n {rows}) SELECT count(*) FROM n"
            );
            database.read(|connection| connection.query_row(&query, [], |row| row.get::<_, i64>(0)))
        };
        let error = count("").expect_err("there is no end");
        assert!(error.to_string().contains("interrupted"), "{error}");
        assert_eq!(
            count("WHERE i < 100000").expect("it is within bounds"),
            100_000
        );
    }
}
