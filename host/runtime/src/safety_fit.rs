//! The safety configuration against what is around the gate: the brain's heartbeat, the cell's scanner and parts.
//!
//! What can't work is refused wherever a configuration is read, so a file that `sinew safety check` takes is one that
//! `sinew run` takes.

use sinew_description::{SafetyFile, Warning};
use sinew_safety::{SafetyConfig, SafetyLimits};
use sinew_sim::CellConfig;

use crate::trouble::input;

/// A value that can't work with what is around the gate.
struct Misfit {
    key: &'static str,
    found: String,
    allowed: String,
}

/// The brain must have time to be late once before the gate takes it for dead.
fn heartbeat(config: &SafetyConfig, every_ticks: u64) -> Option<Misfit> {
    let least = 2 * every_ticks;
    (config.heartbeat_ticks < least).then(|| Misfit {
        key: "brain.heartbeat_timeout_ms",
        found: config.heartbeat_ticks.to_string(),
        allowed: format!(
            "{least} and more: the host settings' brain.heartbeat_every_ticks is {every_ticks}, and the gate would take a \
             live brain for dead unless it waits for two heartbeats"
        ),
    })
}

/// A scanner that works is not silent: its newest scan is as old as its latency when it comes, and its period later just
/// before the next one does.
fn scanner(config: &SafetyConfig, cell: &CellConfig) -> Option<Misfit> {
    let separation = config.separation.as_ref()?;
    let scanner = &cell.scanner;
    let least = scanner.period_ms + scanner.latency_ms;
    (separation.silent_ticks < least).then(|| Misfit {
        key: "separation.silent_ms",
        found: separation.silent_ticks.to_string(),
        allowed: format!(
            "{least} and more: the cell's scanner scans every {} ms and says it {} ms later, and one that works would be \
             taken for silent",
            scanner.period_ms, scanner.latency_ms
        ),
    })
}

/// Limits that come without a file fit a brain with this heartbeat.
///
/// # Errors
/// [`InputError`](crate::InputError) with key and reason.
pub(crate) fn fits_heartbeat(limits: &SafetyLimits, every_ticks: u64) -> anyhow::Result<()> {
    match heartbeat(limits.config(), every_ticks) {
        None => Ok(()),
        Some(misfit) => Err(input(format!(
            "the safety configuration's `{}` is {}; allowed: {}",
            misfit.key, misfit.found, misfit.allowed
        ))),
    }
}

/// A file fits the host and the cell.
///
/// # Errors
/// [`InputError`](crate::InputError) with file, line and reason.
pub(crate) fn fits(
    file: &SafetyFile,
    limits: &SafetyLimits,
    every_ticks: u64,
    cell: &CellConfig,
) -> anyhow::Result<()> {
    let config = limits.config();
    match heartbeat(config, every_ticks).or_else(|| scanner(config, cell)) {
        None => Ok(()),
        Some(misfit) => {
            let refusal = file.refusal(misfit.key, misfit.found, &misfit.allowed);
            Err(input(refusal.to_string()))
        }
    }
}

/// What is odd about a file in this cell.
pub(crate) fn warnings(
    file: &SafetyFile,
    limits: &SafetyLimits,
    cell: &CellConfig,
) -> Vec<Warning> {
    let Some(effort) = &limits.config().effort else {
        return Vec::new();
    };
    (cell.parts.iter())
        .filter(|part| part.mass > effort.load_max_kg)
        .map(|part| {
            let problem = format!(
                "{} kg, and the cell's {} weighs {} kg: the robot will not carry it",
                effort.load_max_kg, part.class, part.mass
            );
            file.warning("effort.load_max_kg", problem)
        })
        .collect()
}
