//! How fast the physics steps on one core: `cargo run --release -p sinew-sim --example steps_per_second`.

use std::time::Instant;

use sinew_description::RobotDescription;
use sinew_hardware::HardwareComponent;
use sinew_messages::SensorFrame;
use sinew_sim::{Cell, CellConfig, Profile};

/// Milliseconds simulated per cycle.
const TICKS: u64 = 20_000;

fn main() {
    let cell = Cell::new(&RobotDescription::builtin(), &CellConfig::builtin());
    let mut robot = cell.robot();
    for cycle in 0..3 {
        let start = Instant::now();
        cell.reset(1, cycle, &Profile::calm());
        let reset_ms = start.elapsed().as_secs_f64() * 1_000.0;
        let mut frame: SensorFrame = bytemuck::Zeroable::zeroed();
        let start = Instant::now();
        for tick in 0..=TICKS {
            if let Err(fault) = robot.read(tick, &mut frame) {
                println!("stopped at tick {tick}: {fault}");
                return;
            }
        }
        let rate = TICKS as f64 / start.elapsed().as_secs_f64();
        println!(
            "cycle {cycle}: {rate:.0} steps/s, {:.1}x real time; reset {reset_ms:.0} ms; state {:016x}",
            rate / 1_000.0,
            cell.state_hash()
        );
    }
}
