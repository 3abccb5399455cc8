//! Runs one policy at a time, closed loop, through the mailbox.
//!
//! A run: at every step an observation; every few steps an inference, started at tick t and charged a
//! configured latency L. In virtual time its answer is waited for and applied at exactly t + L; in real
//! time at the first call from t + L on at which it is there. Answers are blended and written as one
//! chunk; the arm goal's lease is renewed while the run lives, so that a dead runner stops the arm.

#[cfg(test)]
pub(crate) mod fixture;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytemuck::Zeroable;
use sinew_inference::Backend;
use sinew_messages::{
    ActionChunk, ArmGoal, ArmGoalKind, CHUNK_STEPS_MAX, ChunkStep, GripperGoal, LimitKind,
    LoopStatus, Mailbox, MotionState, StopState,
};
use sinew_units::{Tick, Ticks};
use sinew_world::WorldReader;

use crate::chunk::{Aim, Answer, Blend, decode};
use crate::confidence::Doubt;
use crate::ending::{EndWatch, Progress};
use crate::observation::{Observer, Target};
use crate::worker::{InferenceResult, Worker};
use crate::{Disagreement, GoalIds, Heading, Manifest, PolicyError, PolicyStore, tool_down};

/// The arm may go on for this long without hearing from the runner.
const LEASE: Ticks = Ticks::from_ms(250);
/// The lease is renewed this often.
const RENEW: Ticks = Ticks::from_ms(50);
/// The plan stands for the tool while the tool is this near to it, m.
const FOLLOWED_M: f64 = 0.04;
/// Outcomes kept for [`PolicyRunner::outcome`].
const OUTCOMES_KEPT: usize = 64;
/// Speed of the gripper after a run, m/s: it only keeps what it has.
const GRIPPER_SPEED_M_S: f64 = 0.1;

/// When an inference's answer may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// At exactly its start plus the latency; the call waits for the worker. The same on any machine.
    #[default]
    Virtual,
    /// At the first call after its start plus the latency at which it is there. Never waits.
    RealTime,
}

/// Settings of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerConfig {
    /// Virtual or real time.
    pub pacing: Pacing,
    /// What one inference costs, in ticks; at least 1.
    pub latency: Ticks,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            pacing: Pacing::Virtual,
            latency: Ticks::from_ms(10),
        }
    }
}

/// What whoever starts a run lets it use of the cell's motion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    /// Share of the speed, in (0, 1].
    pub speed: f64,
    /// Share of the acceleration, in (0, 1].
    pub acceleration: f64,
    /// Largest gripper force, N.
    pub force_max_n: f64,
}

impl Within {
    /// All of it.
    pub const ALL: Self = Self {
        speed: 1.0,
        acceleration: 1.0,
        force_max_n: f64::INFINITY,
    };
}

/// Names one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyEnd {
    /// The manifest's end condition holds.
    Done,
    /// It was tried and did not work.
    Failed,
    /// Overlapping chunks disagreed more than successful runs do.
    LowConfidence,
    /// The caller's time is over.
    Timeout,
    /// The loop stopped or held the arm.
    Stopped,
    /// Somebody cancelled it, or took the arm for another goal.
    Cancelled,
}

impl PolicyEnd {
    /// The name in events and in the plugin interface.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::LowConfidence => "low-confidence",
            Self::Timeout => "timeout",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyOutcome {
    /// How it ended.
    pub end: PolicyEnd,
    /// Failure label of the taxonomy; empty if done.
    pub label: &'static str,
    /// Lowest confidence of the run, 0 to 1; 1 if there was too little to judge.
    pub confidence: f64,
    /// Length of the run.
    pub ticks: Ticks,
    /// What happened, for people.
    pub message: String,
    /// Disagreement of every pair of successive chunks: what calibration is made from.
    pub disagreements: Vec<Disagreement>,
}

/// What the running policy is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    /// The run.
    pub run: RunId,
    /// Name of the policy.
    pub policy: String,
    /// The object it is for.
    pub object_id: u64,
    /// One word: reaching, closing, lifting, releasing, retreating.
    pub doing: &'static str,
    /// Lowest confidence so far.
    pub confidence: f64,
}

/// Why a run was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No such policy.
    #[error("unknown policy `{policy}`; installed: {installed:?}")]
    UnknownPolicy {
        /// What was asked for.
        policy: String,
        /// What there is.
        installed: Vec<String>,
    },
    /// The world has no such object now.
    #[error("object {object_id} is not in the world now")]
    UnknownObject {
        /// What was asked for.
        object_id: u64,
    },
    /// The policy was not made for this class.
    #[error("policy `{policy}` was not made for class `{class}`; it knows {known:?}")]
    WrongClass {
        /// The policy.
        policy: String,
        /// Class of the object.
        class: String,
        /// Classes of the policy.
        known: Vec<String>,
    },
    /// Another run has the arm.
    #[error("another policy run is going on")]
    Busy,
}

struct Loaded {
    manifest: Arc<Manifest>,
    session: usize,
}

/// An inference under way.
struct Pending {
    run: RunId,
    due: Tick,
    first_step: u64,
    anchor: Heading,
}

struct Run {
    id: RunId,
    policy: Arc<Manifest>,
    session: usize,
    object_id: u64,
    started: Tick,
    deadline: Tick,
    /// Tick of the newest step.
    stepped: Tick,
    goal_id: u64,
    within: Within,
    /// Set with the first chunk.
    goal_sent: bool,
    renewed: Tick,
    /// Grid step of the next observation.
    next_step: u64,
    observer: Observer,
    blend: Blend,
    /// What was sent last.
    plan: Option<Answer>,
    watch: EndWatch,
    doubt: Doubt,
    disagreements: Vec<Disagreement>,
}

impl Run {
    fn grid(&self, step: u64) -> Tick {
        self.started + Ticks(step.saturating_mul(self.policy.step_ticks().0))
    }

    /// Where the tool is on its way: where the plan has it at the start of grid step `step`, or where it
    /// was measured if there is no plan or the robot does not follow it.
    ///
    /// A chunk that starts at the measured tool starts behind the one before it by the loop's lag; with
    /// several chunks a second that delay in the loop makes the tool swing about its goal.
    fn tool(&self, step: u64, status: &LoopStatus) -> Heading {
        let measured = Heading::of(&status.tool_pose);
        let planned = self
            .plan
            .as_ref()
            .and_then(|plan| plan.at(step.checked_sub(1)?));
        match planned {
            Some(aim) if distance(aim.position_m, measured.position_m) < FOLLOWED_M => Heading {
                position_m: aim.position_m,
                yaw_rad: aim.yaw_rad,
            },
            _ => measured,
        }
    }

    fn confidence(&self) -> f64 {
        self.policy.confidence.confidence(self.doubt.worst())
    }
}

/// A run's end, before it is written down.
struct Ending {
    end: PolicyEnd,
    label: &'static str,
    message: String,
}

impl Ending {
    fn new(end: PolicyEnd, label: &'static str, message: impl Into<String>) -> Self {
        Self {
            end,
            label,
            message: message.into(),
        }
    }
}

/// Runs policies. One run at a time: there is one arm.
pub struct PolicyRunner {
    policies: BTreeMap<String, Loaded>,
    world: WorldReader,
    mailbox: Arc<Mailbox>,
    goal_ids: GoalIds,
    config: RunnerConfig,
    worker: Worker,
    pending: VecDeque<Pending>,
    active: Option<Run>,
    outcomes: BTreeMap<RunId, PolicyOutcome>,
    runs: u64,
}

impl PolicyRunner {
    /// Loads every policy of the store and starts the inference thread.
    ///
    /// # Errors
    /// [`PolicyError`] if a model does not load or has other tensors than its manifest says.
    pub fn new(
        store: PolicyStore,
        backend: Arc<dyn Backend>,
        world: WorldReader,
        mailbox: Arc<Mailbox>,
        goal_ids: GoalIds,
        config: RunnerConfig,
    ) -> Result<Self, PolicyError> {
        let mut policies = BTreeMap::new();
        let mut sessions = Vec::new();
        for policy in store.iter() {
            let manifest = Arc::clone(&policy.manifest);
            let session = policy.load(&*backend)?;
            let loaded = Loaded {
                manifest: Arc::clone(&manifest),
                session: sessions.len(),
            };
            sessions.push(session);
            policies.insert(manifest.name.clone(), loaded);
        }
        Ok(Self {
            policies,
            world,
            mailbox,
            goal_ids,
            config,
            worker: Worker::start(sessions),
            pending: VecDeque::new(),
            active: None,
            outcomes: BTreeMap::new(),
            runs: 0,
        })
    }

    /// The loaded policies in the order of their names.
    pub fn policies(&self) -> impl Iterator<Item = &Manifest> {
        self.policies.values().map(|loaded| &*loaded.manifest)
    }

    /// Starts a policy on an object of the current snapshot. It acts from the next [`Self::step`] on.
    ///
    /// # Errors
    /// [`StartError`]; nothing has happened then.
    pub fn start(
        &mut self,
        policy: &str,
        object_id: u64,
        now: Tick,
        timeout: Ticks,
    ) -> Result<RunId, StartError> {
        self.start_within(&Within::ALL, policy, object_id, now, timeout)
    }

    /// [`Self::start`] for somebody who may not use all of the cell's motion. A policy that has to be quick may fail
    /// like that.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_within(
        &mut self,
        within: &Within,
        policy: &str,
        object_id: u64,
        now: Tick,
        timeout: Ticks,
    ) -> Result<RunId, StartError> {
        if self.active.is_some() {
            return Err(StartError::Busy);
        }
        let loaded = self
            .policies
            .get(policy)
            .ok_or_else(|| StartError::UnknownPolicy {
                policy: policy.into(),
                installed: self.policies.keys().cloned().collect(),
            })?;
        let snapshot = self.world.snapshot();
        let track = snapshot
            .object(object_id)
            .ok_or(StartError::UnknownObject { object_id })?;
        let manifest = Arc::clone(&loaded.manifest);
        let object = manifest
            .object(&track.class)
            .ok_or_else(|| StartError::WrongClass {
                policy: policy.into(),
                class: track.class.to_string(),
                known: manifest.objects.iter().map(|o| o.class.clone()).collect(),
            })?;
        let target = Target::new(track, object.yaw);
        self.runs += 1;
        let id = RunId(self.runs);
        self.active = Some(Run {
            id,
            session: loaded.session,
            object_id,
            started: now,
            deadline: now + timeout,
            stepped: now,
            goal_id: self.goal_ids.next(),
            within: *within,
            goal_sent: false,
            renewed: now,
            next_step: 0,
            watch: EndWatch::new(manifest.end, target.grasp_width_m()),
            observer: Observer::new(&manifest, target),
            blend: Blend::new(&manifest),
            plan: None,
            doubt: Doubt::default(),
            disagreements: Vec::new(),
            policy: manifest,
        });
        Ok(id)
    }

    /// Ends a run early; one that is over already stays as it ended.
    pub fn cancel(&mut self, run: RunId, now: Tick) {
        if self.active.as_ref().is_some_and(|active| active.id == run) {
            let ending = Ending::new(PolicyEnd::Cancelled, "operator-abort", "cancelled");
            self.finish(ending, now, None);
        }
    }

    /// The outcome of a run, once it is over.
    #[must_use]
    pub fn outcome(&self, run: RunId) -> Option<PolicyOutcome> {
        self.outcomes.get(&run).cloned()
    }

    /// What is going on, if a run is.
    #[must_use]
    pub fn activity(&self) -> Option<Activity> {
        self.active.as_ref().map(|run| Activity {
            run: run.id,
            policy: run.policy.name.clone(),
            object_id: run.object_id,
            doing: run.watch.activity(),
            confidence: run.confidence(),
        })
    }

    /// One step of the skill brain. `status` is the loop's status at `now`.
    pub fn step(&mut self, now: Tick, status: &LoopStatus) {
        if let Err(ending) = self.advance(now, status) {
            self.finish(ending, now, Some(status));
        }
    }

    fn advance(&mut self, now: Tick, status: &LoopStatus) -> Result<(), Ending> {
        self.collect(now)?;
        let Some(run) = &mut self.active else {
            return Ok(());
        };
        check_loop(run, status)?;
        if waits_for_a_person(status) {
            run.deadline += now.since(run.stepped);
        }
        run.stepped = now;
        match run.watch.step(now, status) {
            Progress::Going => {}
            Progress::Done => return Err(Ending::new(PolicyEnd::Done, "", "done")),
            Progress::Failed { label, message } => {
                return Err(Ending::new(PolicyEnd::Failed, label, message));
            }
        }
        if now >= run.deadline {
            let message = format!("still {} when the time was over", run.watch.activity());
            return Err(Ending::new(PolicyEnd::Timeout, "timeout", message));
        }
        if run.goal_sent && now.since(run.renewed) >= RENEW {
            run.renewed = now;
            self.mailbox
                .arm
                .write(&chunks_goal(run.goal_id, &run.within, now));
        }
        if now >= run.grid(run.next_step) {
            self.observe(now, status)?;
        }
        Ok(())
    }

    /// Takes the observation of this grid step, and starts an inference where one is due.
    fn observe(&mut self, now: Tick, status: &LoopStatus) -> Result<(), Ending> {
        let Some(run) = &mut self.active else {
            return Ok(());
        };
        // Late calls (real time) skip what they missed: an observation is never backdated by a step.
        let late = now.since(run.grid(run.next_step)).0 / run.policy.step_ticks().0;
        let step = run.next_step + late;
        let infer = (run.next_step..=step).any(|s| s % run.policy.infer_every_steps as u64 == 0);
        run.next_step = step + 1;

        let snapshot = self.world.snapshot();
        let anchor = run.tool(step, status);
        let track = snapshot.object(run.object_id);
        run.observer
            .observe(anchor, status, track, run.watch.held());
        if infer {
            if !self.worker.submit(run.session, run.observer.vector()) {
                return Err(worker_gone());
            }
            self.pending.push_back(Pending {
                run: run.id,
                due: now + self.config.latency.max(Ticks(1)),
                first_step: step,
                anchor,
            });
        }
        Ok(())
    }

    /// Applies the answers that are due. Answers to runs that are over are thrown away.
    fn collect(&mut self, now: Tick) -> Result<(), Ending> {
        while self.pending.front().is_some_and(|next| next.due <= now) {
            let wait = self.config.pacing == Pacing::Virtual;
            let Some(result) = self.worker.result(wait) else {
                break;
            };
            let Some(pending) = self.pending.pop_front() else {
                break;
            };
            let is_current = self
                .active
                .as_ref()
                .is_some_and(|run| run.id == pending.run);
            if is_current {
                self.apply(now, &pending, result.ok_or_else(worker_gone)?)?;
            }
        }
        Ok(())
    }

    fn apply(
        &mut self,
        now: Tick,
        pending: &Pending,
        result: InferenceResult,
    ) -> Result<(), Ending> {
        let Some(run) = &mut self.active else {
            return Ok(());
        };
        let output = result
            .map_err(|error| Ending::new(PolicyEnd::Failed, "policy-stall", error.to_string()))?;
        let answer = Answer {
            first_step: pending.first_step,
            aims: decode(&run.policy, &pending.anchor, &output),
        };
        if let Some(apart) = run.blend.push(answer) {
            run.disagreements.push(apart);
            run.doubt.add(&run.policy.confidence, &apart);
            let confidence = run.confidence();
            if confidence < run.policy.confidence.low_below {
                let message = format!(
                    "successive chunks disagree by {:.1} mm: confidence {confidence:.4}",
                    apart.position_m * 1e3
                );
                return Err(Ending::new(
                    PolicyEnd::LowConfidence,
                    "low-confidence",
                    message,
                ));
            }
        }
        if let Some(blended) = run.blend.blended() {
            run.plan = Some(blended.clone());
            let chunk = self.chunk(&blended);
            self.mailbox.chunk.write(&chunk);
        }
        if let Some(run) = &mut self.active {
            run.goal_sent = true;
            run.renewed = now;
            self.mailbox
                .arm
                .write(&chunks_goal(run.goal_id, &run.within, now));
        }
        Ok(())
    }

    fn chunk(&self, blended: &Answer) -> ActionChunk {
        let mut chunk = ActionChunk::zeroed();
        let Some(run) = &self.active else {
            return chunk;
        };
        chunk.id = self.goal_ids.next();
        chunk.goal_id = run.goal_id;
        chunk.start_tick = run.grid(blended.first_step).0;
        chunk.step_ticks = run.policy.step_ticks().0 as u32;
        chunk.len = blended.aims.len().min(CHUNK_STEPS_MAX) as u32;
        let width = run.observer.target.grasp_width_m();
        for (step, aim) in chunk.steps.iter_mut().zip(&blended.aims) {
            *step = chunk_step(&run.policy, width, run.within.force_max_n, aim);
        }
        chunk
    }

    /// Writes the outcome down and leaves the arm holding and the gripper doing what it does.
    fn finish(&mut self, ending: Ending, now: Tick, status: Option<&LoopStatus>) {
        let Some(run) = self.active.take() else {
            return;
        };
        // Whoever took the arm, or the stop that ended the run, has the say already.
        let ours = !matches!(ending.end, PolicyEnd::Stopped)
            && status.is_none_or(|status| status.arm_goal_id <= run.goal_id);
        if run.goal_sent && ours {
            let hold = hold_goal(self.goal_ids.next(), now);
            self.mailbox.arm.write(&hold);
            if let Some(status) = status.copied().or_else(|| self.mailbox.status.latest()) {
                self.mailbox.gripper.write(&GripperGoal {
                    id: self.goal_ids.next(),
                    width_m: status.setpoint.gripper_width_m,
                    force_n: run.policy.gripper.force_n.min(run.within.force_max_n),
                    speed_m_s: GRIPPER_SPEED_M_S,
                });
            }
        }
        if self.outcomes.len() == OUTCOMES_KEPT {
            self.outcomes.pop_first();
        }
        let outcome = PolicyOutcome {
            end: ending.end,
            label: ending.label,
            confidence: run.confidence(),
            ticks: now.since(run.started),
            message: ending.message,
            disagreements: run.disagreements,
        };
        self.outcomes.insert(run.id, outcome);
    }
}

/// Ends the run if the loop has stopped it or somebody else has the arm.
fn check_loop(run: &Run, status: &LoopStatus) -> Result<(), Ending> {
    let reason = || LimitKind::decode(status.reason).map_or("unknown", LimitKind::name);
    if status.stop_state == StopState::Latched as u32 {
        let message = format!("a stop is latched: {}", reason());
        return Err(Ending::new(PolicyEnd::Stopped, "safety-stop", message));
    }
    if !run.goal_sent || status.arm_goal_id < run.goal_id {
        return Ok(());
    }
    if status.arm_goal_id > run.goal_id {
        let message = "another goal took the arm";
        return Err(Ending::new(PolicyEnd::Cancelled, "operator-abort", message));
    }
    match MotionState::decode(status.arm_state) {
        Some(MotionState::Held | MotionState::Done) => {
            let message = format!("the loop held the arm: {}", reason());
            // Pressing on something is how a grasp goes wrong; anything else kept the policy from acting.
            let label = match LimitKind::decode(status.reason) {
                Some(LimitKind::Force) => "no-grasp",
                _ => "policy-stall",
            };
            Err(Ending::new(PolicyEnd::Stopped, label, message))
        }
        Some(MotionState::Stopped) => {
            let message = format!("the loop stopped the arm: {}", reason());
            Err(Ending::new(PolicyEnd::Stopped, "safety-stop", message))
        }
        Some(MotionState::Rejected) => {
            let message = "the loop did not accept a chunk: out of reach";
            Err(Ending::new(PolicyEnd::Failed, "unreachable", message))
        }
        _ => Ok(()),
    }
}

/// True while the gate slows or holds the arm because somebody is near: that time is not the policy's.
fn waits_for_a_person(status: &LoopStatus) -> bool {
    status.limited != 0 && status.reason == LimitKind::Separation as u32
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    libm::sqrt(a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum())
}

fn worker_gone() -> Ending {
    Ending::new(
        PolicyEnd::Failed,
        "policy-stall",
        "the inference thread is gone",
    )
}

fn chunks_goal(id: u64, within: &Within, now: Tick) -> ArmGoal {
    ArmGoal {
        id,
        lease_end_tick: (now + LEASE).0,
        kind: ArmGoalKind::Chunks as u32,
        speed_scale: within.speed,
        acceleration_scale: within.acceleration,
        ..ArmGoal::zeroed()
    }
}

fn hold_goal(id: u64, now: Tick) -> ArmGoal {
    ArmGoal {
        id,
        lease_end_tick: (now + LEASE).0,
        kind: ArmGoalKind::Hold as u32,
        speed_scale: 1.0,
        acceleration_scale: 1.0,
        ..ArmGoal::zeroed()
    }
}

fn chunk_step(manifest: &Manifest, grasp_width_m: f64, force_max_n: f64, aim: &Aim) -> ChunkStep {
    let gripper = &manifest.gripper;
    let gripper_width_m = if aim.gripper >= gripper.close_above {
        gripper.closed_width_m
    } else {
        (grasp_width_m + gripper.open_margin_m).min(gripper.open_max_m)
    };
    ChunkStep {
        pose: tool_down(aim.position_m, aim.yaw_rad),
        gripper_width_m,
        gripper_force_n: gripper.force_n.min(force_max_n),
    }
}

#[cfg(test)]
mod tests;
