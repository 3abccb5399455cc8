//! The arm channel: takes goals over, runs the motion source of the active one, and says how it went.
//!
//! **Ids.** The newest goal is the one with the highest id. A higher id replaces the running goal at once,
//! from the motion that the gate gave last. The same id renews the lease of the running goal and changes
//! nothing else. A lower id is ignored. Only the newest goal is ever reported: whoever sent a replaced goal
//! learns that it was preempted from seeing a newer id in the status.
//!
//! **States.** `Active` until the robot rests: at the goal within tolerance (`Done`), at a contact
//! (`Contact`), or where a lease, a chunk or the gate made it brake (`Held`). A goal that makes no sense or
//! is out of reach is `Rejected` without causing motion of its own; what ran before it brakes. A latched stop
//! turns an active goal, and every goal that comes while it lasts, into `Stopped`; none comes back after the
//! reset. A final state never changes.

use sinew_kinematics::{Chain, pose_to_isometry};
use sinew_messages::{
    ActionChunk, ArmGoal, ArmGoalKind, JOINTS, JointVector, LimitKind, MotionState, SensorFrame,
    Setpoint, VerdictKind,
};
use sinew_safety::Verdict;

use crate::chunk::{Followed, Follower};
use crate::jog::Jog;
use crate::joints::{Axes, JointMotion, axes_of, positions};
use crate::limits::MotionLimits;
use crate::line::Line;
use crate::profile::{AxisLimits, AxisState};

/// Progress of a goal that the gate keeps limiting is judged this often, ticks.
const PROGRESS_TICKS: u32 = 250;
/// Limited ticks among those from which on the goal counts as obstructed.
const OBSTRUCTED_TICKS: u32 = 50;
/// A goal that leads where nothing may go is held after this many limited ticks.
const FORBIDDEN_TICKS: u32 = 10;
/// An obstructed goal that gets no further than this in the time, rad, is held.
const PROGRESS_RAD: f64 = 0.005;

/// What moves the arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Braking, or resting where the brake ended.
    Rest,
    /// A joint-space move.
    Joints,
    /// A line of the tool, braking along it included.
    Line,
    /// Action chunks.
    Chunks,
    /// Velocities of the joints, held.
    Jog,
}

/// What the arm asks for in one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ArmAsk {
    /// Joint positions, rad.
    pub(crate) joints: JointVector,
    /// Why the gate is to brake it, if the goal has no right to go on.
    pub(crate) stale: Option<LimitKind>,
    /// Width (m) and force (N) that an action chunk wants of the gripper.
    pub(crate) gripper: Option<(f64, f64)>,
}

/// State of the arm channel.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    chain: Chain,
    limits: MotionLimits,
    source: Source,
    motion: JointMotion,
    /// Target and joint limits of `motion` while it is a move.
    target: JointVector,
    move_limits: [AxisLimits; JOINTS],
    line: Line,
    jog: Jog,
    follower: Follower,
    chunk: Option<ActionChunk>,

    goal_id: u64,
    lease_end_tick: u64,
    state: MotionState,
    /// State that the goal gets when it has braked; the present motion is that braking.
    ending: Option<MotionState>,
    stale: Option<LimitKind>,
    /// What the goal was ended for as held.
    held_for: Option<LimitKind>,
    contact_force_n: Option<f64>,

    /// What was asked last: the motion goes on from there if the gate gave it.
    asked: Axes,
    settling_ticks: u64,
    progress: Progress,
}

/// How far a goal got while the gate limited it.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    ticks: u32,
    limited_ticks: u32,
    forbidden_ticks: u32,
    /// Reason of the newest verdict that was not a pass.
    limit: Option<LimitKind>,
    from: JointVector,
}

impl Progress {
    /// Counts a tick; the reason if the gate does not let the goal get on.
    fn obstruction(&mut self, verdict: &Verdict, position: &JointVector) -> Option<LimitKind> {
        if verdict.kind != VerdictKind::Pass && verdict.limit == LimitKind::Separation {
            // Who comes too near goes away again, and the goal goes on then. Whoever sent it may give up before.
            *self = Self {
                forbidden_ticks: self.forbidden_ticks,
                ..Self::default()
            };
            return None;
        }
        if self.ticks == 0 {
            self.from = *position;
        }
        self.ticks += 1;
        if verdict.kind != VerdictKind::Pass {
            self.limited_ticks += 1;
            self.limit = Some(verdict.limit);
        }
        // To push on against these would bounce: the gate brakes harder than motions do.
        self.forbidden_ticks += u32::from(matches!(
            verdict.limit,
            LimitKind::Position | LimitKind::Envelope | LimitKind::Zone | LimitKind::SelfCollision
        ));
        if self.forbidden_ticks >= FORBIDDEN_TICKS {
            return self.limit;
        }
        if self.ticks < PROGRESS_TICKS {
            return None;
        }
        let stands = position
            .iter()
            .zip(&self.from)
            .all(|(now, then)| (now - then).abs() < PROGRESS_RAD);
        let obstructed = stands && self.limited_ticks >= OBSTRUCTED_TICKS;
        let limit = self.limit;
        *self = Self {
            forbidden_ticks: self.forbidden_ticks,
            ..Self::default()
        };
        limit.filter(|_| obstructed)
    }
}

impl Arm {
    pub(crate) fn new(chain: Chain, limits: MotionLimits) -> Self {
        Self {
            chain,
            source: Source::Rest,
            motion: JointMotion::resting_at(&[0.0; JOINTS]),
            target: [0.0; JOINTS],
            move_limits: *limits.joints(),
            limits,
            line: Line::empty(),
            jog: Jog::STILL,
            follower: Follower::empty(),
            chunk: None,
            goal_id: 0,
            lease_end_tick: 0,
            state: MotionState::Idle,
            ending: None,
            stale: None,
            held_for: None,
            contact_force_n: None,
            asked: [AxisState::default(); JOINTS],
            settling_ticks: 0,
            progress: Progress::default(),
        }
    }

    pub(crate) fn goal_id(&self) -> u64 {
        self.goal_id
    }

    pub(crate) fn state(&self) -> MotionState {
        self.state
    }

    /// The limit that the goal was ended for as held; none while it goes on, or if it ended otherwise.
    pub(crate) fn held_for(&self) -> LimitKind {
        let held_for = self.held_for.filter(|_| self.state == MotionState::Held);
        held_for.unwrap_or(LimitKind::None)
    }

    /// The action chunk that is being followed; 0 if none.
    pub(crate) fn chunk_id(&self) -> u64 {
        if self.follows_chunks() {
            self.follower.chunk_id()
        } else {
            0
        }
    }

    /// True while action chunks drive the arm, and with it the gripper.
    pub(crate) fn follows_chunks(&self) -> bool {
        self.source == Source::Chunks && self.follower.has_chunk()
    }

    /// Takes over a goal if it is newer, or renews the lease of the present one.
    pub(crate) fn offer(&mut self, goal: &ArmGoal, given: &Setpoint, latched: bool) {
        if goal.id < self.goal_id || goal.id == 0 {
            return;
        }
        if goal.id == self.goal_id {
            self.lease_end_tick = goal.lease_end_tick;
            return;
        }
        self.goal_id = goal.id;
        self.lease_end_tick = goal.lease_end_tick;
        self.ending = None;
        (self.stale, self.held_for) = (None, None);
        self.contact_force_n = None;
        self.settling_ticks = 0;
        self.progress = Progress::default();
        if latched {
            self.state = MotionState::Stopped;
            return;
        }
        let start = self.motion_of(given);
        if self.start(goal, &start).is_some() {
            self.state = MotionState::Active;
        } else {
            self.brake(&start);
            self.state = MotionState::Rejected;
        }
    }

    /// Keeps the newest chunk until its goal and its start have come.
    pub(crate) fn offer_chunk(&mut self, chunk: &ActionChunk) {
        self.chunk = Some(*chunk);
    }

    /// The next setpoint, from what the gate gave last, for tick `now`.
    pub(crate) fn advance(&mut self, now: u64, given: &Setpoint, frame: &SensorFrame) -> ArmAsk {
        let disturbed = !self.was_given(given);
        let start = self.motion_of(given);
        if self.is_running() && now > self.lease_end_tick {
            self.end_with(MotionState::Held, Some(LimitKind::Stale), &start);
        }
        let mut gripper = None;
        let next = match self.source {
            Source::Rest => {
                if disturbed {
                    self.motion = JointMotion::stop(&start, self.limits.joints());
                }
                self.motion.step()
            }
            Source::Joints => {
                if disturbed {
                    self.motion = JointMotion::to_rest_within(
                        &self.limits.bounds(&self.chain, &positions(&start)),
                        &self.target,
                        &start,
                        &self.move_limits,
                    );
                }
                self.motion.step()
            }
            Source::Line => {
                if self.is_running() && self.touches(frame) {
                    self.ending = Some(MotionState::Contact);
                    self.line.brake();
                }
                if disturbed && self.ending.is_some() {
                    // Off the line there is no use in braking along it.
                    self.rest(&start);
                    self.motion.step()
                } else {
                    if disturbed {
                        self.line.go_on_from(&start, &self.limits);
                    }
                    self.line.step()
                }
            }
            Source::Chunks => {
                let (next, wanted) = self.follow_chunks(now, &start, disturbed);
                gripper = wanted;
                next
            }
            Source::Jog => self.jog.step(&start, &self.chain, &self.limits),
        };
        self.asked = next;
        self.judge(frame);
        ArmAsk {
            joints: positions(&next),
            stale: self.stale,
            gripper,
        }
    }

    /// Learns what the gate made of it. `latched` says that a stop is latched now.
    pub(crate) fn observe(&mut self, verdict: &Verdict, given: &Setpoint, latched: bool) {
        if latched {
            if self.state == MotionState::Active {
                self.state = MotionState::Stopped;
            }
            self.ending = None;
            self.stale = None;
            self.source = Source::Rest;
            return;
        }
        if !self.is_running() {
            return;
        }
        let mut held_for = self.progress.obstruction(verdict, &given.position_rad);
        if matches!(verdict.kind, VerdictKind::Stop | VerdictKind::Yield)
            && matches!(
                verdict.limit,
                LimitKind::Force | LimitKind::Power | LimitKind::GripLost
            )
        {
            held_for = Some(verdict.limit);
        }
        if held_for.is_some() {
            // The gate brakes it for the reason that it limited it for.
            let start = self.motion_of(given);
            self.end_with(MotionState::Held, held_for, &start);
        }
    }

    /// True if the gate gave what was asked for.
    fn was_given(&self, given: &Setpoint) -> bool {
        given.position_rad == positions(&self.asked)
    }

    /// The motion that a new source starts from.
    fn motion_of(&self, given: &Setpoint) -> Axes {
        if self.was_given(given) {
            self.asked
        } else {
            axes_of(given)
        }
    }

    /// Sets the source of a goal up; `None` if the goal can't be taken.
    fn start(&mut self, goal: &ArmGoal, start: &Axes) -> Option<()> {
        let share = |scale: f64| (scale > 0.0 && scale <= 1.0).then_some(scale);
        let kind = ArmGoalKind::decode(goal.kind)?;
        if kind == ArmGoalKind::Hold {
            self.hold(start);
            return Some(());
        }
        if kind == ArmGoalKind::Chunks {
            let scales = (share(goal.speed_scale)?, share(goal.acceleration_scale)?);
            self.follower.begin(scales);
            self.rest(start);
            self.source = Source::Chunks;
            return Some(());
        }
        if kind == ArmGoalKind::Jog {
            self.jog = Jog::new(&goal.joints_rad, &self.limits)?;
            self.source = Source::Jog;
            return Some(());
        }
        let scales = (share(goal.speed_scale)?, share(goal.acceleration_scale)?);
        match kind {
            ArmGoalKind::Joint => {
                self.move_to(&goal.joints_rad, start, scales)?;
            }
            ArmGoalKind::Pose => {
                let pose = pose_to_isometry(&goal.pose)?;
                let from = positions(start);
                let admitted = |q: &JointVector| self.limits.admits(&self.chain, q, &from);
                let target = (self.chain.inverse_where(&pose, &from, admitted)).ok()?;
                self.move_to(&target, start, scales)?;
            }
            ArmGoalKind::Line | ArmGoalKind::Guarded => {
                let pose = pose_to_isometry(&goal.pose)?;
                if kind == ArmGoalKind::Guarded {
                    let force = goal.contact_force_n;
                    if !(force > 0.0 && force.is_finite()) {
                        return None;
                    }
                    self.contact_force_n = Some(force);
                }
                self.line
                    .plan(&self.chain, &self.limits, start, &pose, scales)
                    .ok()?;
                self.source = Source::Line;
            }
            ArmGoalKind::Hold | ArmGoalKind::Chunks | ArmGoalKind::Jog => {}
        }
        Some(())
    }

    fn move_to(
        &mut self,
        target: &JointVector,
        start: &Axes,
        (speed, acceleration): (f64, f64),
    ) -> Option<()> {
        if !self.limits.admits(&self.chain, target, &positions(start)) {
            return None;
        }
        let limits = self.limits.joints_scaled(speed, acceleration);
        let tool_speed = self.limits.config().tool_linear.velocity * speed;
        (self.motion, self.move_limits) = JointMotion::below_tool_speed(
            &self.chain,
            tool_speed,
            &self.limits.bounds(&self.chain, &positions(start)),
            target,
            start,
            &limits,
        );
        self.target = *target;
        self.source = Source::Joints;
        Some(())
    }

    /// Ends the present goal: every joint brakes, and the goal gets `state` when all rest. With a
    /// reason the gate brakes it, along the stop that it verified.
    fn end_with(&mut self, state: MotionState, reason: Option<LimitKind>, start: &Axes) {
        self.ending = Some(state);
        (self.stale, self.held_for) = (reason, reason);
        self.rest(start);
    }

    /// Brakes: along the line if there is one, each joint otherwise.
    fn brake(&mut self, start: &Axes) {
        if self.source == Source::Line {
            self.line.brake();
        } else {
            self.rest(start);
        }
    }

    /// A goal to hold: brakes, then is done.
    fn hold(&mut self, start: &Axes) {
        self.ending = Some(MotionState::Done);
        self.brake(start);
    }

    fn rest(&mut self, start: &Axes) {
        self.motion = JointMotion::stop(start, self.limits.joints());
        self.source = Source::Rest;
    }

    fn follow_chunks(
        &mut self,
        now: u64,
        start: &Axes,
        disturbed: bool,
    ) -> (Axes, Option<(f64, f64)>) {
        let due = self.chunk.filter(|chunk| {
            chunk.goal_id == self.goal_id
                && chunk.id > self.follower.chunk_id()
                && chunk.start_tick <= now
        });
        if let Some(chunk) = due
            && !self.follower.take(&chunk, &self.chain, start)
        {
            self.end_with(MotionState::Rejected, None, start);
            return (self.motion.step(), None);
        }
        if !self.follower.has_chunk() {
            // Waiting for the first chunk: brake and rest.
            if disturbed {
                self.motion = JointMotion::stop(start, self.limits.joints());
            }
            return (self.motion.step(), None);
        }
        if disturbed {
            self.follower.go_on_from(&self.chain, start);
        }
        match self.follower.advance(&self.chain, &self.limits, start, now) {
            Followed::On(next, width_m, force_n) => (next, Some((width_m, force_n))),
            Followed::RunOut => {
                self.end_with(MotionState::Held, Some(LimitKind::Stale), start);
                (self.motion.step(), None)
            }
            Followed::Behind => {
                self.end_with(MotionState::Held, None, start);
                (self.motion.step(), None)
            }
        }
    }

    /// True while a goal is on its way and nothing has ended it.
    fn is_running(&self) -> bool {
        self.state == MotionState::Active && self.ending.is_none()
    }

    fn touches(&self, frame: &SensorFrame) -> bool {
        let force_squared: f64 = frame.tool_force_n.iter().map(|f| f * f).sum();
        self.contact_force_n
            .is_some_and(|threshold| force_squared >= threshold * threshold)
    }

    /// Decides whether the goal is over.
    fn judge(&mut self, frame: &SensorFrame) {
        let arrived = match self.source {
            Source::Rest | Source::Joints => self.motion.is_over(),
            Source::Line => self.line.is_over(),
            Source::Chunks | Source::Jog => false,
        };
        if !arrived {
            return;
        }
        self.stale = None;
        if self.state != MotionState::Active {
            return;
        }
        if let Some(state) = self.ending.take() {
            self.state = state;
            return;
        }
        let tolerance = self.limits.config().done_tolerance_rad;
        let near = frame
            .position_rad
            .iter()
            .zip(&self.asked)
            .all(|(measured, asked)| (measured - asked.position).abs() <= tolerance);
        self.settling_ticks += 1;
        if near {
            self.state = MotionState::Done;
        } else if self.settling_ticks > self.limits.config().settle_ticks_max {
            self.state = MotionState::Held;
        }
    }
}
