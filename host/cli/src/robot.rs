//! `sinew robot`: a parked simulated cell, by hand.

use std::ffi::OsString;

use anyhow::Context as _;
use serde::Serialize;
use sinew_runtime::robot::{
    self, Jog, JogAlong, JogOutcome, JogReport, ParkedCell, ResetAnswer, RobotStatus, SafetyMode,
    StopCategory, StopOrder, Stored, wired_input,
};
use sinew_runtime::{InputError, Refused, Sources};

use crate::arguments::{
    AxisArgument, CellArguments, ModeArgument, RobotCommand, StandArguments, WhichCell,
    WiredArgument,
};
use crate::output;
use crate::run;

/// What a jog came to, and where the robot stands now.
#[derive(Serialize)]
struct Jogged<'a> {
    #[serde(flatten)]
    report: &'a JogReport,
    status: &'a RobotStatus,
}

/// True if what was typed and can't be understood is about making a robot stand.
pub(crate) fn means_to_stop(typed: impl Iterator<Item = OsString>) -> bool {
    let words: Vec<String> = typed
        .map(|word| word.to_string_lossy().to_ascii_lowercase())
        .filter(|word| !word.starts_with('-'))
        .collect();
    let Some(robot) = words.iter().position(|word| word == "robot") else {
        return words
            .iter()
            .any(|word| ["stop", "halt", "estop", "e-stop"].contains(&word.as_str()));
    };
    match words.get(robot + 1).map(String::as_str) {
        None | Some("status" | "jog" | "reset" | "help") => false,
        Some("mode") => (words.get(robot + 2)).is_some_and(|mode| mode.starts_with('h')),
        // `stop`, or what may have been meant for it.
        Some(_) => true,
    }
}

/// Carries out a command on the robot.
pub(crate) fn operate(what: RobotCommand) -> anyhow::Result<bool> {
    match what {
        RobotCommand::Status { start, cell } => {
            let sources = sources(&cell.which);
            let stored = match start {
                Some(start) => robot::begin(&sources, &cell.which.cell, &start)?,
                None => robot::status(&sources, &cell.which.cell)?,
            };
            show(&stored, &cell)
        }
        RobotCommand::Mode { mode, cell } => {
            if mode != ModeArgument::Hold {
                cell.report().map_err(InputError)?;
            }
            let (which, actor) = (&cell.which, cell.actor.as_deref());
            let stored = robot::set_mode(&sources(which), &which.cell, mode_of(mode), actor)?;
            show_done(&stored, &cell)
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
            if release {
                cell.report().map_err(InputError)?;
            }
            let (which, actor) = (&cell.which, cell.actor.as_deref());
            let stored = robot::stop(&sources(which), &which.cell, order, actor)?;
            show_done(&stored, &cell)
        }
        RobotCommand::Reset {
            actor,
            accept_log,
            cell,
        } => {
            let name = robot::actor_name(&actor)?;
            let accepting = accept_log.then_some(name);
            let mut parked = ParkedCell::open(&sources(&cell.which), &cell.which.cell, accepting)?;
            let answer = parked.reset(name)?;
            let stored = parked.park()?;
            let shown = show(&stored, &cell);
            match answer {
                ResetAnswer::Granted => shown.context(format!("the reset by {name} is granted")),
                ResetAnswer::NotNeeded => shown.context("no stop was latched"),
                ResetAnswer::Refused(words) => answered(
                    shown,
                    Refused(format!(
                        "the reset by {name} is refused: {words}. Next: {}",
                        stored.status.next
                    )),
                ),
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
    let interrupt = run::interrupt_of_holder().context("waiting for an interrupt")?;
    let mut parked = ParkedCell::open(&sources(&cell.which), &cell.which.cell, None)?;
    let report = parked.jog(asked, &interrupt)?;
    let stored = parked.park()?;
    let text = report.to_text();
    let report = &report;
    let status = &stored.status;
    let whole = say_trouble(&stored);
    let shown = output::result(&cell.json, &Jogged { report, status }, &text).map(|()| whole);
    match (report.outcome, &report.why) {
        (JogOutcome::Reached, _) => shown,
        (JogOutcome::Limited, _) => shown.map(|_| false),
        (JogOutcome::Refused, why) => answered(
            shown,
            Refused(format!(
                "the motion is refused by {}",
                why.as_deref().unwrap_or("the gate")
            )),
        ),
    }
}

/// A refusal is one whether or not its report could be written.
fn answered(shown: anyhow::Result<bool>, refusal: Refused) -> anyhow::Result<bool> {
    if let Err(error) = shown {
        output::tell(format_args!(
            "sinew: {}\n",
            output::plain(&format!("{error:#}"))
        ));
    }
    Err(refusal.into())
}

fn sources(which: &WhichCell) -> Sources {
    Sources {
        robot: which.robot_config.clone(),
        safety: which.safety_config.clone(),
        default_grants: sinew_skill_artifacts::GRANTS.to_owned(),
        ..Sources::default()
    }
}

/// True if nothing was left undone.
fn show(stored: &Stored, cell: &CellArguments) -> anyhow::Result<bool> {
    // Before the result, which can fail: whoever stopped a robot has to know.
    let whole = say_trouble(stored);
    let status = &stored.status;
    output::result(&cell.json, status, &status.to_text())?;
    Ok(whole)
}

/// [`show`] after what may have made a robot stand: where the report goes is looked at now.
fn show_done(stored: &Stored, cell: &StandArguments) -> anyhow::Result<bool> {
    let whole = say_trouble(stored);
    let status = &stored.status;
    let done = "it is done, and the report of it can't be written";
    match cell.report() {
        Ok(json) => output::result(&json, status, &status.to_text()).context(done)?,
        Err(words) => {
            output::text(&output::escaped(&status.to_text())).context(done)?;
            anyhow::bail!("{done}: {words}");
        }
    }
    Ok(whole)
}

fn say_trouble(stored: &Stored) -> bool {
    if let Some(trouble) = &stored.trouble {
        output::tell(format_args!("sinew: {}\n", output::plain(trouble)));
    }
    stored.trouble.is_none()
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
