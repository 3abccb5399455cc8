//! The audit log is told what happened in a store.

use std::path::Path;

use sinew_audit::{AuditFile, Entry, Pending, PluginRecord, Stamp, WallClock, Writer};
use sinew_skill_store::{Digest, Event, Store, StoreError, What};

use super::{Author, trouble};
use crate::audit::{now_unix_ms, trouble as audit_trouble};

/// Longest reason that a record has, characters.
const REASON_MAX: usize = 500;

/// What is said when something was done that could not be told.
const DONE_ALL_THE_SAME: &str =
    "it is done, but not in the audit log, which is told of it with the next change";

/// Room that a log needs before something is changed: more than the records of one change take.
const ROOM_BYTES: u64 = 64 << 10;

/// The log, verified, and with room: asked for before something is changed that it has to be told of, and before anybody else has
/// to wait.
pub(crate) fn ready(audit: &Path) -> anyhow::Result<AuditFile> {
    let log = opened(audit)?;
    (log.reserve(ROOM_BYTES)).map_err(|error| audit_trouble(&error))?;
    Ok(log)
}

fn opened(audit: &Path) -> anyhow::Result<AuditFile> {
    let clock = WallClock::UnixMs(now_unix_ms);
    AuditFile::open(audit, clock).map_err(|error| audit_trouble(&error))
}

/// Tells everything that the log was not told of. What is to be told is done by then, whether it can be told or not: what is to be
/// said of that, if anything is.
pub(crate) fn tell_if_possible(
    store: &mut Store,
    log: anyhow::Result<AuditFile>,
) -> Option<String> {
    let told = log.and_then(|mut log| {
        let told = store.hand_out(|events| {
            let records: Vec<Pending> = events.iter().map(pending).collect();
            (log.append(&records)).map_err(|error| NotTold::Log(audit_trouble(&error)))
        });
        told.map_err(NotTold::into_error)
    });
    (told.err()).map(|error| format!("{:#}", error.context(DONE_ALL_THE_SAME)))
}

/// Why the log was not told.
enum NotTold {
    Store(StoreError),
    Log(anyhow::Error),
}

impl From<StoreError> for NotTold {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl NotTold {
    fn into_error(self) -> anyhow::Error {
        match self {
            Self::Store(error) => trouble(error),
            Self::Log(error) => error,
        }
    }
}

/// The same by the log of a host that runs. It is told when it is on the disk. `handed_over`: the last event that this log was
/// given, which keeps what it can't write.
pub(crate) fn tell_writer(
    store: &mut Store,
    log: &Writer,
    handed_over: &mut i64,
) -> anyhow::Result<()> {
    let told = store.hand_out(|events| {
        let flush = || (log.flush()).map_err(|error| NotTold::Log(audit_trouble(&error)));
        flush()?;
        for event in events.iter().filter(|event| event.seq > *handed_over) {
            let Pending {
                stamp,
                actor,
                entry,
            } = pending(event);
            log.append(stamp, actor.as_deref(), entry);
        }
        *handed_over = events.last().map_or(*handed_over, |last| last.seq);
        flush()
    });
    told.map_err(NotTold::into_error)
}

/// Tells that something was refused, in the words that whoever asked is told. A log that can't be written changes nothing
/// about the refusal, and is noticed at the next change.
pub(crate) fn refusal(author: &Author, name: &str, digest: Option<Digest>, reason: &str) {
    let record = PluginRecord {
        kind: "plugin-refused",
        name: one_line(name),
        version: String::new(),
        digest: digest.map(|digest| digest.to_string()).unwrap_or_default(),
        reason: one_line(reason),
        event: None,
    };
    let record = Pending {
        stamp: Stamp::default(),
        actor: Some(author.actor.clone()),
        entry: Entry::Plugin(record),
    };
    let _ = opened(&author.audit).map(|mut log| log.append(&[record]));
}

fn pending(event: &Event) -> Pending {
    let kind = match event.what {
        What::Installed => "plugin-installed",
        What::Activated => "plugin-activated",
        What::Proven => "plugin-proven",
        What::RolledBack => "plugin-rolled-back",
        What::Removed => "plugin-removed",
        What::Pinned => "plugin-pinned",
        What::Unpinned => "plugin-unpinned",
        What::Approved => "plugin-approved",
        What::Distrusted => "plugin-distrusted",
    };
    Pending {
        stamp: Stamp {
            time_unix_ms: event.time_unix_ms,
            ..Stamp::default()
        },
        actor: Some(event.actor.clone()),
        entry: Entry::Plugin(PluginRecord {
            kind,
            name: event.name.clone(),
            version: event.version.clone(),
            digest: event.digest.clone(),
            reason: one_line(&event.reason),
            event: Some(event.seq),
        }),
    }
}

/// What plugins have a part in is one line of bounded length.
fn one_line(text: &str) -> String {
    let text: String = (text.chars())
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(REASON_MAX)
        .collect();
    text.trim_end().to_owned()
}
