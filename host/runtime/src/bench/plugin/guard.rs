//! A guest that does not give up the thread: how long after the guard has looked the host has it back.
//!
//! Fuel is set so high that only the guard ends these runs. A run is to end at the first look after its time in a step is
//! over; from that look, which is noted before the epoch is advanced, to the return of the poll is what is measured. An
//! instruction that goes on over several looks is measured from the first of them.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use sinew_plugin_host::{Limits, RunEnd};

use super::rig::Rig;
use super::{Part, PluginBench};
use crate::bench::{Allocations, Figure, row};
use crate::sources::Config;

/// Runs of each kind; each takes a period of the guard.
const RUNS: usize = 200;
/// Time of a step, milliseconds; whole ones count, so that a step is over its time one later.
const STEP_WALL_MS: u64 = 1;
const OVER: Duration = Duration::from_millis(STEP_WALL_MS + 1);
/// What a plugin needs of its memory beside what its bulk instructions are about, bytes.
const BESIDE: usize = 2 << 20;

pub(super) fn measure(
    what: &PluginBench<'_>,
    config: &Config,
    allocations: Allocations,
) -> anyhow::Result<Part> {
    let limits = Limits {
        fuel_between_calls: u64::MAX / 4,
        fuel_per_step: u64::MAX / 4,
        step_wall_ms: STEP_WALL_MS,
        ..Limits::default()
    };
    let memory_mib = limits.memory_bytes >> 20;
    let most = limits.memory_bytes - BESIDE;
    let mut rig = Rig::new(config, limits)?;
    let plugin = rig.load(what)?;
    let mut thread = thread_class()?;
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|level| level != "0") {
        thread += "; RUST_BACKTRACE is set, so that every error takes a backtrace first: unset it";
    }
    let runs = if what.quick { 3 } else { RUNS };
    let mut part = Part::default();
    for (name, params, most_ms, about) in [
        (
            "guard to control regained, endless loop",
            r#"{"act":"spin"}"#.to_owned(),
            0.1,
            "it jumps back all the time",
        ),
        (
            "guard to control regained, memory.copy",
            format!(r#"{{"act":"copy","bytes":{most}}}"#),
            2.0,
            "all but 2 MiB of its memory at once onto itself, all of it touched before",
        ),
        (
            "guard to control regained, memory.fill",
            format!(r#"{{"act":"fill","bytes":{most}}}"#),
            2.0,
            "all but 2 MiB of its memory at once, the first time with the kernel's page faults",
        ),
    ] {
        let mut samples = Vec::with_capacity(runs);
        let mut allocated = 0;
        for _ in 0..runs {
            let mut run = rig.start(&plugin, &params)?;
            let before = allocations();
            let mut start = Instant::now();
            let mut end = run.poll(rig.now());
            while end.is_none() {
                // It gets ready, and waits for another step.
                rig.tick();
                start = Instant::now();
                end = run.poll(rig.now());
            }
            let now = Instant::now();
            allocated += allocations() - before;
            let beats = rig.host.guard_beats();
            let due = (beats.iter()).find(|beat| beat.saturating_duration_since(start) >= OVER);
            // A look before that time ends it, too, if it is found only when the time is over.
            let beat = (due.or(beats.last())).context("the guard has not looked yet")?;
            match end {
                Some(RunEnd::OutOfBudget {
                    nondeterministic: true,
                    ..
                }) => samples.push(now.saturating_duration_since(*beat)),
                other => anyhow::bail!("{name}: the guard did not end it, but: {other:?}"),
            }
        }
        let row = row(name, samples, allocated as f64 / runs as f64).noted(format!(
            "{about}; {thread}; a plugin's memory is {memory_mib} MiB at most"
        ));
        part.figures.push(Figure::at_most(
            &format!("{name}, p99"),
            "ms",
            row.p99_ns as f64 / 1e6,
            most_ms,
        ));
        part.rows.push(row);
    }
    Ok(part)
}

/// Scheduling class and priority of this thread; that of the guard is the same, which it inherits.
fn thread_class() -> anyhow::Result<String> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat")
        .context("the scheduling class of this thread")?;
    // The name in brackets may have spaces in it; the first field after it is the third.
    let fields: Vec<&str> = (stat.rsplit_once(')'))
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or("?");
    let class = match field(41) {
        "0" => "SCHED_OTHER",
        "1" => "SCHED_FIFO",
        "2" => "SCHED_RR",
        "3" => "SCHED_BATCH",
        "5" => "SCHED_IDLE",
        "6" => "SCHED_DEADLINE",
        other => return Ok(format!("thread and guard: scheduling class {other}")),
    };
    Ok(format!(
        "thread and guard: {class}, nice {}, real-time priority {}",
        field(19),
        field(40)
    ))
}
