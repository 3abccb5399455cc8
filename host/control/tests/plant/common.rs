//! A control loop on the kinematic plant.

use std::sync::Arc;

use sinew_control::{ActivationDesk, ControlLoop, MotionConfig, MotionLimits, TickSummary};
use sinew_flight_ring::{Consumer, TrailConsumer};
use sinew_hardware::plant::{self, Bench, HOME, Plant};
use sinew_kinematics::{Chain, isometry_to_pose};
use sinew_messages::{
    ActionChunk, ArmGoal, ArmGoalKind, CHUNK_STEPS_MAX, ChunkStep, GripperGoal, JOINTS,
    JointVector, Mailbox, MotionState, Pose, SafetyEvent, StopState, VerdictKind,
};
use sinew_safety::{Gate, SafetyConfig, SafetyLimits};

/// A posture some way from home, rad.
pub(crate) const AWAY: JointVector = [0.6, 0.5, -0.3, 1.4, 0.4, 1.2, -0.8];

pub(crate) fn distance(a: &Pose, b: &Pose) -> f64 {
    (0..3)
        .map(|i| (a.position_m[i] - b.position_m[i]).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// Everything a test needs.
pub(crate) struct Rig {
    pub(crate) control: ControlLoop,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) bench: Bench,
    pub(crate) chain: Chain,
    pub(crate) records: Consumer,
    pub(crate) trail: TrailConsumer,
    pub(crate) activations: ActivationDesk,
    pub(crate) last: TickSummary,
    next_id: u64,
}

pub(crate) fn motion_config() -> MotionConfig {
    let (velocity, acceleration, jerk) = plant::MOTION;
    MotionConfig {
        // More than the plant's following errors, as the field asks for.
        position_margin_rad: 0.11,
        ..MotionConfig::table_top(
            [velocity; JOINTS],
            [acceleration; JOINTS],
            [jerk; JOINTS],
            0.0..=0.08,
            0.2,
            60.0,
        )
    }
}

impl Rig {
    /// A loop that has been reset and rests at home.
    pub(crate) fn ready() -> Self {
        Self::with(plant::safety_config())
    }

    pub(crate) fn with(safety: SafetyConfig) -> Self {
        let mut rig = Self::booted(safety);
        rig.take_events();
        rig.mailbox.requests.reset();
        rig.run(5);
        assert_eq!(rig.last.status.stop_state, StopState::Clear as u32);
        rig
    }

    /// A loop in its first ticks, still stopped.
    pub(crate) fn booted(safety: SafetyConfig) -> Self {
        let chain = plant::chain().expect("the plant's chain is valid");
        let (plant, bench) = Plant::new(chain.clone());
        let mailbox = Arc::new(Mailbox::default());
        let limits = SafetyLimits::new(safety).expect("the test's limits are valid");
        let motion = MotionLimits::new(motion_config()).expect("the test's limits are valid");
        let (producer, records) = sinew_flight_ring::ring(200_000);
        let (events, trail) = sinew_flight_ring::trail();
        let (mut control, activations) = ControlLoop::new(
            Box::new(plant),
            Gate::new(limits, chain.clone()),
            chain.clone(),
            motion,
            Arc::clone(&mailbox),
            producer,
        )
        .with_trail(events)
        .with_activations();
        let last = control.tick();
        Self {
            control,
            mailbox,
            bench,
            chain,
            records,
            trail,
            activations,
            last,
            next_id: 1,
        }
    }

    pub(crate) fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.last = self.control.tick();
        }
    }

    /// What the loop said for the audit log since the last time, safely written as far as the loop knows.
    pub(crate) fn take_events(&mut self) -> Vec<SafetyEvent> {
        let events: Vec<_> = core::iter::from_fn(|| self.trail.pop()).collect();
        self.trail.acknowledge(events.len() as u64);
        events
    }

    /// Sends a goal with a new id and a long lease; returns the id.
    pub(crate) fn send(&mut self, goal: ArmGoal) -> u64 {
        self.send_until(self.last.tick + 1_000_000, goal)
    }

    pub(crate) fn send_until(&mut self, lease_end_tick: u64, goal: ArmGoal) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.mailbox.arm.write(&ArmGoal {
            id,
            lease_end_tick,
            ..goal
        });
        id
    }

    pub(crate) fn grip(&mut self, width_m: f64, force_n: f64) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.mailbox.gripper.write(&GripperGoal {
            id,
            width_m,
            force_n,
            speed_m_s: 0.15,
        });
        id
    }

    pub(crate) fn arm_state(&self) -> MotionState {
        MotionState::decode(self.last.status.arm_state).expect("the loop sends valid states")
    }

    pub(crate) fn gripper_state(&self) -> MotionState {
        MotionState::decode(self.last.status.gripper_state).expect("the loop sends valid states")
    }

    /// Runs until the newest goal is final, at most `ticks`.
    pub(crate) fn finish(&mut self, ticks: u64) -> MotionState {
        self.run(1);
        for _ in 0..ticks {
            if self.arm_state().is_final() {
                break;
            }
            self.run(1);
        }
        self.arm_state()
    }

    pub(crate) fn tool(&self) -> Pose {
        isometry_to_pose(
            &self
                .chain
                .forward(&self.last.status.setpoint.position_rad)
                .tool,
        )
    }

    /// Drains the ring and checks that nothing was limited since the last drain and every motion limit kept.
    pub(crate) fn check_smooth(&mut self) -> usize {
        self.check_smooth_within(1.0, 1.0)
    }

    /// The same for chunks, whose joints may jerk more.
    pub(crate) fn check_chunks(&mut self) -> usize {
        self.check_smooth_within(1.0, 4.0)
    }

    /// The same with velocities and jerks up to so many times their limits.
    pub(crate) fn check_smooth_within(&mut self, speed_slack: f64, jerk_slack: f64) -> usize {
        let (velocity, acceleration, jerk) = plant::MOTION;
        let records: Vec<_> = self.records.drain().collect();
        for pair in records.windows(2) {
            let (before, now) = (&pair[0].given, &pair[1].given);
            assert_ne!(
                pair[1].verdict.kind,
                VerdictKind::Limited as u32,
                "tick {}: {:?}",
                pair[1].frame.tick,
                pair[1].verdict
            );
            for i in 0..JOINTS {
                let (v, a) = (now.velocity_rad_s[i], now.acceleration_rad_s2[i]);
                let j = (a - before.acceleration_rad_s2[i]) * 1_000.0;
                assert!(
                    v.abs() <= speed_slack * velocity + 1e-6,
                    "joint {i}: velocity {v}"
                );
                assert!(
                    a.abs() <= acceleration + 1e-3,
                    "joint {i}: acceleration {a}"
                );
                assert!(
                    j.abs() <= jerk_slack * jerk * 1.01 + 0.5,
                    "joint {i}: jerk {j} at {}",
                    pair[1].frame.tick
                );
            }
        }
        records.len()
    }
}

pub(crate) fn goal(kind: ArmGoalKind) -> ArmGoal {
    ArmGoal {
        id: 0,
        lease_end_tick: 0,
        kind: kind as u32,
        reserved: 0,
        joints_rad: HOME,
        pose: Pose::IDENTITY,
        speed_scale: 1.0,
        acceleration_scale: 1.0,
        contact_force_n: 0.0,
    }
}

pub(crate) fn joint_goal(joints_rad: JointVector) -> ArmGoal {
    ArmGoal {
        joints_rad,
        ..goal(ArmGoalKind::Joint)
    }
}

pub(crate) fn pose_goal(kind: ArmGoalKind, pose: Pose) -> ArmGoal {
    ArmGoal { pose, ..goal(kind) }
}

pub(crate) fn moved(pose: Pose, way_m: [f64; 3]) -> Pose {
    Pose {
        position_m: core::array::from_fn(|i| pose.position_m[i] + way_m[i]),
        ..pose
    }
}

/// A chunk of `len` steps of 50 ticks whose tool positions are `from + way(seconds since its start)`.
pub(crate) fn chunk(
    id: u64,
    goal_id: u64,
    start_tick: u64,
    len: u32,
    from: Pose,
    way: impl Fn(f64) -> [f64; 3],
) -> ActionChunk {
    let step_ticks = 50;
    let step = |i: usize| ChunkStep {
        pose: moved(from, way((i + 1) as f64 * 0.001 * f64::from(step_ticks))),
        gripper_width_m: 0.05,
        gripper_force_n: 10.0,
    };
    ActionChunk {
        id,
        goal_id,
        start_tick,
        step_ticks,
        len,
        steps: core::array::from_fn::<_, CHUNK_STEPS_MAX, _>(step),
    }
}
