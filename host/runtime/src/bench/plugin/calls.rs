//! Calls: what a skill is handed in a step, and calls from it that need not wait.
//!
//! "The same call" three times: a skill that waits for the world is handed what is seen and the robot's state, and answers with
//! the object that it would take. Nothing is seen in one kind of call: what is handed over is the robot's state, 22 numbers. In
//! the other one there are ten objects, each with 20 numbers and three names: a string is memory that the guest gives out and
//! takes back, on every side, and they are most of what that call costs. In the host that is one `Run::poll`, as the task engine does it in every
//! step, with every call granted, metered and recorded; the answer is taken out of the run's events. It is no call of an
//! export because a skill has only one, `run`, which goes on for as long as the task; a step of it is a return from one
//! wait up to the next. In bare wasmtime it is the same component, the same fiber and the same content, and nothing else.
//! The sidecar is sent the same content in one message and answers with the same. Each makes what it hands over from the same
//! snapshot, within what is measured.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sinew_bench_sidecar::Sidecar;
use sinew_plugin_host::bare::{BareCode, BareSkill};
use sinew_plugin_host::{HostError, Limits, Plugin, Run, RunEvent};

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
    let mut rig = Rig::new(config, Limits::default())?;
    let plugin = rig.load(what)?;
    let bare = [BareCode::Metered, BareCode::Plain]
        .map(|code| BareSkill::compile(&what.guest.bytes, code));
    let mut sidecar = Sidecar::start(what.sidecar).context("starting the sidecar")?;
    let mut all = Part::default();
    for (call, objects, nearest, handed) in [
        (
            "skill call",
            0,
            0,
            "the robot's state in, one answer out".to_owned(),
        ),
        (
            "skill call with objects",
            OBJECTS,
            NEAREST,
            format!("{OBJECTS} objects with their names and the robot's state in, one answer out"),
        ),
    ] {
        rig.see(objects);
        let mut calls = Steps {
            rig: &mut rig,
            plugin: &plugin,
            bare: &bare,
            sidecar: &mut sidecar,
            nearest,
        };
        let meters = calls.measure(what.quick, allocations)?;
        let part = part_of(call, &handed, meters);
        all.rows.extend(part.rows);
        all.figures.extend(part.figures);
    }
    Ok(all)
}

/// The same steps four times.
struct Steps<'a> {
    rig: &'a mut Rig,
    plugin: &'a Arc<Plugin>,
    bare: &'a [Result<BareSkill, HostError>; 2],
    sidecar: &'a mut Sidecar,
    /// What they have to answer.
    nearest: u64,
}

impl Steps<'_> {
    /// In the host, in bare wasmtime with and without meters, and in the sidecar.
    fn measure(&mut self, quick: bool, allocations: Allocations) -> anyhow::Result<[Meter; 4]> {
        let (rounds, steps, warm_up) = if quick {
            (2, 50, 10)
        } else {
            (ROUNDS, STEPS, WARM_UP)
        };
        let samples = (rounds * steps) as usize;
        let mut meters = [(); 4].map(|()| Meter::new(allocations, samples));
        let [hosted, metered, plain, beside] = &mut meters;
        // In turns: what the machine does meanwhile meets all of them.
        for _ in 0..rounds {
            let mut run = self.rig.start(self.plugin, LOOK)?;
            for step in 0..warm_up + steps {
                self.rig.tick();
                let now = self.rig.now();
                let begun = Begun::now(allocations);
                let end = run.poll(now);
                let said = run.take_events();
                let at = Instant::now();
                if step >= warm_up {
                    hosted.end(begun, at);
                }
                anyhow::ensure!(end.is_none(), "the skill ended: {end:?}");
                let is_right = matches!(
                    said[..],
                    [RunEvent::Step { object_id: Some(id), .. }] if id == self.nearest
                );
                anyhow::ensure!(is_right, "the skill answered {said:?}");
            }
            for (bare, meter) in self.bare.iter().zip([&mut *metered, &mut *plain]) {
                let bare = bare.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
                let mut run = bare.start(LOOK, &self.rig.ports)?;
                for step in 0..warm_up + steps {
                    self.rig.tick();
                    let now = self.rig.now();
                    let begun = Begun::now(allocations);
                    let ended = run.poll(now)?;
                    let at = Instant::now();
                    if step >= warm_up {
                        meter.end(begun, at);
                    }
                    anyhow::ensure!(!ended, "the bare skill ended");
                    let said = run.said();
                    anyhow::ensure!(said == self.nearest, "the bare skill answered {said}");
                }
            }
            self.call_sidecar(warm_up, &mut Meter::new(allocations, 0))?;
            self.call_sidecar(steps, beside)?;
        }
        Ok(meters)
    }

    /// Calls the sidecar that often.
    fn call_sidecar(&mut self, times: u32, meter: &mut Meter) -> anyhow::Result<()> {
        let (world, mailbox) = (
            self.rig.ports.world.clone(),
            self.rig.ports.robot.mailbox.clone(),
        );
        let allocations = meter.allocations;
        let begun = Cell::new(Begun::now(allocations));
        let mut wrong = None;
        let ask = || {
            self.rig.tick();
            begun.set(Begun::now(allocations));
            observation(&world, &mailbox)
        };
        self.sidecar.look(times, ask, |answer| {
            meter.end(begun.get(), Instant::now());
            if answer.object_id != self.nearest {
                wrong = Some(answer.clone());
            }
        })?;
        anyhow::ensure!(wrong.is_none(), "the sidecar answered {wrong:?}");
        Ok(())
    }
}

/// Rows and figures of one kind of call.
fn part_of(call: &str, handed: &str, meters: [Meter; 4]) -> Part {
    let [hosted, metered, plain, beside] = meters;
    let mut hosted = hosted
        .row(call)
        .noted(format!("{handed}; granted, metered, recorded"));
    let metered = metered
        .row(&format!("{call}, bare wasmtime, metered"))
        .noted("the same machine code as a plugin's");
    let plain = plain
        .row(&format!("{call}, bare wasmtime"))
        .noted("no fuel, no epochs");
    let mut beside = beside
        .row(&format!("{call}, sidecar"))
        .noted("tonic over a Unix socket, one connection");
    for to in [&metered, &plain] {
        compare(&mut hosted, to);
    }
    compare(&mut beside, &hosted);
    let times = |a: u64, b: u64| a as f64 / b.max(1) as f64;
    let figures = vec![
        Figure::at_least(
            &format!("{call}, times as fast as the sidecar's, p50"),
            "x",
            times(beside.p50_ns, hosted.p50_ns),
            20.0,
        ),
        Figure::at_least(
            &format!("{call}, times as fast as the sidecar's, p99"),
            "x",
            times(beside.p99_ns, hosted.p99_ns),
            50.0,
        ),
        Figure::at_most(
            &format!("{call}, times as long as in bare wasmtime, p50"),
            "x",
            times(hosted.p50_ns, plain.p50_ns),
            1.3,
        ),
    ];
    Part {
        rows: vec![hosted, metered, plain, beside],
        figures,
    }
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
