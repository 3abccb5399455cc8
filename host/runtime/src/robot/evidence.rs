//! What a parked cell leaves in the audit log beside it, and whether that is the log that it knows.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sinew_audit::{Approvals, AuditFile, Deferred, Entry, Pending, Stamp, Stop, WallClock};

use super::cell_file::{CellFile, KeptStop};
use crate::audit::{now_unix_ms, trouble};
use crate::trouble::refused;

/// What the records of this page belong to.
pub(super) const EPISODE: &str = "by-hand";
/// Kinds of records that a cell may keep until the log can be written. Approvals are not among them: nobody gives one by
/// writing it into a cell.
const KINDS: [&str; 9] = [
    "boot",
    "resumed",
    "stop",
    "stop-worsened",
    "reset-asked",
    "reset-granted",
    "reset-refused",
    "mode-changed",
    "log-accepted",
];
/// Most records that are kept.
const KEPT_MAX: usize = 1_000;

/// Where an audit log ended when the cell was stored. A log only grows: one without this record is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogMark {
    /// Records.
    pub records: u64,
    /// Hash of the last one, hexadecimal.
    pub head: String,
}

/// An audit log as a cell sees it.
pub(super) struct LogView {
    pub(super) approvals: Approvals,
    mark: Option<LogMark>,
    /// Why it is not the log that the cell knows.
    pub(super) stranger: Option<String>,
}

impl LogView {
    /// Reads a log, and looks for where it ended when the cell was stored.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if it can't be read, [`Refused`](crate::Refused) if its chain is broken.
    pub(super) fn read(path: &Path, known: Option<&LogMark>) -> anyhow::Result<Self> {
        let mut view = Self {
            approvals: Approvals::default(),
            mark: None,
            stranger: None,
        };
        let mut found = known.is_none();
        if std::fs::symlink_metadata(path).is_ok() {
            let verification = sinew_audit::read(path, |record| {
                found |= known
                    .is_some_and(|mark| mark.records == record.seq && mark.head == record.sha256);
                view.approvals.take(&record);
            })
            .map_err(|source| {
                trouble(&sinew_audit::AuditError::File {
                    path: path.to_owned(),
                    doing: "reading it",
                    source,
                })
            })?;
            if let (Some(line), Some(flaw)) = (verification.first_bad, verification.problem) {
                return Err(trouble(&sinew_audit::AuditError::Broken {
                    path: path.to_owned(),
                    line,
                    flaw,
                    active: view.approvals.active().map(str::to_owned),
                }));
            }
            if verification.records > 0 {
                view.mark = Some(LogMark {
                    records: verification.records,
                    head: verification.head,
                });
            }
        }
        if let Some(mark) = known.filter(|_| !found) {
            view.stranger = Some(format!(
                "{} is not this cell's audit log: record {} with hash {}… is not in it. It was cut, replaced or moved",
                path.display(),
                mark.records,
                mark.head.get(..12).unwrap_or(&mark.head)
            ));
        }
        Ok(view)
    }
}

impl CellFile {
    /// Keeps a record until it is in the log.
    pub(super) fn note(&mut self, actor: Option<&str>, entry: Entry) {
        self.unwritten.push(Deferred::from(&Pending {
            stamp: Stamp {
                episode: Some(EPISODE.to_owned()),
                // When it happened: it may be written much later.
                time_unix_ms: Some(now_unix_ms()),
                ..Stamp::default()
            },
            actor: actor.map(str::to_owned),
            entry,
        }));
    }

    /// What is wrong with the records that are kept, and with the mark.
    pub(super) fn check_evidence(&self) -> Result<(), String> {
        if let Some(stray) = (self.unwritten.iter()).find(|kept| !KINDS.contains(&&*kept.kind)) {
            return Err(format!("unwritten: a cell keeps no `{}`", stray.kind));
        }
        if self.unwritten.len() > KEPT_MAX {
            return Err(format!("unwritten: there are more than {KEPT_MAX} records"));
        }
        match &self.log {
            Some(mark)
                if mark.head.len() != 64 || !mark.head.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                Err("log: \"head\" is no sha256".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Puts what is kept into the log, and remembers where that ends. With `accepting`, somebody goes on with a log that is
    /// not this cell's.
    ///
    /// # Errors
    /// As [`LogView::read`], and if it can't be written or is another cell's; everything is kept then.
    pub(super) fn hand_in(
        &mut self,
        path: &Path,
        accepting: Option<&str>,
    ) -> anyhow::Result<LogView> {
        let mut view = LogView::read(path, self.log.as_ref())?;
        if let Some(words) = &view.stranger {
            let Some(actor) = accepting else {
                return Err(refused(format!(
                    "{words}. To go on with it: `sinew robot reset --actor NAME --accept-log`"
                )));
            };
            let (records, head) =
                (self.log.take()).map_or((0, String::new()), |mark| (mark.records, mark.head));
            self.note(Some(actor), Entry::LogAccepted { records, head });
            view.stranger = None;
        }
        if self.unwritten.is_empty() {
            self.log = view.mark.clone();
            return Ok(view);
        }
        let mut log = AuditFile::open(path, WallClock::UnixMs(now_unix_ms))
            .map_err(|error| trouble(&error))?;
        let late: Vec<Pending> = (self.unwritten.iter().cloned())
            .map(Pending::from)
            .collect();
        log.append(&late).map_err(|error| trouble(&error))?;
        self.unwritten.clear();
        self.log = Some(LogMark {
            records: log.records(),
            head: log.head().to_owned(),
        });
        Ok(view)
    }
}

/// A stop as the log has it.
pub(super) fn record(stop: &KeptStop, about: Option<String>) -> Stop {
    Stop {
        category: u32::from(stop.category),
        reason: stop.reason.clone(),
        index: None,
        of: about,
        limit: None,
        asked: None,
    }
}
