//! Calls: what a skill is handed in a step, and calls from it that need not wait.
//!
//! "The same call" three times: a skill that waits for the world is handed what is seen (ten objects) and the robot's state,
//! and answers with the object that it would take. In the host that is one `Run::poll`, as the task engine does it in every
//! step, with every call granted, metered and recorded; the answer is taken out of the run's events. It is no call of an
//! export because a skill has only one, `run`, which goes on for as long as the task; a step of it is a return from one
//! wait up to the next. In bare wasmtime it is the same component, the same fiber and the same content, and nothing else.
//! The sidecar is sent the same content in one message and answers with the same. Each makes what it hands over from the same
//! snapshot, within what is measured.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sinew_bench_sidecar::Sidecar;
use sinew_plugin_host::{BareCode, BareSkill, Limits, Run, RunEvent};

use super::rig::{NEAREST, OBJECTS, Rig, observation};
use super::{Part, PluginBench};
use crate::bench::{Allocations, Begun, Figure, Meter, Row, compare};
use crate::sources::Config;

const LOOK: &str = r#"{"act":"look"}"#;
/// Steps of one run: its record stays below its limit, so that all of them are recorded.
const STEPS: u32 = 1_000;
const ROUNDS: u32 = 20;
/// Steps before any is measured.
const WARM_UP: u32 = 200;

/// Calls in one step that need not wait; and runs of that many steps.
const CALLS: u32 = 400;
const CALL_STEPS: u32 = 100;

pub(super) fn in_a_step(
    what: &PluginBench<'_>,
    config: &Config,
    allocations: Allocations,
) -> anyhow::Result<Part> {
    let (rounds, steps, warm_up) = if what.quick {
        (2, 50, 10)
    } else {
        (ROUNDS, STEPS, WARM_UP)
    };
    let mut rig = Rig::new(config, Limits::default())?;
    let plugin = rig.load(what)?;
    let bare = [BareCode::Metered, BareCode::Plain]
        .map(|code| BareSkill::compile(&what.guest.bytes, code));
    let mut sidecar = Sidecar::start(what.sidecar).context("starting the sidecar")?;
    let samples = (rounds * steps) as usize;
    let mut meters = [(); 4].map(|()| Meter::new(allocations, samples));
    let [hosted, metered, plain, beside] = &mut meters;
    // In turns: what the machine does meanwhile meets all of them.
    for _ in 0..rounds {
        let mut run = rig.start(&plugin, LOOK)?;
        for step in 0..warm_up + steps {
            rig.tick();
            let now = rig.now();
            let begun = Begun::now(allocations);
            let end = run.poll(now);
            let said = run.take_events();
            let at = Instant::now();
            if step >= warm_up {
                hosted.end(begun, at);
            }
            anyhow::ensure!(end.is_none(), "the skill ended: {end:?}");
            anyhow::ensure!(is_nearest(&said), "the skill answered {said:?}");
        }
        for (bare, meter) in bare.iter().zip([&mut *metered, &mut *plain]) {
            let bare = bare.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
            let mut run = bare.start(LOOK, &rig.ports)?;
            for step in 0..warm_up + steps {
                rig.tick();
                let now = rig.now();
                let begun = Begun::now(allocations);
                let ended = run.poll(now)?;
                let at = Instant::now();
                if step >= warm_up {
                    meter.end(begun, at);
                }
                anyhow::ensure!(!ended, "the bare skill ended");
            }
        }
        called(
            &mut sidecar,
            &mut rig,
            warm_up,
            &mut Meter::new(allocations, 0),
        )?;
        called(&mut sidecar, &mut rig, steps, beside)?;
    }
    drop(sidecar);
    let [hosted, metered, plain, beside] = meters;
    let note = format!("{OBJECTS} objects and the robot's state in, one answer out");
    let mut hosted = hosted
        .row("skill call")
        .noted(format!("{note}; granted, metered, recorded"));
    let metered = metered
        .row("skill call, bare wasmtime, metered")
        .noted("the same machine code as a plugin's");
    let plain = plain
        .row("skill call, bare wasmtime")
        .noted("no fuel, no epochs");
    let mut beside = beside
        .row("skill call, sidecar")
        .noted("tonic over a Unix socket, one connection");
    for to in [&metered, &plain] {
        compare(&mut hosted, to);
    }
    compare(&mut beside, &hosted);
    let times = |a: u64, b: u64| a as f64 / b.max(1) as f64;
    let figures = vec![
        Figure::at_least(
            "skill call, times as fast as the sidecar's, p50",
            "x",
            times(beside.p50_ns, hosted.p50_ns),
            20.0,
        ),
        Figure::at_least(
            "skill call, times as fast as the sidecar's, p99",
            "x",
            times(beside.p99_ns, hosted.p99_ns),
            50.0,
        ),
        Figure::at_most(
            "skill call, times as long as in bare wasmtime, p50",
            "x",
            times(hosted.p50_ns, plain.p50_ns),
            1.3,
        ),
    ];
    Ok(Part {
        rows: vec![hosted, metered, plain, beside],
        figures,
    })
}

fn is_nearest(said: &[RunEvent]) -> bool {
    matches!(said, [RunEvent::Step { object_id: Some(id), .. }] if *id == NEAREST)
}

/// Calls the sidecar that often.
fn called(
    sidecar: &mut Sidecar,
    rig: &mut Rig,
    times: u32,
    meter: &mut Meter,
) -> anyhow::Result<()> {
    let (world, mailbox) = (rig.ports.world.clone(), rig.ports.robot.mailbox.clone());
    let allocations = meter.allocations;
    let begun = Cell::new(Begun::now(allocations));
    let mut wrong = None;
    let ask = || {
        rig.tick();
        begun.set(Begun::now(allocations));
        observation(&world, &mailbox)
    };
    sidecar.look(times, ask, |answer| {
        meter.end(begun.get(), Instant::now());
        if answer.object_id != NEAREST {
            wrong = Some(answer.clone());
        }
    })?;
    anyhow::ensure!(wrong.is_none(), "the sidecar answered {wrong:?}");
    Ok(())
}

pub(super) fn ready(
    what: &PluginBench<'_>,
    config: &Config,
    allocations: Allocations,
) -> anyhow::Result<Part> {
    let (rounds, steps) = if what.quick {
        (2, 5)
    } else {
        (ROUNDS, CALL_STEPS)
    };
    let mut rig = Rig::new(config, Limits::default())?;
    let plugin = rig.load(what)?;
    let bare = BareSkill::compile(&what.guest.bytes, BareCode::Plain)?;
    let mut meters = [(); 2].map(|()| Calls::new(allocations));
    for _ in 0..rounds {
        for times in [0, CALLS] {
            let params = format!(r#"{{"act":"call","times":{times}}}"#);
            let mut run: Run = rig.start(&plugin, &params)?;
            let mut alone = bare.start(&params, &rig.ports)?;
            for step in 0..steps + 5 {
                rig.tick();
                let now = rig.now();
                let [hosted, plain] = &mut meters;
                let ended = hosted.step(times, step >= 5, || run.poll(now));
                anyhow::ensure!(ended.is_none(), "the skill ended: {ended:?}");
                let ended = plain.step(times, step >= 5, || alone.poll(now))?;
                anyhow::ensure!(!ended, "the bare skill ended");
            }
        }
    }
    let [hosted, plain] = meters;
    let note = format!(
        "`clock.sleep(0)` {CALLS} times in a step, less a step without, divided by {CALLS}"
    );
    let mut hosted = hosted
        .row("host call that is ready")
        .noted(format!("{note}; granted, metered, recorded"));
    let plain = plain
        .row("host call that is ready, bare wasmtime")
        .noted("no fuel, no epochs");
    compare(&mut hosted, &plain);
    let over = hosted.p50_ns as f64 - plain.p50_ns as f64;
    let figures = vec![Figure::at_most(
        "host call that is ready, over bare wasmtime's, p50",
        "µs",
        over / 1e3,
        1.0,
    )];
    Ok(Part {
        rows: vec![hosted, plain],
        figures,
    })
}

/// Steps with many calls, and steps with none.
struct Calls {
    allocations: Allocations,
    without: Vec<Duration>,
    with: Vec<Duration>,
    allocated: u64,
}

impl Calls {
    fn new(allocations: Allocations) -> Self {
        Self {
            allocations,
            without: Vec::new(),
            with: Vec::new(),
            allocated: 0,
        }
    }

    fn step<T>(&mut self, times: u32, is_measured: bool, poll: impl FnOnce() -> T) -> T {
        let before = (self.allocations)();
        let start = Instant::now();
        let result = poll();
        let took = start.elapsed();
        let allocated = (self.allocations)() - before;
        match (is_measured, times) {
            (false, _) => {}
            (true, 0) => self.without.push(took),
            (true, _) => {
                self.with.push(took);
                self.allocated += allocated;
            }
        }
        result
    }

    /// One call's share of each step with calls, less a step without any.
    fn row(mut self, name: &str) -> Row {
        self.without.sort();
        let without = (self.without.get(self.without.len() / 2)).copied();
        let without = without.unwrap_or_default();
        let calls = self.with.len() as f64 * f64::from(CALLS);
        let each = (self.with.into_iter())
            .map(|took| took.saturating_sub(without) / CALLS)
            .collect();
        crate::bench::row(name, each, self.allocated as f64 / calls.max(1.0))
    }
}
