//! Why the log could not be written or opened.

use std::io;
use std::path::PathBuf;

/// The log could not be written or opened. Nothing that was in it is lost.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file operation failed.
    #[error("audit log {}: {doing}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// It is a folder, a pipe or a device.
    #[error("audit log {}: {problem}", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
        /// What it is, and what to do.
        problem: String,
    },
    /// The chain is broken.
    #[error(
        "audit log {path}: line {line}: {flaw}. Nothing is appended to a log that does not verify. It is evidence: keep it \
         (`mv {path} {path}.broken`), and a new one is begun", path = path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        flaw: String,
    },
    /// Another process has it locked, and does not let go.
    #[error("audit log {}: another process keeps it locked", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// What was written is not there any more.
    #[error("audit log {}: it was removed, replaced or cut while it was in use", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The thread that writes can't be started, or has died.
    #[error("audit log {}: there is no thread that writes it", path.display())]
    NoWriter {
        /// The file.
        path: PathBuf,
    },
    /// A record could not be written.
    #[error("{0}")]
    NotWritten(String),
}
