//! What it costs that every call of a plugin is recorded, on a kitting cycle.
//!
//! Two hosts work off the same cycle, tick by tick in turns, one of which keeps no calls; what is measured is the processor
//! time of the thread that both run on. What nobody but the benchmark can have is a budget of zero bytes for a run's
//! record: the first call is already too much for it, and the record says that nothing was kept. No configuration sets it.

use std::time::Duration;

use sinew_plugin_host::Limits;

use super::{Part, PluginBench};
use crate::bench::kitting::{Kitting, TICKS_MAX};
use crate::bench::{Allocations, Figure, row, thread_ns};
use crate::kit::Kit;

/// Cycles, each of another seed.
const CYCLES: u64 = 5;
/// Ticks of the one cycle that shows that it works.
const QUICK_TICKS: u64 = 1_500;

pub(super) fn measure(what: &PluginBench<'_>, allocations: Allocations) -> anyhow::Result<Part> {
    let recorded = Kit::load(what.sources, what.plugins)?;
    let limits = Limits {
        record_bytes: 0,
        ..Limits::default()
    };
    let unrecorded = Kit::load_within(what.sources, what.plugins, limits)?;
    let (cycles, ticks) = if what.quick {
        (1, QUICK_TICKS)
    } else {
        (CYCLES, TICKS_MAX)
    };
    let mut times = [Vec::new(), Vec::new()];
    let mut allocated = [0, 0];
    let mut ratios = Vec::new();
    for seed in 1..=cycles {
        let mut both = [
            Kitting::new(&recorded, seed)?,
            Kitting::new(&unrecorded, seed)?,
        ];
        let mut spent = [0, 0];
        let mut done = 0;
        while !both[0].has_ended() && done < ticks {
            // Whoever comes second finds less in the caches: that takes turns, too.
            let first = (done % 2) as usize;
            for which in [first, 1 - first] {
                let (before, start) = (allocations(), thread_ns());
                both[which].step()?;
                spent[which] += thread_ns().saturating_sub(start);
                allocated[which] += allocations() - before;
            }
            done += 1;
            anyhow::ensure!(
                both[0].has_ended() == both[1].has_ended(),
                "tick {done} of seed {seed}: it does something else when it is not recorded"
            );
        }
        for (times, spent) in times.iter_mut().zip(spent) {
            times.push(Duration::from_nanos(spent));
        }
        ratios.push(spent[0] as f64 / spent[1].max(1) as f64);
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    let [with, without] = times;
    let note = "processor time of the brain's thread in one cycle";
    let mut with = row("kitting cycle", with, allocated[0] as f64 / cycles as f64)
        .noted(format!("{note}; the ratio is the median of {cycles}"));
    let without = row(
        "kitting cycle, not recorded",
        without,
        allocated[1] as f64 / cycles as f64,
    )
    .noted(note);
    with.ratio.insert(without.name.clone(), ratio);
    Ok(Part {
        rows: vec![with, without],
        figures: vec![Figure::at_most(
            "recording, share of a kitting cycle",
            "%",
            100.0 * (ratio - 1.0),
            5.0,
        )],
    })
}
