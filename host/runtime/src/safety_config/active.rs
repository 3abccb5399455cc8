//! The configuration that is active, by a log.

use std::path::{Path, PathBuf};

use sinew_description::RobotDescription;

use super::{Shown, Surroundings, read};
use crate::audit::AUDIT_FILE;
use crate::robot::{CellFile, LogMark};
use crate::safety_change::{AUDIT_DEFAULT, Shelf};
use crate::sources::Sources;
use crate::trouble::{input, refused};

/// What says which configuration is active.
#[derive(Clone, Debug)]
pub enum ActiveBy {
    /// The log that is written if nobody says otherwise. Without it nothing was ever activated.
    Default,
    /// This log. That it is not there is a mistake.
    Log(PathBuf),
    /// The log of the parked cell in this file.
    Cell(PathBuf),
}

/// A log that is asked.
struct Asked {
    audit: PathBuf,
    /// Somebody named it, or a cell that it is beside.
    named: bool,
    /// Where it ended when the cell was stored that it is beside.
    mark: Option<LogMark>,
}

impl ActiveBy {
    fn asked(&self, robot: &RobotDescription) -> anyhow::Result<Asked> {
        let of = |audit: &Path, named| Asked {
            audit: audit.to_owned(),
            named,
            mark: None,
        };
        Ok(match self {
            Self::Default => of(Path::new(AUDIT_DEFAULT), false),
            Self::Log(audit) => of(audit, true),
            Self::Cell(cell) => {
                // A cell that is reached by a link has its log beside itself. Without a cell the reading says so.
                let cell = match std::fs::canonicalize(cell) {
                    Ok(file) if cell.is_symlink() => file,
                    _ => cell.clone(),
                };
                Asked {
                    mark: CellFile::read(&cell, robot)?.log,
                    ..of(&cell.with_file_name(AUDIT_FILE), true)
                }
            }
        })
    }
}

/// The configuration that is active by a log: what was activated last, or what is built in if nothing ever was.
///
/// # Errors
/// [`InputError`](crate::InputError) if the log can't be read, if it or the cell that it is beside was named and is not
/// there; [`Refused`](crate::Refused) if it does not verify, or what it names is not to be had any more.
pub fn show_active(sources: &Sources, by: &ActiveBy) -> anyhow::Result<Shown> {
    let around = Surroundings::of(sources)?;
    let Asked { audit, named, mark } = by.asked(&around.robot)?;
    let log = audit.display();
    if !audit.exists() {
        if named {
            return Err(input(format!(
                "{log}: there is no such audit log, so nothing says what is active"
            )));
        }
        let origin =
            format!("built in: there is no audit log {log}, so nothing else was activated");
        return Ok(around.shown(read(None, &around)?, origin, true));
    }
    let mut approvals = sinew_audit::Approvals::default();
    let mut is_own = mark.is_none();
    let verification = sinew_audit::read(&audit, |record| {
        is_own |= (mark.as_ref())
            .is_some_and(|mark| (mark.records, &mark.head) == (record.seq, &record.sha256));
        approvals.take(&record);
    })
    .map_err(|error| input(format!("audit log {log}: {error}")))?;
    if !verification.ok {
        return Err(refused(format!(
            "audit log {log}: {}. What is active can't be told from it",
            verification.to_text()
        )));
    }
    let shelf = Shelf {
        audit: &audit,
        robot: &around.robot,
    };
    let active = shelf.active(&approvals);
    let Some(found) = active.file else {
        return Err(refused(format!(
            "{} is active by {log}, and it is not to be had: {} is not there, was changed, or does not fit {}. \
             `sinew safety show FILE` shows a file",
            active.hash,
            shelf.file(&active.hash).display(),
            around.robot.name
        )));
    };
    let origin = match approvals.active() {
        Some(_) => format!("activated last by {log}"),
        None => format!("built in: by {log} nothing else was activated"),
    };
    let mut shown = around.shown(found, origin, true);
    shown.log_warning = (!is_own).then(|| {
        format!(
            "{log} is not that cell's audit log: it was cut, replaced or moved, and the cell may have been another's. What was \
             active for the cell can't be told from it"
        )
    });
    Ok(shown)
}
