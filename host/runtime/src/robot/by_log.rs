//! Whose limits a parked cell goes by where nobody names a file: those that are active by the log beside it.

use std::path::Path;

use anyhow::Context as _;

use super::place::Place;
use crate::safety_change::{Shelf, audit_option};
use crate::sources::{Config, Sources};
use crate::trouble::refused;

/// Loads the sources for the cell at that place.
///
/// # Errors
/// As [`Sources::load`]; [`Refused`](crate::Refused) if what is active is not to be had any more.
pub(super) fn load(sources: &Sources, place: &Place) -> anyhow::Result<Config> {
    let builtin = sources.load();
    if sources.safety.is_some() {
        return builtin;
    }
    let audit = place.log();
    // What is wrong with a log is told by whoever needs it.
    let Some(active) = active_by(&audit) else {
        return builtin;
    };
    let is_active = |config: &Config| config.safety.hash().to_string() == active;
    if builtin.as_ref().is_ok_and(is_active) {
        return builtin;
    }
    let file = Shelf::path(&audit, &active);
    let kept = Sources {
        safety: Some(file.clone()),
        ..sources.clone()
    };
    let what = || {
        format!(
            "safety configuration {active} is active by {}",
            audit.display()
        )
    };
    if file.exists() {
        let config = kept.load().with_context(what)?;
        if is_active(&config) {
            return Ok(config);
        }
    }
    Err(refused(format!(
        "{}, and {} is not there or was changed. Propose the file again that it came from (`sinew safety propose FILE \
         --actor NAME{}`), which puts it there, or name it with --safety-config",
        what(),
        file.display(),
        audit_option(&audit)
    )))
}

/// [`load`] for what makes a robot stand, or only looks at it: that does not depend on limits which are not to be had. What
/// is wrong with them comes with it. Nothing moves by those that are taken instead, as they are not the active ones.
///
/// # Errors
/// As [`Sources::load`].
pub(super) fn load_to_stand(
    sources: &Sources,
    place: &Place,
) -> anyhow::Result<(Config, Option<String>)> {
    match load(sources, place) {
        Ok(config) => Ok((config, None)),
        Err(error) => {
            let config = sources.load()?;
            let said = format!("{error:#}. The built-in limits are shown");
            Ok((config, Some(said)))
        }
    }
}

/// Hash of what was activated last; nothing if nothing ever was, or the log can't tell.
fn active_by(audit: &Path) -> Option<String> {
    let (verification, approvals) = sinew_audit::approvals(audit).ok()?;
    (verification.ok)
        .then(|| approvals.active().map(str::to_owned))
        .flatten()
}
