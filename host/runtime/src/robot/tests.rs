//! A parked cell, operated.

mod evidence;
mod moving;
mod stops;

use std::sync::atomic::AtomicBool;

use sinew_messages::JointVector;
use sinew_sim::scenario::WiredInput;

use super::orders::{Given, Order, Orders};
use super::place::Place;
use super::{
    BreachView, CellFile, Jog, JogAlong, JogOutcome, JogReport, Operated, ParkedCell, ResetAnswer,
    RobotStatus, SafetyMode, StopCategory, StopOrder, Stored, begin, jog, set_mode, status, stop,
};
use crate::sources::Sources;
use crate::trouble::{InputError, Refused};

/// The forearm stands a few centimetres inside the zone `cabinet`.
const IN_THE_CABINET: JointVector = [2.4, 0.6, 0.0, 1.8, 0.0, 1.0, 0.0];
/// Above the table.
const FREE: JointVector = [0.0, 0.25, 0.0, 1.85, 0.0, 1.04, 0.0];

fn cell(folder: &tempfile::TempDir) -> ParkedCell {
    ParkedCell::open(&Sources::default(), &path(folder), None).expect("it can be opened")
}

/// What a command made of a cell, with all of its evidence.
#[track_caller]
fn whole(stored: anyhow::Result<Stored>) -> RobotStatus {
    let stored = stored.expect("it is done");
    assert_eq!(stored.trouble, None);
    stored.status
}

#[track_caller]
fn begun(folder: &tempfile::TempDir, start: &JointVector) -> RobotStatus {
    whole(begin(&Sources::default(), &path(folder), start))
}

#[track_caller]
fn seen(folder: &tempfile::TempDir) -> RobotStatus {
    whole(status(&Sources::default(), &path(folder)))
}

#[track_caller]
fn stopped(folder: &tempfile::TempDir, order: StopOrder) -> RobotStatus {
    whole(stop(&Sources::default(), &path(folder), order, Some("bea")))
}

#[track_caller]
fn in_mode(folder: &tempfile::TempDir, mode: SafetyMode) -> RobotStatus {
    whole(set_mode(&Sources::default(), &path(folder), mode, None))
}

/// Asks for a reset by ann, and parks the cell again.
#[track_caller]
fn reset(folder: &tempfile::TempDir) -> ResetAnswer {
    let mut cell = cell(folder);
    let answer = cell.reset("ann").expect("asked");
    whole(cell.park());
    answer
}

fn unnamed(order: Order) -> Given {
    Given {
        order,
        by: None,
        at_unix_ms: None,
    }
}

fn path(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("robot.json")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn of_joint(joint: usize, speed: f64, hold_s: f64) -> Jog {
    Jog {
        along: JogAlong::Joint(joint),
        speed,
        hold_s,
        release_after_s: None,
    }
}

/// Opens the cell, holds on, and parks it again.
fn held(folder: &tempfile::TempDir, asked: &Jog) -> anyhow::Result<JogReport> {
    let mut cell = cell(folder);
    let report = cell.jog(asked, &AtomicBool::new(false))?;
    whole(cell.park());
    Ok(report)
}

fn depth(breaches: &[BreachView]) -> f64 {
    breaches
        .iter()
        .map(|breach| breach.depth)
        .fold(0.0, f64::max)
}

/// A robot that is free to move at `start`.
fn freed(start: &JointVector) -> tempfile::TempDir {
    let folder = folder();
    begun(&folder, start);
    assert_eq!(reset(&folder), ResetAnswer::Granted);
    folder
}

/// A cell in whose ticks something else happens.
struct Meanwhile<F> {
    cell: ParkedCell,
    step: F,
}

impl<F: FnMut(&mut ParkedCell) -> anyhow::Result<()>> Operated for Meanwhile<F> {
    fn step(&mut self) -> anyhow::Result<()> {
        (self.step)(&mut self.cell)
    }
    fn mailbox(&self) -> &sinew_messages::Mailbox {
        self.cell.mailbox()
    }
    fn status(&self) -> &sinew_messages::LoopStatus {
        self.cell.status()
    }
    fn verdict(&self) -> &sinew_messages::VerdictRecord {
        self.cell.verdict()
    }
    fn config(&self) -> &crate::Config {
        self.cell.config()
    }
}

/// Kinds of the records in the log beside the cell.
fn log_kinds(folder: &tempfile::TempDir) -> Vec<String> {
    let mut kinds = Vec::new();
    let read = sinew_audit::read(&log(folder), |record| kinds.push(record.kind));
    assert!(read.expect("it can be read").ok);
    kinds
}

fn log(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join(crate::AUDIT_FILE)
}

/// Kinds and actors in the log beside the cell.
fn told(folder: &tempfile::TempDir) -> Vec<(String, String)> {
    let mut told = Vec::new();
    let read = sinew_audit::read(&log(folder), |record| {
        told.push((record.kind.clone(), record.who().to_owned()));
    });
    assert!(read.expect("it can be read").ok);
    told
}
