//! Why the log could not be written or opened.

use std::io;
use std::path::PathBuf;

use crate::reading::LINE_BYTES_MAX;

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
    /// It is a folder, a link, a pipe or a device, or a file of something else.
    #[error("audit log {}: {problem}", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
        /// What it is, and what to do.
        problem: String,
    },
    /// A record has more bytes than a reader takes: written, it would break the log for good.
    #[error(
        "audit log {}: a record `{kind}` of {bytes} bytes is not written, one has at most {LINE_BYTES_MAX}: shorten what it \
         names", path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The record's kind.
        kind: String,
        /// How long its line would be.
        bytes: usize,
    },
    /// The chain is broken.
    #[error(
        "audit log {path}: line {line}: {flaw}. Nothing is appended to a log that does not verify. It is evidence: keep it \
         (`mv {path} {path}.broken`), and a new one is begun. That knows of no approvals: what is built in is active by it{}",
        where_else(active.as_deref()), path = path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        flaw: String,
        /// Hash of the safety configuration that was activated last before that line; `None` if none was.
        active: Option<String>,
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

/// What was active by the lines that still verify.
fn where_else(active: Option<&str>) -> String {
    active.map_or_else(String::new, |hash| {
        format!(", where the lines before this one say {hash}")
    })
}
