//! Whose limits a parked cell goes by where nobody names a file: those that are active by the log beside it.

use sinew_audit::Approvals;

use super::place::Place;
use crate::safety_change::Shelf;
use crate::sources::{Config, Sources};
use crate::trouble::refused;

/// Loads the sources for the cell at that place.
///
/// # Errors
/// As [`Sources::load`]; [`Refused`](crate::Refused) if what is active is not to be had any more.
pub(super) fn load(sources: &Sources, place: &Place) -> anyhow::Result<Config> {
    let config = sources.load()?;
    if sources.safety.is_some() {
        return Ok(config);
    }
    let audit = place.log();
    // What is wrong with a log is told by whoever needs it.
    let Some(active) = active_by(&audit) else {
        return Ok(config);
    };
    if config.safety.hash().to_string() == active {
        return Ok(config);
    }
    let shelf = Shelf {
        audit: &audit,
        robot: &config.robot,
    };
    let file = shelf.file(&active);
    if shelf.find(&active).is_none() {
        return Err(refused(format!(
            "safety configuration {active} is active by {}, and {} is not there, was changed, or does not fit {}. Propose \
             the file again that it came from (`sinew safety propose FILE --actor NAME`), which puts it there, or name it \
             with --safety-config",
            audit.display(),
            file.display(),
            config.robot.name
        )));
    }
    Sources {
        safety: Some(file),
        ..sources.clone()
    }
    .load()
}

/// Hash of what was activated last; nothing if nothing ever was, or the log can't tell.
fn active_by(audit: &std::path::Path) -> Option<String> {
    let mut approvals = Approvals::default();
    let verification = sinew_audit::read(audit, |record| approvals.take(&record)).ok()?;
    (verification.ok)
        .then(|| approvals.active().map(str::to_owned))
        .flatten()
}
