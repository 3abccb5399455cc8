//! What makes a robot stand. The order is put down before anything is read or checked, where every command finds it; then it is
//! carried out, or whoever is at work does.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use sinew_audit::actor_name;

use super::cell_file::CellFile;
use super::kept::KeptCell;
use super::orders::{Given, Order, Orders};
use super::parked::view;
use super::place::Place;
use super::{Stored, by_log};
use crate::sources::Sources;
use crate::trouble::input;

/// Nothing was stopped, and whoever asked for it has to know at once.
pub const NOT_GIVEN: &str =
    "THE STOP WAS NOT GIVEN, AND THE ROBOT MAY GO ON: use its emergency stop";

/// The order counts, though nobody has written down yet that it does.
const GIVEN: &str = "the order is given, and every command on this cell carries it out before it does anything else";

/// Makes the robot in `path` stand, by order of `actor` if they gave a name.
///
/// # Errors
/// [`InputError`](crate::InputError) or [`Refused`](crate::Refused) that begin with [`NOT_GIVEN`] if nothing was stopped; any
/// other if the order is given and the cell can't be shown.
pub(super) fn stand(
    sources: &Sources,
    path: &Path,
    order: Order,
    actor: Option<&str>,
) -> anyhow::Result<Stored> {
    // A stop does not depend on how its giver spells.
    let by = actor.map(actor_name).transpose();
    let mut troubles = Vec::new();
    if let Err(error) = &by {
        troubles.push(format!(
            "--actor: {error}. It is written down without a name"
        ));
    }
    let given = Given {
        order,
        by: by.unwrap_or_default(),
        at_unix_ms: None,
    };
    // What lies in the cell's place may be a link, a folder or a pipe by now: whoever has the cell hears what is put beside
    // the name.
    let named = Place::as_named(path);
    let early = named
        .has_been_kept()
        .then(|| Orders::of(&named).put(&given));
    let place = match Place::of(path) {
        Ok(place) => place,
        Err(error) if matches!(early, Some(Ok(()))) => {
            return Err(anyhow!(
                "{GIVEN}; it is not in the cell's file yet, and the cell can't be shown: {}",
                words(&error)
            ));
        }
        Err(error) => return Err(error.context(NOT_GIVEN)),
    };
    if !place.is_a_cells() {
        let what = if place.exists() {
            "this is no parked cell"
        } else {
            "there is no cell"
        };
        return Err(input(format!(
            "{}: {what}, and there was none. Name the robot's cell with --cell",
            path.display()
        ))
        .context(NOT_GIVEN));
    }
    if !place.exists() {
        troubles.push(format!(
            "{}: the cell's file was gone, and a new one was begun, stopped. A robot that was kept under another name is not \
             stopped by this",
            path.display()
        ));
    }
    let put = match early {
        Some(put) if place.file == named.file => put,
        _ => Orders::of(&place).put(&given),
    };
    troubles.extend(stand_elsewhere(&named, &place, &given)?);
    let config = by_log::load_to_stand(sources, &place).map(|(config, odd)| {
        troubles.extend(odd);
        config
    });
    let carried_out = (config.as_ref().map_err(|error| anyhow!("{error:#}"))).and_then(|config| {
        let mut kept = KeptCell::open(config.clone(), place.clone())?;
        // Taken up with the cell, or by another command and then reset by a third; or it could not be put down.
        if !kept.file.stands_by(order) {
            kept.file.obey(&given);
        }
        kept.finish()
    });
    let mut stored = match (carried_out, put, config) {
        (Ok(stored), put, _) => {
            if let Err(error) = put {
                troubles.push(format!(
                    "the robot is stopped, and a command that had been at work on it would not have heard of it: {error}"
                ));
            }
            stored
        }
        (Err(error), Ok(()), config) => {
            let given = format!("{GIVEN}; it is not in the cell's file yet");
            // Not wrong input any more, whatever it is: the order counts.
            let shown = config.and_then(|config| view(&config, &place));
            let status = shown
                .map_err(|_| anyhow!("{given}, and the cell can't be shown: {}", words(&error)))?;
            troubles.push(format!("{given}: {}", words(&error)));
            Stored {
                status,
                trouble: None,
            }
        }
        (Err(error), Err(put), config) => {
            // With its kind: nothing was given, which is never "it ran".
            let error = config.err().unwrap_or(error);
            return Err(error.context(format!("{NOT_GIVEN}. The order can't be put down: {put}")));
        }
    };
    troubles.extend(stored.trouble.take());
    stored.trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
    Ok(stored)
}

/// The cell's file may have been moved under a command that works on it by its old name. What is to be known of that.
///
/// # Errors
/// Begins with [`NOT_GIVEN`]: such a command is there, and the order can't be put where it hears it.
fn stand_elsewhere(named: &Place, place: &Place, given: &Given) -> anyhow::Result<Option<String>> {
    let kept_as = CellFile::is_moved_as(&place.file);
    let other = match &kept_as {
        _ if named.file != place.file && named.is_at_work() => named.clone(),
        Some(name) if place.file.file_name() != Some(OsStr::new(name)) => place.named_beside(name),
        _ => return Ok(None),
    };
    let name = other.file.display();
    if !other.is_at_work() {
        return Ok(Some(format!(
            "{}: it was kept as {name} when a command began to move its robot, and no command is at work there. If it was \
             brought here from another folder, A ROBOT MAY MOVE THERE THAT THIS DOES NOT STOP: use its emergency stop",
            place.shown.display()
        )));
    }
    (Orders::of(&other).put(given))
        .map_err(|error| input(format!("{name}, which a command is at work on: {error}")))
        .context(NOT_GIVEN)?;
    Ok(Some(format!(
        "a command is at work on this cell as {name}, from where its file was moved: the order is put there, too, and that \
         command carries it out"
    )))
}

fn words(error: &anyhow::Error) -> String {
    format!("{error:#}")
}
