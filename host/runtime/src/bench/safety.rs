//! What the gate costs: its filter alone, in processor time, on what it is asked while parts are kitted.

use bytemuck::Zeroable;
use sinew_kinematics::{Aabb, Chain, Cylinder, Point};
use sinew_messages::{
    JointVector, Obstacle, ObstacleFrame, ObstacleKind, RequestCounts, SensorFrame, Setpoint,
};
use sinew_safety::{Gate, Inputs, SafetyConfig, SafetyLimits, SeparationConfig, Zone, ZoneShape};

use super::kitting::{Kitting, TICKS_MAX as RECORDING};
use super::{Allocations, Bench, Meter, Row, compare};
use crate::kit::{Kit, PluginFile};
use crate::sources::Sources;
use crate::trouble::input;

/// Obstacles that a scanner reports all the time.
const OBSTACLES: u64 = 20;
/// Room that the zones of a bench leave to every posture of the recording, m.
const ROOM_M: f64 = 0.05;
/// Ticks of the adversary.
const ADVERSARY: u64 = 60_000;

/// What the gate was asked in one tick.
struct Asked {
    frame: SensorFrame,
    proposed: Setpoint,
}

/// Measures the filter on a recorded kitting cycle among 10 and 1000 zones, and on the adversary.
///
/// # Errors
/// If the configuration can't be used, or the cycle can't be run.
pub fn safety(
    sources: &Sources,
    plugins: &[PluginFile],
    allocations: Allocations,
) -> anyhow::Result<Bench> {
    let kit = Kit::load(sources, plugins)?;
    let recording = record(&kit)?;
    let chain = kit.config.robot.chain();
    let base = kit.config.safety.config();
    let bare = SafetyConfig {
        zones: Vec::new(),
        separation: None,
        ..base.clone()
    };
    let mut rows: Vec<Row> = Vec::new();
    for (name, config) in [
        ("filter, kitting, no zones", bare.clone()),
        (
            "filter, kitting, 10 zones",
            among(&bare, &base.zones, 10, &chain, &recording),
        ),
        (
            "filter, kitting, 10 zones, 20 obstacles",
            watched(among(&bare, &base.zones, 10, &chain, &recording)),
        ),
        (
            "filter, kitting, 1000 zones",
            among(&bare, &base.zones, 1_000, &chain, &recording),
        ),
    ] {
        let meter = Meter::new(allocations, recording.len());
        let mut row = replay(config, &chain, &recording, meter, name)?;
        for to in &rows {
            compare(&mut row, to);
        }
        rows.push(row);
    }
    let mut meter = Meter::new(allocations, ADVERSARY as usize);
    for seed in 1..=3 {
        sinew_adversary::run_measured(&chain, base, seed, ADVERSARY / 3, &mut |filter| {
            meter.sample_processor(filter);
        });
    }
    let mut row = meter.row("filter, adversary, zones and persons as drawn");
    compare(&mut row, &rows[2]);
    rows.push(row);
    Ok(Bench {
        rows,
        figures: Vec::new(),
    })
}

/// One kitting cycle, tick by tick. The gate limits nothing there, so what was given is what was asked.
fn record(kit: &Kit) -> anyhow::Result<Vec<Asked>> {
    let mut kitting = Kitting::new(kit, 1)?;
    let mut recording = Vec::with_capacity(RECORDING as usize);
    while !kitting.has_ended() && (recording.len() as u64) < RECORDING {
        kitting.step()?;
        let status = kitting.status();
        recording.push(Asked {
            frame: status.frame,
            proposed: status.setpoint,
        });
    }
    Ok(recording)
}

/// The zones of the cell, and others where the arm does not come while it kits, up to `count`.
fn among(
    bare: &SafetyConfig,
    cell: &[Zone],
    count: usize,
    chain: &Chain,
    recording: &[Asked],
) -> SafetyConfig {
    let postures: Vec<JointVector> = recording
        .iter()
        .step_by(200)
        .map(|asked| asked.proposed.position_rad)
        .collect();
    let arm: Vec<_> = postures
        .iter()
        .flat_map(|q| {
            let forward = chain.forward(q);
            (chain.place_capsules(&forward))
                .filter(|capsule| capsule.link > 0)
                .collect::<Vec<_>>()
        })
        .collect();
    let mut zones: Vec<Zone> = cell.iter().take(count).cloned().collect();
    // A low-discrepancy sequence: the same zones every time, spread evenly.
    let share = |n: usize, base: f64| (0.5 + n as f64 * base).fract();
    let mut n = 0;
    while zones.len() < count && n < 200_000 {
        n += 1;
        let at = Point::new(
            -0.9 + 1.9 * share(n, 0.819_172_513_396_164_4),
            -1.1 + 2.2 * share(n, 0.671_043_606_703_789_2),
            1.3 * share(n, 0.549_700_477_901_097_1),
        );
        let size = 0.02 + 0.06 * share(n, 0.450_331_6);
        let shape = if n.is_multiple_of(2) {
            ZoneShape::Box(Aabb {
                min: at,
                max: at + nalgebra::Vector3::repeat(size),
            })
        } else {
            ZoneShape::Cylinder(Cylinder {
                base: at,
                radius_m: 0.5 * size,
                height_m: size,
            })
        };
        if arm.iter().all(|capsule| shape.clearance(capsule) > ROOM_M) {
            zones.push(Zone {
                name: format!("bench-{n}"),
                shape,
                speed_max_m_s: None,
            });
        }
    }
    SafetyConfig {
        zones,
        ..bare.clone()
    }
}

fn watched(config: SafetyConfig) -> SafetyConfig {
    SafetyConfig {
        separation: Some(SeparationConfig {
            approach_speed_m_s: 1.6,
            intrusion_m: 0.1,
            robot_uncertainty_m: config.tracking_margin_m,
            silent_ticks: 100,
        }),
        ..config
    }
}

/// People all around, far enough not to be in the way.
fn crowd(tick: u64) -> ObstacleFrame {
    let mut frame = ObstacleFrame {
        seen_tick: tick,
        count: OBSTACLES,
        ..ObstacleFrame::zeroed()
    };
    for (n, obstacle) in (0..OBSTACLES).zip(&mut frame.obstacles) {
        let (sin, cos) = (n as f64 * core::f64::consts::TAU / OBSTACLES as f64).sin_cos();
        *obstacle = Obstacle {
            kind: ObstacleKind::Column as u32,
            reserved: 0,
            position_m: [2.6 * cos, 2.6 * sin, 0.0],
            radius_m: 0.25,
            uncertainty_m: 0.05,
            age_ticks: tick % 40,
        };
    }
    frame
}

fn replay(
    config: SafetyConfig,
    chain: &Chain,
    recording: &[Asked],
    mut meter: Meter,
    name: &str,
) -> anyhow::Result<Row> {
    let limits = SafetyLimits::new(config).map_err(|error| input(error.to_string()))?;
    let mut gate = Gate::new(limits, chain.clone());
    let mut requests = RequestCounts::default();
    let mut limited = 0;
    for asked in recording {
        let obstacles = crowd(asked.frame.tick);
        let inputs = Inputs {
            frame: &asked.frame,
            obstacles: &obstacles,
            requests: &requests,
            proposed: &asked.proposed,
            stale: None,
        };
        meter.sample_processor(|| gate.filter(&inputs));
        limited = gate.status().limited_total;
        requests.reset = 1;
    }
    anyhow::ensure!(
        limited * 20 < recording.len() as u64,
        "{name}: {limited} of {} ticks were limited, so this is not what kitting costs",
        recording.len()
    );
    Ok(meter.row(name))
}
