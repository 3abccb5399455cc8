//! What a plugin costs, and by what ratio: its calls against the same calls in bare wasmtime and in a process of its own,
//! its start, its room, the end of one that does not give up the thread, and what it costs that all of it is recorded.

mod calls;
mod guard;
mod recording;
mod rig;
mod room;

use std::ffi::OsString;

use super::{Allocations, Bench, Figure, Row};
use crate::kit::PluginFile;
use crate::sources::Sources;

/// What is measured, and how much of it.
#[derive(Clone, Debug)]
pub struct PluginBench<'a> {
    /// Configuration.
    pub sources: &'a Sources,
    /// The plugins that a kitting run needs.
    pub plugins: &'a [PluginFile],
    /// The skill that does what is measured.
    pub guest: &'a PluginFile,
    /// Starts the sidecar, with the path of its socket as the last argument.
    pub sidecar: &'a [OsString],
    /// As few samples as show that it works. They are no figures.
    pub quick: bool,
}

/// What one part of it gives.
#[derive(Default)]
struct Part {
    rows: Vec<Row>,
    figures: Vec<Figure>,
}

/// Measures all of it.
///
/// # Errors
/// The configuration can't be used, a plugin does not do what it is here for, or the sidecar does not answer. A figure that is
/// missed is none.
pub fn plugin(what: &PluginBench<'_>, allocations: Allocations) -> anyhow::Result<Bench> {
    let config = what.sources.load()?;
    let mut bench = Bench {
        rows: Vec::new(),
        figures: Vec::new(),
    };
    let parts: [&dyn Fn() -> anyhow::Result<Part>; 5] = [
        // The room first: before anything else has left its own behind.
        &|| room::measure(what, &config, allocations),
        &|| calls::in_a_step(what, &config, allocations),
        &|| calls::ready(what, &config, allocations),
        &|| guard::measure(what, &config, allocations),
        &|| recording::measure(what, allocations),
    ];
    for part in parts {
        let part = part()?;
        bench.rows.extend(part.rows);
        bench.figures.extend(part.figures);
    }
    Ok(bench)
}
