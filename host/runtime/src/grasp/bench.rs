//! One grasp episode: cell, loop, gate, runner and eyes, without plugins and tasks.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytemuck::Zeroable;
use sinew_control::ControlLoop;
use sinew_inference::Backend;
use sinew_messages::{ArmGoal, ArmGoalKind, LoopStatus, Mailbox, MotionState, StopState};
use sinew_policy::{
    GoalIds, PolicyEnd, PolicyOutcome, PolicyRunner, PolicyStore, RunnerConfig, StartError,
    tool_down,
};
use sinew_sim::{Cell, Profile};
use sinew_units::{Tick, Ticks};
use sinew_world::{WorldReader, WorldWriter, world};

use super::eyes::{Eyes, TruePart, true_parts};
use super::noise::Noise;
use crate::sources::Config;

/// Longest time to power up, and to reach the start.
const BOOT: Ticks = Ticks::from_ms(500);
const TRAVEL: Ticks = Ticks::from_ms(8_000);
/// Time for the eyes to settle before the policy starts.
const LOOK: Ticks = Ticks::from_ms(400);
/// Time that a grasp may take.
const TIMEOUT: Ticks = Ticks::from_ms(9_000);
/// The part must truly be this much higher at the end, m.
const LIFTED_M: f64 = 0.04;
/// The arm's lease while it travels.
const LEASE: Ticks = Ticks::from_ms(500);

/// Where the policy takes over, relative to the part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Takeover {
    /// Least and most height of the tool over the part's centre, m.
    pub(super) height_m: (f64, f64),
    /// Most distance across, m.
    pub(super) lateral_m: f64,
    /// Most error of the heading, rad.
    pub(super) yaw_rad: f64,
}

impl Takeover {
    /// What the policy promises to handle.
    pub(super) const PROMISED: Self = Self {
        height_m: (0.12, 0.18),
        lateral_m: 0.04,
        yaw_rad: 0.45,
    };
    /// A little more, for training.
    pub(super) const WIDE: Self = Self {
        height_m: (0.11, 0.19),
        lateral_m: 0.05,
        yaw_rad: 0.65,
    };
}

/// One episode's result.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    pub(super) seed: u64,
    pub(super) class: String,
    pub(super) outcome: PolicyOutcome,
    /// By the simulator's truth: the part that was asked for hangs in the gripper.
    pub(super) lifted: bool,
}

impl Episode {
    /// The runner says done and the part is up.
    pub(super) fn succeeded(&self) -> bool {
        self.outcome.end == PolicyEnd::Done && self.lifted
    }
}

/// What differs between demonstrations and evaluation.
pub(super) struct Setup<'a> {
    pub(super) config: &'a Config,
    pub(super) takeover: Takeover,
    pub(super) latency: Ticks,
}

/// Everything that one episode needs; made new for each.
pub(super) struct Bench {
    cell: Cell,
    control: ControlLoop,
    mailbox: Arc<Mailbox>,
    goal_ids: GoalIds,
    runner: PolicyRunner,
    world: WorldReader,
    eyes: Eyes,
    status: LoopStatus,
}

impl Bench {
    /// Resets the cell to cycle 0 of the seed without faults and puts a loop and a runner around it.
    pub(super) fn new(
        setup: &Setup<'_>,
        cell: &Cell,
        seed: u64,
        store: PolicyStore,
        backend: Arc<dyn Backend>,
        eyes: impl FnOnce(WorldWriter) -> anyhow::Result<Eyes>,
    ) -> anyhow::Result<Self> {
        cell.reset(seed, 0, &Profile::calm());
        let config = setup.config;
        let mailbox = Arc::new(Mailbox::default());
        let goal_ids = GoalIds::default();
        let places = cell.places().into_iter().map(crate::kit::place).collect();
        let (writer, world) = world(places);
        let runner = PolicyRunner::new(
            store,
            backend,
            world.clone(),
            Arc::clone(&mailbox),
            goal_ids.clone(),
            RunnerConfig {
                latency: setup.latency,
                ..RunnerConfig::default()
            },
        )?;
        // Nobody reads the ring here; a full one drops records and nothing else.
        let (producer, _) = sinew_flight_ring::ring(2);
        let control = config.control_loop(cell.robot(), &mailbox, producer);
        Ok(Self {
            cell: cell.clone(),
            control,
            mailbox,
            goal_ids,
            runner,
            world,
            eyes: eyes(writer)?,
            status: LoopStatus::zeroed(),
        })
    }

    fn now(&self) -> Tick {
        Tick(self.status.tick)
    }

    fn step(&mut self) {
        self.status = self.control.tick().status;
        let now = self.now();
        self.mailbox.requests.beat(now.0);
        self.eyes.step(now, &self.status);
        self.runner.step(now, &self.status);
    }

    fn step_for(&mut self, span: Ticks) {
        for _ in 0..span.0 {
            self.step();
        }
    }

    fn power_up(&mut self) -> anyhow::Result<()> {
        self.step_for(Ticks(10));
        self.mailbox.requests.reset();
        for _ in 0..BOOT.0 {
            self.step();
            if self.status.stop_state == StopState::Clear as u32 && self.status.reset_answered > 0 {
                return Ok(());
            }
        }
        bail!("the loop did not answer its first reset");
    }

    fn travel(&mut self, position_m: [f64; 3], yaw_rad: f64) -> anyhow::Result<()> {
        let mut goal = ArmGoal::zeroed();
        goal.id = self.goal_ids.next();
        goal.kind = ArmGoalKind::Pose as u32;
        goal.pose = tool_down(position_m, yaw_rad);
        goal.speed_scale = 1.0;
        goal.acceleration_scale = 1.0;
        let end = self.now() + TRAVEL;
        while self.now() < end {
            goal.lease_end_tick = (self.now() + LEASE).0;
            self.mailbox.arm.write(&goal);
            self.step();
            if self.status.arm_goal_id == goal.id {
                match MotionState::decode(self.status.arm_state) {
                    Some(MotionState::Done) => return Ok(()),
                    Some(state) if state.is_final() => {
                        bail!("the way to the start ended {state:?}")
                    }
                    _ => {}
                }
            }
        }
        bail!("the start was not reached in time");
    }

    /// Moves to the start, runs the policy, and grades it.
    pub(super) fn run(mut self, setup: &Setup<'_>, seed: u64) -> anyhow::Result<Episode> {
        let mut noise = Noise::new(seed, "takeover");
        let part = self.choose(seed, &mut noise)?;
        self.power_up()?;
        let at = part.heading.position_m;
        let angle = noise.uniform(0.0, std::f64::consts::TAU);
        // Uniform over the disc.
        let lateral = setup.takeover.lateral_m * noise.uniform(0.0, 1.0).sqrt();
        let height = noise.uniform(setup.takeover.height_m.0, setup.takeover.height_m.1);
        let position_m = [
            at[0] + lateral * angle.cos(),
            at[1] + lateral * angle.sin(),
            at[2] + height,
        ];
        let error = noise.uniform(-setup.takeover.yaw_rad, setup.takeover.yaw_rad);
        let yaw = natural_yaw(&part, at) + error;
        self.travel(position_m, yaw)
            .with_context(|| format!("seed {seed}: {} at {at:?}", part.class))?;
        self.step_for(LOOK);

        let before = self.true_height(&part)?;
        let outcome = match self.track_of(&part) {
            Some(object_id) => self
                .grasp(object_id)
                .with_context(|| format!("seed {seed}"))?,
            None => unseen(),
        };
        // A part that only just hangs there falls now.
        self.step_for(Ticks::from_ms(200));
        let lifted = self.true_height(&part)? - before >= LIFTED_M;
        Ok(Episode {
            seed,
            class: part.class,
            outcome,
            lifted,
        })
    }

    fn grasp(&mut self, object_id: u64) -> Result<PolicyOutcome, StartError> {
        // The runner was made for one policy.
        let policy = (self.runner.policies().next()).map_or_else(String::new, |m| m.name.clone());
        let run = self.runner.start(&policy, object_id, self.now(), TIMEOUT)?;
        loop {
            self.step();
            if let Some(outcome) = self.runner.outcome(run) {
                return Ok(outcome);
            }
        }
    }

    /// A part of the bin: classes take turns with the seeds.
    fn choose(&self, seed: u64, noise: &mut Noise) -> anyhow::Result<TruePart> {
        let bins: Vec<_> = self
            .world
            .places()
            .iter()
            .filter(|p| p.kind == "bin")
            .collect();
        let parts: Vec<_> = true_parts(&self.cell.scene())
            .into_iter()
            .filter(|part| bins.iter().any(|bin| bin.contains(part.heading.position_m)))
            .collect();
        let mut classes: Vec<&str> = parts.iter().map(|part| part.class.as_str()).collect();
        classes.sort_unstable();
        classes.dedup();
        if classes.is_empty() {
            bail!("seed {seed}: there is no part in the bin");
        }
        let class = classes[(seed % classes.len() as u64) as usize];
        let of_class: Vec<_> = parts.iter().filter(|part| part.class == class).collect();
        let index = (noise.next() % of_class.len() as u64) as usize;
        Ok(of_class[index].clone())
    }

    /// The track that is nearest to where the part is, if it is near.
    fn track_of(&self, part: &TruePart) -> Option<u64> {
        let at = part.heading.position_m;
        let snapshot = self.world.snapshot();
        let distance = |position: [f64; 3]| (position[0] - at[0]).hypot(position[1] - at[1]);
        snapshot
            .objects
            .iter()
            .filter(|track| *track.class == *part.class)
            .map(|track| (distance(track.pose.position_m), track.id))
            .filter(|(distance, _)| *distance < 0.03)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, id)| id)
    }

    fn true_height(&self, part: &TruePart) -> anyhow::Result<f64> {
        true_parts(&self.cell.scene())
            .into_iter()
            .find(|other| other.name == part.name)
            .map(|other| other.heading.position_m[2])
            .context("the part is gone from the scene")
    }
}

/// What becomes of a part that perception does not show.
fn unseen() -> PolicyOutcome {
    PolicyOutcome {
        end: PolicyEnd::Failed,
        label: "missing-object",
        confidence: 1.0,
        ticks: Ticks(0),
        message: "perception does not show the part".into(),
        disagreements: Vec::new(),
    }
}

/// The grasp heading nearest to where the arm's wrist is at ease: pointing outwards.
fn natural_yaw(part: &TruePart, at: [f64; 3]) -> f64 {
    let outwards = at[1].atan2(at[0]);
    if (part.size_m[0] - part.size_m[1]).abs() < 1e-6 {
        return outwards;
    }
    let period = std::f64::consts::PI;
    let error = part.heading.yaw_rad - outwards;
    outwards + error - period * (error / period).round()
}
