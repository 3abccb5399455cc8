//! One undisturbed kitting cycle on the simulated cell, to be stepped by whoever measures.

use sinew_messages::LoopStatus;
use sinew_tasks::TaskId;
use sinew_units::Ticks;

use crate::host::{Host, HostOptions, Speed, Surroundings};
use crate::job::KIT_PARTS;
use crate::kit::Kit;
use crate::trouble::input;

/// Longest cycle, ticks.
pub(super) const TICKS_MAX: u64 = 60_000;

/// A cycle that is going on.
pub(super) struct Kitting {
    host: Host,
    task: TaskId,
}

impl Kitting {
    /// What is asked for is drawn by `seed`.
    pub(super) fn new(kit: &Kit, seed: u64) -> anyhow::Result<Self> {
        let cell = sinew_sim::Cell::new(&kit.config.robot, &kit.config.cell);
        let profile =
            (kit.config.profiles.get("calm")).map_err(|error| input(error.to_string()))?;
        let scene = cell.reset(seed, 0, profile);
        let lines: Vec<_> = (scene.order.iter())
            .map(|line| {
                serde_json::json!({"class": line.class, "color": line.color, "slot": line.slot})
            })
            .collect();
        let mut host = Host::new(
            kit,
            Surroundings::of(&cell),
            &HostOptions {
                speed: Speed::Max,
                incidents: std::env::temp_dir(),
                keep_runs: false,
                audit: None,
            },
        )?;
        host.reset("sinew bench")?;
        let task = host
            .tasks()
            .submit(
                KIT_PARTS,
                &serde_json::json!({ "order": lines }).to_string(),
                sinew_tasks::SubmitOptions {
                    recovery: false,
                    time_limit: Some(Ticks(TICKS_MAX)),
                    seed,
                },
            )
            .map_err(|error| input(error.to_string()))?;
        Ok(Self { host, task })
    }

    pub(super) fn step(&mut self) -> anyhow::Result<()> {
        self.host.step()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.host.tasks().end(self.task).is_some()
    }

    pub(super) fn status(&self) -> &LoopStatus {
        self.host.status()
    }
}
