//! The life of one task: its phases and what moves it from one to the next.

mod acting;
mod ending;
mod recovering;
mod swapping;

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use sinew_messages::{LimitKind, LoopStatus, StopState};
use sinew_plugin_host::{
    Checkpoint, Failure, Proposal, RunDenials, RunRecord, StartError, Usage, line,
};
use sinew_units::{Tick, Ticks};
use sinew_world::WorldReader;

use self::ending::Seen;

use crate::engine::{EngineConfig, SubmitOptions};
use crate::event::{Happening, TaskEvent};
use crate::failure::FailureLabel;
use crate::fault::{Fault, FaultKind, FaultyRun};
use crate::installed::{Account, PluginRun, Plugins, SwapAt, Version};
use crate::lease::{Leases, RobotParts};
use crate::recovery::History;
use crate::task::{DeniedRun, Outbox, RecordedRun, TaskEnd, TaskId, TaskState, TaskStatus};

/// Tool speed below which the robot counts as at rest, m/s.
const REST_SPEED_M_S: f64 = 0.002;

/// How tasks stand to each other: who comes first where not everybody can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// It has begun, and waits for robot parts.
    WaitsToGoOn,
    /// It has not begun: it waits for robot parts, or for a stop to be reset.
    Queued,
    /// It needs nothing that others have.
    AtWork,
}

/// What a task is given in one step.
pub(crate) struct Context<'a, P: Plugins> {
    pub(crate) plugins: &'a P,
    pub(crate) world: &'a WorldReader,
    pub(crate) config: &'a EngineConfig,
    pub(crate) leases: &'a mut Leases,
    pub(crate) history: &'a mut History,
    pub(crate) out: &'a mut Outbox,
    /// Versions that were left in this step, and why.
    pub(crate) left: &'a mut Vec<(P::Version, String)>,
    pub(crate) now: Tick,
    pub(crate) status: &'a LoopStatus,
    /// The step before had no time for every task: who begins goes on when it is its turn.
    pub(crate) is_short: bool,
}

impl<P: Plugins> Context<'_, P> {
    /// Books an end; gives the reason if the version is left because of it.
    fn account(
        &mut self,
        version: &P::Version,
        account: &Account,
        usage: &Usage,
    ) -> Option<String> {
        if !self.plugins.account(version, account, usage) {
            return None;
        }
        let why = match account {
            Account::Faulted(why) => why.as_str(),
            _ => "it failed too often",
        };
        let why = format!("{} was left: {why}", version.manifest().version);
        self.left.push((version.clone(), why.clone()));
        Some(why)
    }

    fn latched(&self) -> bool {
        self.status.stop_state == StopState::Latched as u32
    }
}

/// What a run is for.
#[derive(Clone, Debug, PartialEq)]
enum Role {
    Skill,
    Recovery { name: String },
}

/// How a run came out, before the world is asked.
#[derive(Clone, Debug)]
enum Outcome {
    Success(Value),
    Failure(Problem),
    Cancelled(String),
    /// Another version goes on from here.
    Swapped,
}

/// A failure as the engine files it.
#[derive(Clone, Debug)]
struct Problem {
    label: FailureLabel,
    message: String,
    detail: Value,
    /// The machine had no memory for the run.
    is_starved: bool,
    /// A stop is latched: the host's own word for it, and no plugin's.
    is_stop: bool,
}

impl Problem {
    fn new(label: FailureLabel, message: impl Into<String>) -> Self {
        Self {
            label,
            message: message.into(),
            detail: Value::Null,
            is_starved: false,
            is_stop: false,
        }
    }

    /// What plugins are told of it.
    fn failure(&self) -> Failure {
        Failure {
            label: self.label.code().to_owned(),
            message: self.message.clone(),
            detail: self.detail.clone(),
        }
    }
}

/// What a plugin run leaves when it has ended.
struct Left {
    number: u64,
    assess: bool,
    record: Option<RunRecord>,
    denials: Option<RunDenials>,
    fault: Option<Fault>,
}

enum Phase<R> {
    /// For robot parts, and for the robot to be free of stops.
    Waiting {
        next: Role,
        since: Tick,
    },
    /// A plugin runs.
    Acting {
        run: R,
        role: Role,
    },
    /// The run has ended; the robot comes to rest.
    Settling {
        role: Role,
        outcome: Outcome,
        since: Tick,
    },
    /// The run says yes; the world is asked.
    Judging {
        role: Role,
        result: Value,
        since: Tick,
        seen: Seen,
    },
    /// Recoveries are asked, one a step.
    Choosing {
        to_ask: VecDeque<String>,
        proposals: Vec<(String, Proposal)>,
    },
    Over,
}

/// Another version of its skill that a task is to go over to.
struct Swap<V> {
    to: V,
    at: SwapAt,
    cause: String,
}

/// A recovery that says it has put things right, and where the task stood then.
struct Claim {
    recovery: String,
    label: FailureLabel,
    checkpoint: Option<Checkpoint>,
}

/// Why a run was asked to end.
enum EndAsked {
    /// Somebody took the task back.
    By(String),
    /// Its time, or its recovery's, is over.
    Time(String),
    /// A stop is latched and it went on all the same.
    Stop,
    /// Another version takes over at once.
    Swap,
    /// Its version was left, and no other can go on in its place: why.
    Abandoned(String),
}

pub(crate) struct Task<P: Plugins> {
    id: TaskId,
    skill: String,
    /// The version of the skill that it runs on, from its first run to its end unless it goes over to another one.
    version: P::Version,
    /// The version that runs, or ran last: the skill's or a recovery's.
    running: P::Version,
    /// Another version that it is to go over to.
    swap: Option<Swap<P::Version>>,
    /// Its version was left, and it goes on with it no more: why.
    abandoned: Option<String>,
    swaps: u64,
    /// Where it stood when the version that it has took over.
    before: Option<Checkpoint>,
    /// What the runs of the version that it has have used, as far as that is not in the books.
    used: Usage,
    /// How the skill's last run ended is in the books, whatever becomes of the task.
    end_is_booked: bool,
    /// A latched stop has ended it.
    is_stopped: bool,
    /// The version of the recovery that runs was left: why.
    recovery_left: Option<String>,
    params: Value,
    params_json: String,
    options: SubmitOptions,
    state: TaskState,
    phase: Phase<P::Run>,
    started: Option<Tick>,
    checkpoint: Option<Checkpoint>,
    runs: u64,
    /// The failure that is being recovered from.
    problem: Option<Problem>,
    failures_met: Vec<FailureLabel>,
    attempts: u32,
    attempts_helped: u64,
    recovering_time: Ticks,
    failures_of: BTreeMap<(String, FailureLabel), u32>,
    claim: Option<Claim>,
    cancel: Option<String>,
    end_asked: Option<EndAsked>,
    latched_since: Option<Tick>,
    step_name: String,
    step_object: Option<u64>,
    nondeterministic: bool,
    end: Option<TaskEnd>,
}

impl<P: Plugins> Task<P> {
    pub(crate) fn new(
        id: TaskId,
        version: P::Version,
        params: Value,
        params_json: String,
        options: SubmitOptions,
    ) -> Self {
        Self {
            id,
            skill: version.manifest().name.clone(),
            running: version.clone(),
            version,
            swap: None,
            abandoned: None,
            swaps: 0,
            before: None,
            used: Usage::default(),
            end_is_booked: false,
            is_stopped: false,
            recovery_left: None,
            params,
            params_json,
            options,
            state: TaskState::Queued,
            phase: Phase::Waiting {
                next: Role::Skill,
                since: Tick(0),
            },
            started: None,
            checkpoint: None,
            runs: 0,
            problem: None,
            failures_met: Vec::new(),
            attempts: 0,
            attempts_helped: 0,
            recovering_time: Ticks(0),
            failures_of: BTreeMap::new(),
            claim: None,
            cancel: None,
            end_asked: None,
            latched_since: None,
            step_name: String::new(),
            step_object: None,
            nondeterministic: false,
            end: None,
        }
    }

    pub(crate) fn skill(&self) -> &str {
        &self.skill
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state.is_final()
    }

    /// Which tasks go on before it in a step.
    pub(crate) fn rank(&self) -> Rank {
        match (&self.phase, self.state) {
            (Phase::Waiting { .. }, TaskState::Queued) => Rank::Queued,
            (Phase::Waiting { .. }, _) => Rank::WaitsToGoOn,
            _ => Rank::AtWork,
        }
    }

    pub(crate) fn end(&self) -> Option<&TaskEnd> {
        self.end.as_ref()
    }

    pub(crate) fn ask_to_cancel(&mut self, who: &str) {
        if !self.is_over() && self.cancel.is_none() {
            self.cancel = Some(format!("cancelled by {who}"));
        }
    }

    pub(crate) fn status(&self) -> TaskStatus {
        let plugin = match &self.phase {
            Phase::Acting { role, .. } => self.plugin_of(role).to_owned(),
            _ => String::new(),
        };
        TaskStatus {
            id: self.id,
            state: self.state,
            skill: self.skill.clone(),
            plugin,
            step: self.step_name.clone(),
            object: self.step_object,
        }
    }

    /// Another version of its skill is active now, and tasks that run go over to it at `at`.
    pub(crate) fn go_over(&mut self, to: &P::Version, at: SwapAt, cause: &str) {
        let is_other = self.version.digest() != to.digest();
        let at = if self.abandoned.is_some() {
            SwapAt::Now
        } else {
            at
        };
        self.swap = (at != SwapAt::NextTask && is_other && !self.is_over()).then(|| Swap {
            to: to.clone(),
            at,
            cause: cause.to_owned(),
        });
    }

    /// What it was to go over to is not active any more.
    pub(crate) fn stay(&mut self) {
        self.swap = None;
    }

    /// A version was left for another one, or for none. If it is the one that the task has, nothing of it is run any more; it does
    /// not go over to it either.
    pub(crate) fn abandon(&mut self, digest: &str, to: Option<&P::Version>, why: &str) {
        let was_to_take = (self.swap).take_if(|swap| swap.to.digest() == digest);
        if self.is_over() {
            return;
        }
        if self.version.digest() == digest {
            if self.abandoned.is_none() {
                // What a version that misbehaves has left behind is worth no more than it is itself.
                self.checkpoint = self.before.take();
            }
            self.abandoned = Some(why.to_owned());
        } else if was_to_take.is_none() || self.abandoned.is_none() {
            // It goes on with its own.
            return;
        }
        self.swap = to.map(|to| Swap {
            to: to.clone(),
            at: SwapAt::Now,
            cause: why.to_owned(),
        });
    }

    /// The same of the version of a recovery: if it runs for the task, it is ended.
    pub(crate) fn abandon_recovery(&mut self, name: &str, digest: &str, why: &str) {
        let runs = match &self.phase {
            Phase::Acting {
                role: Role::Recovery { name: running },
                ..
            } => running == name && self.running.digest() == digest,
            _ => false,
        };
        if runs {
            self.recovery_left = Some(why.to_owned());
        }
    }

    /// Its version was left, and there is none to go over to.
    fn is_over_for_good(&self) -> bool {
        self.abandoned.is_some() && self.swap.is_none()
    }

    /// The failure that is being recovered from.
    fn problem(&self) -> Problem {
        let unknown = || Problem::new(FailureLabel::SkillFault, "no failure is known");
        self.problem.clone().unwrap_or_else(unknown)
    }

    fn plugin_of<'a>(&'a self, role: &'a Role) -> &'a str {
        match role {
            Role::Skill => &self.skill,
            Role::Recovery { name } => name,
        }
    }

    fn say(&self, context: &mut Context<'_, P>, what: Happening) {
        context.out.events.push(TaskEvent {
            tick: context.now,
            task: self.id,
            what,
        });
    }

    fn enter(&mut self, context: &mut Context<'_, P>, to: TaskState, cause: &str) {
        if self.state == to {
            return;
        }
        let from = self.state;
        self.state = to;
        self.say(
            context,
            Happening::State {
                from,
                to,
                cause: cause.to_owned(),
            },
        );
    }

    /// One step. Phases that end at once lead on within the same step, so that no tick is lost between them.
    pub(crate) fn step(&mut self, context: &mut Context<'_, P>) {
        loop {
            let phase = std::mem::replace(&mut self.phase, Phase::Over);
            let (next, go_on) = match phase {
                Phase::Waiting { next, since } => self.wait(context, next, since),
                Phase::Acting { run, role } => self.act(context, run, role),
                Phase::Settling {
                    role,
                    outcome,
                    since,
                } => self.settle(context, role, outcome, since),
                Phase::Judging {
                    role,
                    result,
                    since,
                    seen,
                } => self.judge(context, role, result, since, seen),
                Phase::Choosing { to_ask, proposals } => self.ask(context, to_ask, proposals),
                Phase::Over => (Phase::Over, false),
            };
            self.phase = next;
            if !go_on {
                return;
            }
        }
    }

    /// Ends what runs of it. It goes on no more, whatever it waited for.
    pub(crate) fn close(&mut self, out: &mut Outbox) {
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        if let Phase::Acting { mut run, role, .. } = phase {
            run.kill();
            let name = self.plugin_of(&role).to_owned();
            self.pass_on(out, &name, &mut run);
            let left = Left::by(&mut run, self.runs, None);
            self.leave(out, &self.running, left);
        }
    }

    /// Hands out what a run left.
    fn leave(&self, out: &mut Outbox, version: &P::Version, left: Left) {
        let Left {
            number,
            assess,
            record,
            denials,
            fault,
        } = left;
        let task = self.id;
        out.recorded.extend(record.map(|record| RecordedRun {
            task,
            number,
            assess,
            record,
        }));
        out.denied.extend(denials.map(|denials| DeniedRun {
            task,
            number,
            assess,
            denials,
        }));
        out.faulty.extend(fault.map(|fault| FaultyRun {
            task,
            number,
            assess,
            plugin: version.manifest().name.clone(),
            version: version.manifest().version.clone(),
            digest: version.digest().to_owned(),
            fault,
        }));
    }

    fn time_is_over(&self, context: &Context<'_, P>) -> Option<String> {
        let limit = self.options.time_limit?;
        let spent = context.now.since(self.started?);
        (spent > limit).then(|| format!("the task's time of {:.0} s is over", limit.as_seconds()))
    }

    fn wait(
        &mut self,
        context: &mut Context<'_, P>,
        next: Role,
        since: Tick,
    ) -> (Phase<P::Run>, bool) {
        if let Some(cause) = self.cancel.take() {
            return self.cancelled(context, &cause);
        }
        if context.latched() {
            // A task that has not begun waits for the reset. One that has is over: only a person can go on.
            if self.state == TaskState::Queued {
                return (Phase::Waiting { next, since }, false);
            }
            let problem = stop_problem(context.status);
            return self.fail(context, problem);
        }
        if self.state != TaskState::Queued
            && let Some(message) = self.time_is_over(context)
        {
            return self.fail(context, Problem::new(FailureLabel::Timeout, message));
        }
        // One that has begun goes on with its parts before somebody else takes them.
        if self.state == TaskState::Queued && context.plugins.step_is_used_up() {
            return (Phase::Waiting { next, since }, false);
        }
        let name = self.plugin_of(&next).to_owned();
        let version = match self.version_for(context, &next) {
            Ok(version) => version,
            Err(message) => {
                let problem = Problem::new(FailureLabel::SkillFault, message);
                return match next {
                    Role::Skill => self.fail(context, problem),
                    // It was there when it was asked; the skill has done nothing for it.
                    Role::Recovery { name } => self.recovery_failed(context, &name, problem),
                };
            }
        };
        let parts = RobotParts::of(version.manifest());
        let taken = match self.state {
            TaskState::Queued => context.leases.take_to_begin(parts, self.id),
            _ => context.leases.take_to_go_on(parts, self.id),
        };
        if taken.is_err() {
            return (Phase::Waiting { next, since }, false);
        }
        self.say(
            context,
            Happening::LeaseTaken {
                parts: parts.names(),
            },
        );
        self.runs += 1;
        let seed = mix(self.options.seed, self.runs);
        let resumed = match next {
            Role::Skill => self.checkpoint.as_ref().map(|checkpoint| checkpoint.schema),
            Role::Recovery { .. } => None,
        };
        let started = match &next {
            Role::Skill => context.plugins.start_skill(
                &version,
                &self.params_json,
                self.checkpoint.clone(),
                parts.lease(),
                seed,
                context.now,
            ),
            Role::Recovery { .. } => {
                let problem = self.problem();
                context.plugins.start_recovery(
                    &version,
                    &problem.failure(),
                    &self.recovery_context(
                        self.attempts.saturating_sub(1),
                        context.config.budget.run_time,
                    ),
                    parts.lease(),
                    seed,
                    context.now,
                )
            }
        };
        (self.end_asked, self.recovery_left) = (None, None);
        self.latched_since = None;
        let number = version.manifest().version.clone();
        self.running = version;
        match started {
            Ok(run) => {
                if next == Role::Skill {
                    self.started.get_or_insert(context.now);
                    let cause = match resumed {
                        Some(_) => "taken up again from its last safe point",
                        None if self.runs == 1 => "its robot parts are free",
                        None => "started anew",
                    };
                    self.enter(context, TaskState::Running, cause);
                }
                self.say(
                    context,
                    Happening::RunStarted {
                        plugin: name,
                        version: number,
                        resumed,
                        seed,
                    },
                );
                let phase = Phase::Acting { run, role: next };
                (phase, !context.is_short)
            }
            Err(error) => {
                let problem = start_problem(&error);
                let left = Left::of_none(self.runs, &problem.message);
                self.leave(context.out, &self.running, left);
                let outcome = Outcome::Failure(problem);
                self.settled(context, next, outcome)
            }
        }
    }

    fn settle(
        &mut self,
        context: &mut Context<'_, P>,
        role: Role,
        outcome: Outcome,
        since: Tick,
    ) -> (Phase<P::Run>, bool) {
        let waited = context.now.since(since);
        let at_rest =
            context.status.tick > since.0 && context.status.tool_speed_m_s.abs() < REST_SPEED_M_S;
        if !at_rest && waited <= context.config.settle_time {
            let phase = Phase::Settling {
                role,
                outcome,
                since,
            };
            return (phase, false);
        }
        self.settled(context, role, outcome)
    }

    /// The run is over and the robot stands: what now?
    fn settled(
        &mut self,
        context: &mut Context<'_, P>,
        role: Role,
        outcome: Outcome,
    ) -> (Phase<P::Run>, bool) {
        match outcome {
            Outcome::Success(result) => {
                let phase = Phase::Judging {
                    role,
                    result,
                    since: context.now,
                    seen: Seen::default(),
                };
                (phase, true)
            }
            Outcome::Failure(problem) => {
                self.release(context);
                match role {
                    Role::Skill => self.skill_failed(context, problem),
                    Role::Recovery { name } => self.recovery_failed(context, &name, problem),
                }
            }
            Outcome::Cancelled(cause) => self.cancelled(context, &cause),
            Outcome::Swapped => {
                self.release(context);
                let phase = Phase::Waiting {
                    next: role,
                    since: context.now,
                };
                (phase, true)
            }
        }
    }

    fn release(&self, context: &mut Context<'_, P>) {
        context.leases.release(self.id);
        self.say(context, Happening::LeaseReleased);
    }
}

impl Left {
    /// Of a run that could not be started.
    fn of_none(number: u64, why: &str) -> Self {
        Self {
            number,
            assess: false,
            record: None,
            denials: None,
            fault: Some(Fault {
                kind: FaultKind::Start,
                text: line(why.lines().next().unwrap_or_default()),
            }),
        }
    }

    fn by(run: &mut impl PluginRun, number: u64, fault: Option<Fault>) -> Self {
        Self {
            number,
            assess: false,
            record: run.take_record(),
            denials: run.take_denials(),
            fault,
        }
    }
}

fn stop_problem(status: &LoopStatus) -> Problem {
    let reason = LimitKind::decode(status.reason).map_or("unknown", LimitKind::name);
    Problem {
        is_stop: true,
        ..Problem::new(
            FailureLabel::SafetyStop,
            format!("a stop is latched: {reason}"),
        )
    }
}

fn start_problem(error: &StartError) -> Problem {
    Problem::new(
        FailureLabel::SkillFault,
        format!("it could not be started: {error}"),
    )
}

/// Seed of the n-th run: SplitMix64 (Steele, Lea, Flood 2014) of the task's seed.
fn mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
