use sinew_inference::{InferenceError, Session, TensorSpec};
use sinew_messages::{LimitKind, MotionState};
use sinew_world::{WorldSnapshot, WorldWriter, world};

use super::fixture::{idle, manifest, track};
use super::*;
use crate::Policy;

/// A model that always asks to go straight down at 1 cm a step, or to do what the test says.
#[derive(Clone, Copy)]
enum Model {
    Down,
    /// Jumps to and fro between two inferences.
    Undecided,
    Broken,
}

struct FakeBackend(Model);

struct FakeSession {
    model: Model,
    runs: u64,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Backend for FakeBackend {
    fn name(&self) -> &'static str {
        "fake"
    }
    fn version(&self) -> String {
        String::new()
    }
    fn load(&self, _: &str, _: &[u8]) -> Result<Box<dyn Session>, InferenceError> {
        let spec = |name: &str, shape: &[usize]| {
            vec![TensorSpec {
                name: name.into(),
                shape: shape.into(),
            }]
        };
        Ok(Box::new(FakeSession {
            model: self.0,
            runs: 0,
            inputs: spec("observation", &[1, 30]),
            outputs: spec("chunk", &[1, 96]),
        }))
    }
}

impl Session for FakeSession {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }
    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }
    fn run(&mut self, _: &[&[f32]], outputs: &mut [Vec<f32>]) -> Result<(), InferenceError> {
        self.runs += 1;
        let side = match self.model {
            Model::Down => 0.0,
            Model::Undecided => 0.38 * (self.runs % 2) as f32,
            Model::Broken => {
                return Err(InferenceError::NotBuilt);
            }
        };
        outputs[0] = (1..=16_u8)
            .flat_map(|k| [side, 0.0, -0.01 * f32::from(k), 0.0, 1.0, 0.0])
            .collect();
        Ok(())
    }
}

struct Bench {
    runner: PolicyRunner,
    writer: WorldWriter,
    mailbox: Arc<Mailbox>,
    now: Tick,
    status: LoopStatus,
}

impl Bench {
    fn new(model: Model) -> Self {
        let mut store = PolicyStore::default();
        store.insert(Policy::new(manifest(), b"", "fixture").expect("the fixture is sound"));
        let (mut writer, world) = world(Vec::new());
        writer.publish(WorldSnapshot {
            objects: vec![track(7, [0.5, -0.2, 0.015], 0.0)],
            ..WorldSnapshot::empty()
        });
        let mailbox = Arc::new(Mailbox::default());
        let runner = PolicyRunner::new(
            store,
            Arc::new(FakeBackend(model)),
            world,
            Arc::clone(&mailbox),
            GoalIds::default(),
            RunnerConfig::default(),
        )
        .expect("the fake model fits");
        Self {
            runner,
            writer,
            mailbox,
            now: Tick(1000),
            status: idle(),
        }
    }

    fn start(&mut self) -> RunId {
        self.runner
            .start("grasp", 7, self.now, Ticks(5_000))
            .expect("nothing else runs")
    }

    /// Steps a loop that takes every goal over at once but never moves.
    fn step(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.status.tick = self.now.0;
            self.mailbox.status.write(&self.status);
            self.runner.step(self.now, &self.status);
            if let Some(goal) = self.mailbox.arm.latest() {
                self.status.arm_goal_id = goal.id;
                self.status.arm_state = MotionState::Active as u32;
            }
            self.now += Ticks(1);
        }
    }
}

#[test]
fn a_run_writes_chunks_on_time_and_renews_its_lease() {
    let mut bench = Bench::new(Model::Down);
    let run = bench.start();
    bench.step(10);
    assert!(
        bench.mailbox.chunk.latest().is_none(),
        "the latency is charged"
    );
    bench.step(1);
    let chunk = bench.mailbox.chunk.latest().expect("the first chunk");
    assert_eq!(
        (chunk.start_tick, chunk.step_ticks, chunk.len),
        (1000, 50, 16)
    );
    assert!((chunk.steps[0].pose.position_m[2] - 0.19).abs() < 1e-6);
    assert!((chunk.steps[0].gripper_width_m - 0.055).abs() < 1e-9);
    bench.step(200);
    let later = bench.mailbox.chunk.latest().expect("the second chunk");
    assert_eq!(later.start_tick, 1200);
    assert!(later.id > chunk.id && later.goal_id == chunk.goal_id);
    for _ in 0..20 {
        bench.step(30);
        let goal = bench.mailbox.arm.latest().expect("a goal");
        assert_eq!(goal.kind, ArmGoalKind::Chunks as u32);
        assert!(goal.lease_end_tick > bench.now.0 + 150);
    }
    assert_eq!(bench.runner.outcome(run), None);
}

#[test]
fn two_identical_runs_write_identical_chunks() {
    let chunks = || {
        let mut bench = Bench::new(Model::Undecided);
        bench.start();
        let mut seen = Vec::new();
        for _ in 0..1_000 {
            bench.step(1);
            seen.extend(
                bench
                    .mailbox
                    .chunk
                    .latest()
                    .map(|c| (bench.now, c.start_tick, c.steps)),
            );
        }
        seen
    };
    assert!(chunks() == chunks());
}

#[test]
fn a_run_ends_with_its_reason() {
    type Meddle = fn(&mut Bench);
    let cases: [(&str, Model, Meddle, PolicyEnd, &str); 8] = [
        (
            "time",
            Model::Down,
            |bench| bench.step(6_000),
            PolicyEnd::Timeout,
            "timeout",
        ),
        (
            "no answer",
            Model::Broken,
            |bench| bench.step(100),
            PolicyEnd::Failed,
            "policy-stall",
        ),
        (
            "doubt",
            Model::Undecided,
            |bench| bench.step(2_000),
            PolicyEnd::LowConfidence,
            "low-confidence",
        ),
        (
            "stop",
            Model::Down,
            |bench| {
                bench.status.stop_state = StopState::Latched as u32;
                bench.step(1);
            },
            PolicyEnd::Stopped,
            "safety-stop",
        ),
        (
            "held",
            Model::Down,
            |bench| {
                bench.status.arm_state = MotionState::Held as u32;
                bench.runner.step(bench.now, &bench.status);
            },
            PolicyEnd::Stopped,
            "policy-stall",
        ),
        (
            "held by a contact",
            Model::Down,
            |bench| {
                bench.status.arm_state = MotionState::Held as u32;
                bench.status.reason = LimitKind::Force as u32;
                bench.runner.step(bench.now, &bench.status);
            },
            PolicyEnd::Stopped,
            "no-grasp",
        ),
        (
            "another goal",
            Model::Down,
            |bench| {
                bench.status.arm_goal_id += 1;
                bench.runner.step(bench.now, &bench.status);
            },
            PolicyEnd::Cancelled,
            "operator-abort",
        ),
        (
            "closed on nothing",
            Model::Down,
            |bench| {
                bench.status.setpoint.gripper_width_m = 0.0;
                bench.status.frame.gripper_width_m = 0.001;
                bench.step(1_000);
            },
            PolicyEnd::Failed,
            "no-grasp",
        ),
    ];
    for (name, model, meddle, end, label) in cases {
        let mut bench = Bench::new(model);
        let run = bench.start();
        bench.step(50);
        meddle(&mut bench);
        let outcome = bench.runner.outcome(run).expect(name);
        assert_eq!(
            (outcome.end, outcome.label),
            (end, label),
            "{name}: {outcome:?}"
        );
        assert!(!outcome.message.is_empty(), "{name}");
        bench.start();
    }
}

#[test]
fn a_lifted_part_is_done_and_stays_gripped() {
    let mut bench = Bench::new(Model::Down);
    let run = bench.start();
    bench.step(50);
    bench.status.setpoint.gripper_width_m = 0.0;
    bench.status.frame.gripper_width_m = 0.03;
    bench.status.frame.gripper_force_n = 25.0;
    bench.status.tool_pose.position_m[2] = 0.015;
    bench.step(200);
    assert_eq!(bench.runner.activity().expect("it runs").doing, "lifting");
    bench.status.tool_pose.position_m[2] = 0.08;
    bench.step(2);
    let outcome = bench.runner.outcome(run).expect("it is over");
    assert_eq!((outcome.end, outcome.label), (PolicyEnd::Done, ""));
    let goal = bench.mailbox.arm.latest().expect("a goal");
    assert_eq!(goal.kind, ArmGoalKind::Hold as u32);
    let gripper = bench.mailbox.gripper.latest().expect("a gripper goal");
    assert!(gripper.width_m < 0.001 && gripper.force_n > 0.0);
}

#[test]
fn cancel_holds_the_arm_and_late_answers_are_dropped() {
    let mut bench = Bench::new(Model::Down);
    let run = bench.start();
    bench.step(205);
    let before = bench.mailbox.chunk.latest().expect("a chunk");
    bench.runner.cancel(run, bench.now);
    assert_eq!(
        bench.runner.outcome(run).map(|outcome| outcome.end),
        Some(PolicyEnd::Cancelled)
    );
    bench.step(50);
    assert_eq!(bench.mailbox.chunk.latest().expect("a chunk").id, before.id);
    let goal = bench.mailbox.arm.latest().expect("a goal");
    assert_eq!(goal.kind, ArmGoalKind::Hold as u32);
    // The next run gets its own answers.
    bench.start();
    bench.step(11);
    assert!(bench.mailbox.chunk.latest().expect("a chunk").id > before.id);
}

#[test]
fn a_run_that_cannot_start_says_why() {
    let mut bench = Bench::new(Model::Down);
    let now = bench.now;
    let error = bench
        .runner
        .start("paint", 7, now, Ticks(1))
        .expect_err("no such policy");
    assert!(error.to_string().contains("grasp"), "{error}");
    let error = bench
        .runner
        .start("grasp", 8, now, Ticks(1))
        .expect_err("no such object");
    assert_eq!(error, StartError::UnknownObject { object_id: 8 });
    bench.writer.publish(WorldSnapshot {
        objects: vec![ObjectTrackOf::class("ball")],
        ..WorldSnapshot::empty()
    });
    let error = bench
        .runner
        .start("grasp", 7, now, Ticks(1))
        .expect_err("not made for balls");
    assert!(error.to_string().contains("block"), "{error}");
    bench.writer.publish(WorldSnapshot {
        objects: vec![ObjectTrackOf::class("puck")],
        ..WorldSnapshot::empty()
    });
    bench
        .runner
        .start("grasp", 7, now, Ticks(1))
        .expect("a puck");
    assert_eq!(
        bench.runner.start("grasp", 7, now, Ticks(1)),
        Err(StartError::Busy)
    );
}

struct ObjectTrackOf;

impl ObjectTrackOf {
    fn class(class: &str) -> sinew_world::ObjectTrack {
        sinew_world::ObjectTrack {
            class: class.into(),
            ..track(7, [0.5, -0.2, 0.015], 0.0)
        }
    }
}
