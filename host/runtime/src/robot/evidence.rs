//! What a parked cell leaves in the audit log beside it, and whether that is the log that it knows.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sinew_audit::{Approvals, AuditFile, Entry, Record, Stop, WallClock};
use sinew_messages::SafetyMode;

use super::cell_file::{CONTACTS, CellFile, KeptStop};
use super::unwritten::DEFERRED;
use crate::audit::{now_unix_ms, trouble};
use crate::trouble::refused;

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
    /// What it says of the cell that the cell's file may not know.
    pub(super) said: Said,
    /// The cell stands by that, and did not before.
    pub(super) tightened: bool,
}

/// What a log says of one cell since that was stored. A file that was put back is older than that, and so is the file of a
/// command that was ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    records: u64,
    /// The stop that nobody has reset since.
    stop: Option<KeptStop>,
    opened: Vec<&'static str>,
    is_hold: bool,
}

impl Said {
    fn take(&mut self, record: &Record) {
        self.records += 1;
        let text = |key: &str| record.content[key].as_str();
        match record.kind.as_str() {
            "stop" | "stop-worsened" => {
                let category = (record.content["category"].as_u64())
                    .and_then(|category| u8::try_from(category).ok())
                    // What is not known is taken for the worst.
                    .filter(|category| *category <= 2)
                    .unwrap_or(0);
                self.stop = Some(KeptStop {
                    category: (self.stop.as_ref())
                        .map_or(category, |held| held.category.min(category)),
                    reason: text("reason").unwrap_or("unknown").to_owned(),
                    detail: "the audit log says so; the cell's file did not".to_owned(),
                });
            }
            // Nobody resets anything by writing it into a cell's file.
            "reset-granted" if record.content[DEFERRED] != true => self.stop = None,
            "contact-opened" | "contact-closed" => {
                let named = text("contact");
                let Some((contact, _)) = CONTACTS.iter().find(|(name, _)| Some(*name) == named)
                else {
                    return;
                };
                self.opened.retain(|open| open != contact);
                if record.kind == "contact-opened" {
                    self.opened.push(contact);
                }
            }
            "mode-changed" => self.is_hold = text("to") == Some(SafetyMode::Hold.name()),
            _ => {}
        }
    }
}

impl LogView {
    /// Reads a log, and looks for where it ended when the cell was stored.
    ///
    /// # Errors
    /// [`InputError`](crate::InputError) if it can't be read, [`Refused`](crate::Refused) if its chain is broken.
    pub(super) fn read(path: &Path, file: &CellFile) -> anyhow::Result<Self> {
        let mut view = Self {
            approvals: Approvals::default(),
            mark: None,
            stranger: None,
            said: Said::default(),
            tightened: false,
        };
        let known = file.log.as_ref();
        let episode = file.episode();
        let mut found = known.is_none();
        if std::fs::symlink_metadata(path).is_ok() {
            let verification = sinew_audit::read(path, |record| {
                if found && record.episode.as_ref() == Some(&episode) {
                    view.said.take(&record);
                }
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
        view.stranger = match known {
            Some(mark) if !found => Some(format!(
                "{} is not this cell's audit log: record {} with hash {}… is not in it. It was cut, replaced or moved",
                path.display(),
                mark.records,
                mark.head.get(..12).unwrap_or(&mark.head)
            )),
            None if view.said.records > 0 && !file.is_begun_anew() => Some(format!(
                "{} has records of this cell, and the cell's file knows of no audit log: it was changed by hand",
                path.display()
            )),
            _ => None,
        };
        Ok(view)
    }
}

impl CellFile {
    /// Its first records are not in a log yet, so it can't know one.
    fn is_begun_anew(&self) -> bool {
        self.unwritten.iter().any(|kept| kept.kind == "boot")
    }

    /// What is wrong with the mark, and with the records that are kept.
    pub(super) fn check_evidence(&self) -> Result<(), String> {
        self.check_unwritten()?;
        match &self.log {
            Some(mark)
                if mark.head.len() != 64 || !mark.head.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                Err("log: \"head\" is no sha256".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Stands by what its log says of it. True if it did not before.
    pub(super) fn catch_up(&mut self, said: &Said) -> bool {
        let before = self.stood;
        if let Some(stop) = &said.stop
            && (self.stop.as_ref()).is_none_or(|held| held.category > stop.category)
        {
            self.latch(stop.clone());
        }
        for contact in &said.opened {
            if !self.open.iter().any(|open| open == contact) {
                self.open.push((*contact).to_owned());
                self.count_stood();
            }
        }
        self.open.sort();
        if said.is_hold && self.mode() != Some(SafetyMode::Hold) {
            self.set_mode(SafetyMode::Hold, None);
        }
        self.stood != before
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
        let mut view = LogView::read(path, self)?;
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
        view.tightened = self.catch_up(&view.said);
        let late = self.late();
        if late.is_empty() {
            self.log = view.mark.clone();
            return Ok(view);
        }
        let mut log = AuditFile::open(path, WallClock::UnixMs(now_unix_ms))
            .map_err(|error| trouble(&error))?;
        log.append(&late).map_err(|error| trouble(&error))?;
        self.unwritten.clear();
        (self.out_of_file, self.lost) = (0, 0);
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
