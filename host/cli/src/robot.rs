//! `sinew robot`: a parked simulated cell, by hand.

use anyhow::Context as _;
use serde::Serialize;
use sinew_runtime::robot::{
    Jog, JogAlong, JogOutcome, JogReport, ParkedCell, ResetAnswer, RobotStatus, SafetyMode,
    StopCategory, StopOrder, jog, wired_input,
};
use sinew_runtime::{Refused, Sources};

use crate::arguments::{AxisArgument, CellArguments, ModeArgument, RobotCommand, WiredArgument};
use crate::output;
use crate::run;

/// What a jog came to, and where the robot stands now.
#[derive(Serialize)]
struct Jogged<'a> {
    #[serde(flatten)]
    report: &'a JogReport,
    status: RobotStatus,
}

/// Carries out a command on the robot.
pub(crate) fn operate(what: RobotCommand) -> anyhow::Result<bool> {
    match what {
        RobotCommand::Status { start, cell } => {
            let mut parked = open(&cell, start.as_ref())?;
            park_and_show(&mut parked, &cell)?;
            Ok(true)
        }
        RobotCommand::Mode { mode, cell } => {
            let mut parked = open(&cell, None)?;
            parked.set_mode(mode_of(mode))?;
            park_and_show(&mut parked, &cell)?;
            Ok(true)
        }
        RobotCommand::Stop {
            category,
            wired,
            release,
            cell,
        } => {
            let order = match wired {
                None => StopOrder::Request(match category {
                    0 => StopCategory::PowerOff,
                    1 => StopCategory::ControlledThenOff,
                    _ => StopCategory::ControlledHold,
                }),
                Some(wired) => {
                    let contact = wired_input(contact_name(wired))
                        .context("every contact of the command line is one of the cell")?;
                    if release {
                        StopOrder::Release(contact)
                    } else {
                        StopOrder::Press(contact)
                    }
                }
            };
            let mut parked = open(&cell, None)?;
            parked.stop(order)?;
            park_and_show(&mut parked, &cell)?;
            Ok(true)
        }
        RobotCommand::Reset { actor, cell } => {
            let mut parked = open(&cell, None)?;
            let answer = parked.reset(&actor)?;
            park_and_show(&mut parked, &cell)?;
            match answer {
                ResetAnswer::Granted | ResetAnswer::NotNeeded => Ok(true),
                ResetAnswer::Refused(words) => Err(Refused(format!(
                    "the reset by {} is refused: {words}. {}",
                    actor.trim(),
                    what_to_do(&parked)
                ))
                .into()),
            }
        }
        RobotCommand::Jog {
            joint,
            axis,
            speed,
            hold,
            release_after,
            cell,
        } => {
            let along = match (joint, axis) {
                (_, Some(AxisArgument::X)) => JogAlong::Axis(0),
                (_, Some(AxisArgument::Y)) => JogAlong::Axis(1),
                (_, Some(AxisArgument::Z)) => JogAlong::Axis(2),
                (joint, None) => JogAlong::Joint(usize::from(joint.unwrap_or(1)) - 1),
            };
            let asked = Jog {
                along,
                speed,
                hold_s: hold,
                release_after_s: release_after,
            };
            held(&asked, &cell)
        }
    }
}

fn held(asked: &Jog, cell: &CellArguments) -> anyhow::Result<bool> {
    let interrupt = run::interrupt().context("waiting for an interrupt")?;
    let mut parked = open(cell, None)?;
    let report = jog(&mut parked, asked, &interrupt)?;
    parked.park()?;
    let status = parked.robot_status();
    let text = report.to_text();
    let report = &report;
    output::result(&cell.json, &Jogged { report, status }, &text)?;
    match (report.outcome, &report.why) {
        (JogOutcome::Reached, _) => Ok(true),
        (JogOutcome::Limited, _) => Ok(false),
        (JogOutcome::Refused, why) => Err(Refused(format!(
            "the motion is refused by {}",
            why.as_deref().unwrap_or("the gate")
        ))
        .into()),
    }
}

fn open(cell: &CellArguments, start: Option<&[f64; 7]>) -> anyhow::Result<ParkedCell> {
    let sources = Sources {
        robot: cell.robot_config.clone(),
        safety: cell.safety_config.clone(),
        default_grants: sinew_skill_artifacts::GRANTS.to_owned(),
        ..Sources::default()
    };
    ParkedCell::open(&sources, &cell.cell, start)
}

fn park_and_show(parked: &mut ParkedCell, cell: &CellArguments) -> anyhow::Result<()> {
    parked.park()?;
    let status = parked.robot_status();
    output::result(&cell.json, &status, &status.to_text())
}

/// What lets a reset be granted.
fn what_to_do(parked: &ParkedCell) -> &'static str {
    let status = parked.robot_status();
    let wired = status.wired;
    if !(wired.emergency_a_closed && wired.emergency_b_closed && wired.protective_closed) {
        "Release it first: `sinew robot stop --wired NAME --release`"
    } else if !status.breaches.is_empty() {
        "The way out is `sinew robot mode recovery`, the reset, and `sinew robot jog` away from it"
    } else {
        "`sinew robot status` says more"
    }
}

fn mode_of(mode: ModeArgument) -> SafetyMode {
    match mode {
        ModeArgument::Normal => SafetyMode::Normal,
        ModeArgument::Reduced => SafetyMode::Reduced,
        ModeArgument::Recovery => SafetyMode::Recovery,
        ModeArgument::Hold => SafetyMode::Hold,
    }
}

fn contact_name(wired: WiredArgument) -> &'static str {
    match wired {
        WiredArgument::Emergency => "emergency",
        WiredArgument::EmergencyA => "emergency-a",
        WiredArgument::EmergencyB => "emergency-b",
        WiredArgument::Protective => "protective",
    }
}
