//! Following action chunks: tool poses at a policy's rate become joint positions at the control rate.
//!
//! Between the steps of a chunk the reference moves on a cubic (Catmull–Rom) curve. The tool's six coordinates
//! follow it through a linear low-pass ([`crate::tracker::smooth`]): a new chunk, or the first one, may begin
//! elsewhere than the last one left off, and at another velocity. The smoothed tool pose is turned into joints by
//! one step of inverse kinematics a tick, and the joints follow those through [`crate::tracker::follow`], which
//! keeps their limits whatever the policy asks.

use nalgebra::{UnitQuaternion, Vector3};
use sinew_kinematics::{Chain, Isometry, StepOptions, pose_to_isometry};
use sinew_messages::{ActionChunk, CHUNK_STEPS_MAX, JOINTS, JointVector};
use sinew_units::TICK_S;

use crate::joints::{Axes, positions};
use crate::limits::MotionLimits;
use crate::profile::{AxisLimits, AxisState};
use crate::tracker;

/// Longest step that makes sense, ticks.
const STEP_TICKS_MAX: u32 = 10_000;
/// Inverse kinematics of one tick; the pull to the rest posture is about one per second.
const STEP: StepOptions = StepOptions {
    damping: 1e-6,
    posture_gain: 0.001,
    step_max_rad: 0.05,
};
/// The reference is out of reach if the inverse stays this far behind, m and rad.
const BEHIND_MAX: f64 = 0.05;
/// Ticks that it may stay so.
const BEHIND_TICKS_MAX: u32 = 50;

/// Jerk of the joints against that of planned motions. The smoothed steps must fit in with room: a joint that
/// can't keep up catches up later, and with a policy that plans again meanwhile that swings. The gate's own
/// limit is higher still.
const JERK_ROOM: f64 = 4.0;
/// 1/√3.
const AXIS_SHARE: f64 = 0.577;

/// A chunk whose poses are checked and converted.
#[derive(Clone, Debug)]
struct Steps {
    id: u64,
    start_tick: u64,
    step_ticks: u64,
    len: usize,
    poses: [Isometry; CHUNK_STEPS_MAX],
    gripper: [(f64, f64); CHUNK_STEPS_MAX],
}

/// What following a chunk came to this tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Followed {
    /// Motion of the joints, gripper width (m) and force (N).
    On(Axes, f64, f64),
    /// The chunk's end has passed.
    RunOut,
    /// The poses are out of reach.
    Behind,
}

/// The follower of a goal's chunks.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    steps: Steps,
    has_chunk: bool,
    /// Shares of speed and acceleration that may be used.
    scales: (f64, f64),
    /// Where the followed tool is, its velocity and acceleration (linear, angular).
    tool: Isometry,
    twist: [f64; 6],
    twist_rate: [f64; 6],
    joints: JointVector,
    behind_ticks: u32,
}

impl Follower {
    pub(crate) fn empty() -> Self {
        Self {
            steps: Steps {
                id: 0,
                start_tick: 0,
                step_ticks: 1,
                len: 0,
                poses: [Isometry::identity(); CHUNK_STEPS_MAX],
                gripper: [(0.0, 0.0); CHUNK_STEPS_MAX],
            },
            has_chunk: false,
            scales: (1.0, 1.0),
            tool: Isometry::identity(),
            twist: [0.0; 6],
            twist_rate: [0.0; 6],
            joints: [0.0; JOINTS],
            behind_ticks: 0,
        }
    }

    /// Begins without a chunk, within these shares of speed and acceleration.
    pub(crate) fn begin(&mut self, scales: (f64, f64)) {
        self.scales = scales;
        self.has_chunk = false;
        self.behind_ticks = 0;
    }

    pub(crate) fn has_chunk(&self) -> bool {
        self.has_chunk
    }

    pub(crate) fn chunk_id(&self) -> u64 {
        if self.has_chunk { self.steps.id } else { 0 }
    }

    /// Takes over a chunk, the given motion being `start`. False if the chunk makes no sense.
    pub(crate) fn take(&mut self, chunk: &ActionChunk, chain: &Chain, start: &Axes) -> bool {
        if !self.steps.read(chunk) {
            return false;
        }
        if !self.has_chunk {
            self.stand_at(chain, start);
            self.has_chunk = true;
        }
        true
    }

    /// Begins again from what the gate gave, so that nothing is caught up on.
    pub(crate) fn go_on_from(&mut self, chain: &Chain, given: &Axes) {
        self.stand_at(chain, given);
    }

    /// The setpoint of tick `now`, from the given motion `start`.
    pub(crate) fn advance(
        &mut self,
        chain: &Chain,
        limits: &MotionLimits,
        start: &Axes,
        now: u64,
    ) -> Followed {
        if now >= self.steps.end_tick() {
            return Followed::RunOut;
        }
        self.follow_steps(limits, now);
        let outcome = chain.inverse_step(&self.tool, &self.joints, &STEP);
        let behind = outcome.position_error_m.max(outcome.rotation_error_rad);
        self.behind_ticks = if behind > BEHIND_MAX {
            self.behind_ticks + 1
        } else {
            0
        };
        if self.behind_ticks > BEHIND_TICKS_MAX {
            return Followed::Behind;
        }
        let velocity: JointVector =
            core::array::from_fn(|i| (outcome.joints_rad[i] - self.joints[i]) / TICK_S);
        let (speed, acceleration) = self.scales;
        let joints = limits.joints_scaled(speed, acceleration);
        let next: Axes = core::array::from_fn(|i| {
            let limits = AxisLimits {
                jerk: JERK_ROOM * joints[i].jerk,
                ..joints[i]
            };
            tracker::follow(start[i], outcome.joints_rad[i], velocity[i], &limits)
        });
        self.joints = outcome.joints_rad;
        let (width_m, force_n) = self.steps.gripper_at(now);
        Followed::On(next, width_m, force_n)
    }

    /// The reference is where the robot is.
    fn stand_at(&mut self, chain: &Chain, start: &Axes) {
        self.joints = positions(start);
        let forward = chain.forward(&self.joints);
        let velocity = nalgebra::SVector::<f64, JOINTS>::from(start.map(|axis| axis.velocity));
        let twist = chain.jacobian(&forward) * velocity;
        self.tool = forward.tool;
        self.twist = core::array::from_fn(|i| twist[i]);
        self.twist_rate = [0.0; 6];
    }

    /// One tick of the tool towards the steps' curve.
    fn follow_steps(&mut self, limits: &MotionLimits, now: u64) {
        let wanted = self.steps.at(now);
        // Forwards: a chunk that begins now has no tick before.
        let twist = twist_between(&wanted, &self.steps.at(now.saturating_add(1)));
        let gap = difference(&wanted, &self.tool);
        let config = limits.config();
        let fastest = [
            // All three axes at once are as fast as the tool may be.
            config.tool_linear.velocity * AXIS_SHARE * self.scales.0,
            config.tool_angular.velocity * AXIS_SHARE * self.scales.0,
        ];
        let next: [AxisState; 6] = core::array::from_fn(|i| {
            let state = AxisState {
                position: gap[i],
                velocity: self.twist[i],
                acceleration: self.twist_rate[i],
            };
            tracker::smooth(state, 0.0, twist[i], fastest[i / 3])
        });
        self.tool = displaced(&wanted, &next.map(|axis| axis.position));
        self.twist = next.map(|axis| axis.velocity);
        self.twist_rate = next.map(|axis| axis.acceleration);
    }
}

impl Steps {
    /// Converts a chunk; false, and unchanged, if it makes no sense.
    fn read(&mut self, chunk: &ActionChunk) -> bool {
        let len = chunk.len as usize;
        if len == 0
            || len > CHUNK_STEPS_MAX
            || chunk.step_ticks == 0
            || chunk.step_ticks > STEP_TICKS_MAX
        {
            return false;
        }
        let steps = &chunk.steps[..len];
        let sane = |step: &sinew_messages::ChunkStep| {
            step.pose.is_valid()
                && step.gripper_width_m.is_finite()
                && step.gripper_force_n.is_finite()
        };
        if !steps.iter().all(sane) {
            return false;
        }
        for (i, step) in steps.iter().enumerate() {
            let Some(pose) = pose_to_isometry(&step.pose) else {
                return false;
            };
            self.poses[i] = pose;
            self.gripper[i] = (step.gripper_width_m, step.gripper_force_n);
        }
        self.id = chunk.id;
        self.start_tick = chunk.start_tick;
        self.step_ticks = u64::from(chunk.step_ticks);
        self.len = len;
        true
    }

    fn end_tick(&self) -> u64 {
        self.start_tick
            .saturating_add(self.step_ticks.saturating_mul(self.len as u64))
    }

    /// Steps since the chunk's start, from 0.
    fn progress(&self, tick: u64) -> f64 {
        tick.saturating_sub(self.start_tick) as f64 / self.step_ticks as f64
    }

    fn gripper_at(&self, tick: u64) -> (f64, f64) {
        self.gripper[(self.progress(tick) as usize).min(self.len - 1)]
    }

    /// The tool at a tick: step `i` is reached at progress `i + 1`; before the first step the curve is
    /// extended backwards, after the last it stays.
    fn at(&self, tick: u64) -> Isometry {
        let place = self.progress(tick) - 1.0;
        let last = self.len - 1;
        if last == 0 || place >= last as f64 {
            return self.poses[last];
        }
        if place <= 0.0 {
            let way = difference(&self.poses[0], &self.poses[1]);
            return displaced(&self.poses[0], &way.map(|w| w * place.max(-1.0)));
        }
        let from = place as usize;
        let s = place - from as f64;
        let way = difference(&self.poses[from], &self.poses[from + 1]);
        let before = if from == 0 {
            way
        } else {
            difference(&self.poses[from - 1], &self.poses[from])
        };
        let after = if from + 1 == last {
            way
        } else {
            difference(&self.poses[from + 1], &self.poses[from + 2])
        };
        displaced(
            &self.poses[from],
            &core::array::from_fn(|i| {
                let (m0, m1) = (0.5 * (before[i] + way[i]), 0.5 * (way[i] + after[i]));
                let (c2, c3) = (3.0 * way[i] - 2.0 * m0 - m1, m0 + m1 - 2.0 * way[i]);
                s * (m0 + s * (c2 + s * c3))
            }),
        )
    }
}

/// The way from `a` to `b`: position (m), rotation vector (rad), base frame.
fn difference(a: &Isometry, b: &Isometry) -> [f64; 6] {
    let linear = b.translation.vector - a.translation.vector;
    let angular = (b.rotation * a.rotation.inverse()).scaled_axis();
    [
        linear.x, linear.y, linear.z, angular.x, angular.y, angular.z,
    ]
}

fn displaced(pose: &Isometry, way: &[f64; 6]) -> Isometry {
    let turn = UnitQuaternion::from_scaled_axis(Vector3::new(way[3], way[4], way[5]));
    let mut out = *pose;
    out.translation.vector += Vector3::new(way[0], way[1], way[2]);
    out.rotation = turn * out.rotation;
    out
}

/// Velocity that leads from `a` to `b` in a tick: m/s and rad/s.
fn twist_between(a: &Isometry, b: &Isometry) -> [f64; 6] {
    difference(a, b).map(|way| way / TICK_S)
}
