//! Benchmarks: how fast, and by what ratio, measured here and now.

mod kitting;
mod plugin;
mod safety;

pub use plugin::{PluginBench, plugin};
pub use safety::safety;
pub use sinew_bench_sidecar::serve as serve_sidecar;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytemuck::Zeroable;
use serde::Serialize;
use sinew_audit::{Entry, Stamp};
use sinew_control::ControlLoop;
use sinew_hardware::{HardwareComponent, HardwareFault, RgbdFrame};
use sinew_inference::{Choice, choose};
use sinew_messages::{
    ArmGoal, ArmGoalKind, DriveStatus, JOINTS, JointVector, LimitKind, LoopStatus, Mailbox,
    ObstacleFrame, Pose, SafetyInputs, SensorFrame, StopCategory, StopState,
};
use sinew_safety::{Gate, SafeCommand};
use sinew_sim::Cell;
use sinew_units::TICK_NS;

use crate::assets;
use crate::audit::{AUDIT_FILE, open_audit};
use crate::sources::{Config, Sources};
use crate::trouble::input;

/// One measured thing.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What.
    pub name: String,
    /// Samples.
    pub n: usize,
    /// Median.
    pub p50_ns: u64,
    /// 99 of 100 take at most this long.
    pub p99_ns: u64,
    /// 999 of 1000 take at most this long.
    pub p999_ns: u64,
    /// Allocations a sample, on the thread that measures.
    pub allocs_per_op: f64,
    /// How many times as long as other rows' medians this one's is.
    pub ratio: BTreeMap<String, f64>,
    /// What one has to know to read the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Row {
    fn noted(self, note: impl Into<String>) -> Self {
        Self {
            note: Some(note.into()),
            ..self
        }
    }
}

/// What it is meant to come to, and what it came to here.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What.
    pub name: String,
    /// Unit of the numbers.
    pub unit: &'static str,
    /// What it came to.
    pub measured: f64,
    /// What it is meant to come to at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// What it is meant to come to at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// Whether it did.
    pub met: bool,
}

impl Figure {
    fn at_least(name: &str, unit: &'static str, measured: f64, least: f64) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            measured,
            at_least: Some(least),
            at_most: None,
            met: measured >= least,
        }
    }

    fn at_most(name: &str, unit: &'static str, measured: f64, most: f64) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            measured,
            at_least: None,
            at_most: Some(most),
            met: measured <= most,
        }
    }

    fn to_text(&self) -> String {
        let Self {
            name,
            unit,
            measured,
            ..
        } = self;
        let meant = match (self.at_least, self.at_most) {
            (Some(least), _) => format!("at least {least}"),
            (_, Some(most)) => format!("at most {most}"),
            _ => String::new(),
        };
        let word = if self.met { "met" } else { "MISSED" };
        format!("{word:<7} {name}: {measured:.3} {unit}, meant to be {meant}")
    }
}

/// Rows of one benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct Bench {
    /// The rows.
    pub rows: Vec<Row>,
    /// What is promised of it. A figure that is missed is no error: it is a figure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
}

impl Bench {
    /// The rows as a person reads them.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![format!(
            "{:<28} {:>6} {:>12} {:>12} {:>12} {:>9}",
            "", "n", "p50", "p99", "p99.9", "allocs"
        )];
        for row in &self.rows {
            let time = |ns: u64| format!("{:.1} µs", ns as f64 / 1e3);
            let ratios: Vec<String> = row
                .ratio
                .iter()
                .map(|(to, ratio)| format!("{ratio:.2}x {to}"))
                .collect();
            lines.push(format!(
                "{:<28} {:>6} {:>12} {:>12} {:>12} {:>9.2}  {}",
                row.name,
                row.n,
                time(row.p50_ns),
                time(row.p99_ns),
                time(row.p999_ns),
                row.allocs_per_op,
                ratios.join(", ")
            ));
            lines.extend(row.note.as_ref().map(|note| format!("    {note}")));
        }
        if !self.figures.is_empty() {
            lines.push(String::new());
            lines.extend(self.figures.iter().map(Figure::to_text));
        }
        lines.join("\n")
    }
}

/// How often the calling thread has allocated so far; whoever owns the allocator counts.
pub type Allocations = fn() -> u64;

/// Takes samples of one thing: time, and allocations.
struct Meter {
    allocations: Allocations,
    allocated: u64,
    samples: Vec<Duration>,
}

impl Meter {
    fn new(allocations: Allocations, samples: usize) -> Self {
        Self {
            allocations,
            allocated: 0,
            samples: Vec::with_capacity(samples),
        }
    }

    fn sample<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let before = (self.allocations)();
        let start = Instant::now();
        let result = black_box(what());
        self.samples.push(start.elapsed());
        self.allocated += (self.allocations)() - before;
        result
    }

    /// A sample that began there and ended at `at`, where no closure can hold it.
    fn end(&mut self, begun: Begun, at: Instant) {
        self.samples.push(at.saturating_duration_since(begun.at));
        self.allocated += (self.allocations)() - begun.allocated;
    }

    /// As [`Self::sample`], in processor time of the calling thread.
    fn sample_processor<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let before = (self.allocations)();
        let start = thread_ns();
        let result = black_box(what());
        let spent = thread_ns().saturating_sub(start);
        self.samples.push(Duration::from_nanos(spent));
        self.allocated += (self.allocations)() - before;
        result
    }

    fn row(self, name: &str) -> Row {
        let allocs_per_op = self.allocated as f64 / self.samples.len().max(1) as f64;
        row(name, self.samples, allocs_per_op)
    }
}

/// A sample that has begun.
#[derive(Clone, Copy)]
struct Begun {
    allocated: u64,
    at: Instant,
}

impl Begun {
    fn now(allocations: Allocations) -> Self {
        Self {
            allocated: allocations(),
            at: Instant::now(),
        }
    }
}

fn row(name: &str, mut samples: Vec<Duration>, allocs_per_op: f64) -> Row {
    samples.sort();
    let at = |share: f64| {
        let rank = (share * samples.len() as f64).ceil() as usize;
        let sample = samples.get(rank.saturating_sub(1)).copied();
        sample.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    };
    Row {
        name: name.to_owned(),
        n: samples.len(),
        p50_ns: at(0.5),
        p99_ns: at(0.99),
        p999_ns: at(0.999),
        allocs_per_op,
        ratio: BTreeMap::new(),
        note: None,
    }
}

fn compare(row: &mut Row, to: &Row) {
    if to.p50_ns > 0 {
        let ratio = row.p50_ns as f64 / to.p50_ns as f64;
        row.ratio.insert(to.name.clone(), ratio);
    }
}

/// Ticks measured.
const TICKS: usize = 20_000;
/// Audit records measured.
const AUDIT_RECORDS: usize = 200;
/// A new goal comes this often: sooner than the move takes, so that the arm is always moving.
const MOVE_TICKS: usize = 400;

/// One control tick on a robot that does exactly what it is told, and on the simulated one; and what it takes to keep a
/// record of a stop.
///
/// # Errors
/// If the configuration can't be used.
pub fn tick(sources: &Sources, allocations: Allocations) -> anyhow::Result<Bench> {
    let config = sources.load()?;
    let home = *config
        .robot
        .pose("home")
        .ok_or_else(|| input("the robot has no pose `home`"))?;
    let perfect = |position_rad| {
        Box::new(Perfect {
            position_rad,
            velocity_rad_s: [0.0; JOINTS],
            gripper_width_m: 0.04,
            powered: false,
        })
    };
    let measured = |robot, between, name| {
        ticks(
            &config,
            robot,
            between,
            Meter::new(allocations, TICKS),
            name,
        )
    };
    let still = measured(perfect(home), None, "tick, holding")?;
    let other = config
        .robot
        .poses
        .iter()
        .find(|pose| pose.name != "home")
        .map_or(home, |pose| pose.joints_rad);
    let mut moving = measured(perfect(home), Some([home, other]), "tick, moving")?;
    compare(&mut moving, &still);
    let cell = Cell::new(&config.robot, &config.cell);
    let mut simulated = measured(
        Box::new(cell.robot()),
        Some([home, other]),
        "tick, moving, with physics",
    )?;
    compare(&mut simulated, &moving);
    Ok(Bench {
        rows: vec![still, moving, simulated, audited(allocations)?],
        figures: Vec::new(),
    })
}

/// One record of the audit log, from whoever hands it over until it is safely on the disk. Beside the tick.
fn audited(allocations: Allocations) -> anyhow::Result<Row> {
    let folder = tempfile::tempdir().context("a folder for the audit log")?;
    let log = open_audit(&folder.path().join(AUDIT_FILE))?;
    let mut meter = Meter::new(allocations, AUDIT_RECORDS);
    for request in 0..AUDIT_RECORDS as u64 {
        meter.sample(|| {
            log.append(
                Stamp::default(),
                Some("sinew bench"),
                Entry::ResetGranted { request },
            );
            log.flush()
        })?;
    }
    Ok(meter.row("audit record, until it is on the disk"))
}

fn ticks(
    config: &Config,
    robot: Box<dyn HardwareComponent>,
    between: Option<[JointVector; 2]>,
    mut meter: Meter,
    name: &str,
) -> anyhow::Result<Row> {
    let mailbox = Arc::new(Mailbox::default());
    let (producer, mut ring) = sinew_flight_ring::ring(64);
    let chain = config.robot.chain();
    let (events, mut trail) = sinew_flight_ring::trail();
    let mut control = ControlLoop::new(
        robot,
        Gate::new(config.safety.clone(), chain.clone()),
        chain,
        config.motion.clone(),
        Arc::clone(&mailbox),
        producer,
    )
    .with_trail(events);
    control.tick();
    while trail.pop().is_some() {
        trail.acknowledge(1);
    }
    mailbox.requests.reset();
    for n in 0..TICKS {
        if let Some(goals) = between
            && n % MOVE_TICKS == 100
        {
            let id = n as u64 + 1;
            mailbox.arm.write(&ArmGoal {
                id,
                lease_end_tick: u64::MAX,
                kind: ArmGoalKind::Joint as u32,
                reserved: 0,
                joints_rad: goals[(n / MOVE_TICKS + 1) % 2],
                pose: Pose::IDENTITY,
                speed_scale: 1.0,
                acceleration_scale: 1.0,
                contact_force_n: 0.0,
            });
        }
        mailbox.requests.beat(control.last_tick());
        meter.sample(|| control.tick());
        while ring.pop().is_some() {}
    }
    let status = mailbox.status.latest().unwrap_or(LoopStatus::zeroed());
    if status.stop_state != StopState::Clear as u32 {
        let reason = LimitKind::decode(status.reason).map_or("unknown", LimitKind::name);
        anyhow::bail!("{name}: a stop was latched ({reason}), so nothing was measured");
    }
    Ok(meter.row(name))
}

/// Nanoseconds of processor time that the calling thread has used.
fn thread_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Images looked at by each backend.
const LOOKS: usize = 60;

/// The detector on each backend that this machine has, on an image of the cell.
///
/// # Errors
/// If configuration or model can't be used.
pub fn inference(sources: &Sources, allocations: Allocations) -> anyhow::Result<Bench> {
    let config = sources.load()?;
    let sampler = sinew_sim::camera::dataset::Sampler::new(config.cell, config.robot);
    let frame: RgbdFrame = sampler
        .sample(1, 0)
        .into_iter()
        .next()
        .ok_or_else(|| input("the cell has no camera"))?
        .frame;
    let render = {
        let mut meter = Meter::new(allocations, LOOKS);
        for index in 0..LOOKS as u64 {
            let scene = Arc::new(sampler.scene(1, index));
            meter.sample(|| sampler.frames(&scene, 1, index));
        }
        meter.row("render, all cameras")
    };
    let mut rows = vec![render];
    for (name, choice) in [
        ("detector, onnxruntime", Choice::OnnxRuntime(None)),
        ("detector, embedded", Choice::Embedded),
    ] {
        let Ok(selection) = choose(&choice) else {
            continue;
        };
        let (detector, _) = assets::detector(sources.models.as_deref(), &*selection.backend)?;
        let mut meter = Meter::new(allocations, LOOKS);
        for _ in 0..LOOKS {
            meter.sample(|| detector.detect(&frame))?;
        }
        let mut measured = meter.row(name);
        for before in &rows {
            compare(&mut measured, before);
        }
        rows.push(measured);
    }
    Ok(Bench {
        rows,
        figures: Vec::new(),
    })
}

/// A robot without inertia: it is where it was told to be.
struct Perfect {
    position_rad: JointVector,
    velocity_rad_s: JointVector,
    gripper_width_m: f64,
    powered: bool,
}

impl HardwareComponent for Perfect {
    fn read(&mut self, tick: u64, out: &mut SensorFrame) -> Result<(), HardwareFault> {
        *out = SensorFrame::zeroed();
        out.tick = tick;
        out.time_ns = tick * TICK_NS;
        out.position_rad = self.position_rad;
        out.velocity_rad_s = self.velocity_rad_s;
        out.gripper_width_m = self.gripper_width_m;
        out.drive_status = if self.powered {
            DriveStatus::POWERED
        } else {
            0
        };
        out.safety_inputs = SafetyInputs::ALL_CLOSED;
        Ok(())
    }

    /// A scanner that sees nobody.
    fn read_obstacles(&mut self, tick: u64, out: &mut ObstacleFrame) {
        out.seen_tick = tick;
    }

    fn write(&mut self, command: SafeCommand) -> Result<(), HardwareFault> {
        self.position_rad = command.setpoint().position_rad;
        self.velocity_rad_s = command.setpoint().velocity_rad_s;
        self.gripper_width_m = command.setpoint().gripper_width_m;
        Ok(())
    }

    fn stop(&mut self, category: StopCategory) {
        self.powered &= category == StopCategory::ControlledHold;
    }

    fn power_on(&mut self) -> Result<(), HardwareFault> {
        self.powered = true;
        Ok(())
    }

    fn watchdog_ticks(&self) -> u64 {
        10
    }

    fn mechanical_limits(&self) -> (JointVector, JointVector) {
        ([-7.0; 7], [7.0; 7])
    }
}
