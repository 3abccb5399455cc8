//! The audit log: who did what, what stopped the robot and what plugins were refused, append-only, hash-chained, lossless.
//!
//! # The file
//!
//! One JSON object a line, its fields always in the same order:
//!
//! ```json
//! {"seq":2,"tick":1,"episode":"seed1-cycle0","kind":"stop","content":{"category":1,"reason":"boot"},"prev":"…","sha256":"…"}
//! ```
//!
//! `seq` counts from 1. `tick` is there if something happened in a tick, `actor` if somebody acted, `time_unix_ms` if the log
//! was opened with a [`WallClock`] that has one: under virtual time records contain nothing that differs from one run of a
//! seed to the next, and whoever reads them is told "no wall clock" and "nobody". `prev` is the `sha256` of
//! the line before (64 zeros in the first), and `sha256` is that of the line's own bytes up to `,"sha256":`. An edit, a
//! line that is missing, inserted or moved breaks the chain at that line, and [`verify()`] names it.
//!
//! **What the chain can't show:** that whole lines at its end were taken away, or that somebody wrote the whole
//! chain anew, who has the file to himself. Against both there is the head, the hash of the last line: keep it
//! elsewhere (another machine, paper), and look for it later. [`Verification::head`] and `sinew audit verify` say it. What is
//! cut off never happened for whoever reads the rest: an approval that was used up by it counts again.
//!
//! [`Entry`] has the kinds of records. A kind that a reader doesn't know is part of the chain like any other.
//!
//! # Writing
//!
//! [`Writer`] writes on a thread of its own, a batch at a time, and calls a record *durable* when it was synced to the
//! disk. What can't be written is kept and tried again. The reflex grants no reset before everything that it said is
//! durable, so a disk that is full or gone keeps the robot stopped; it never makes a record disappear. What a process
//! had not written yet when it was killed goes with it (milliseconds); nothing was granted on the strength of it.
//!
//! Several processes may write one file: each batch is written under a lock, after whatever others wrote was read and
//! checked. A crash in the middle of a write leaves a **torn** last line. Whoever opens the file next moves
//! its bytes into a file beside it and says so in a record of the kind `torn`; anything else that is broken is
//! refused ([`AuditError::Broken`]) and left as it is; so is a file that never was a log, and a link, wherever it leads.

mod actor;
mod approvals;
mod chain;
mod clock;
mod error;
mod file;
mod place;
mod reading;
mod record;
mod writer;

pub use actor::{NAME_CHARS_MAX, NameError, actor_name, may_be_same_person};
pub use approvals::Approvals;
pub use clock::{WallClock, date_of, utc};
pub use error::AuditError;
pub use file::AuditFile;
pub use reading::{Verification, approvals, read, verify};
pub use record::{
    Boot, Changes, Deferred, Entry, NO_WALL_CLOCK, NOBODY, NOT_APPROVED, Pending, PluginRecord,
    PluginRun, Record, Refusals, Stamp, Stop, UNNAMED,
};
pub use writer::Writer;
