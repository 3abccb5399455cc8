//! One run of a plugin: a fresh instance on a fiber, polled once a brain step.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytemuck::Zeroable as _;
use sinew_messages::LoopStatus;
use sinew_units::{Tick, Ticks};
use wasmtime::component::{ComponentExportIndex, Instance, TypedFunc};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::WIT_VERSION;
use crate::denials::{DenialReason, RunDenials};
use crate::guard::thread_time_ns;
use crate::limits::{FUEL_YIELD, Limits};
use crate::outcome::{Checkpoint, Failure, Proposal, RunEnd, RunEvent, Usage};
use crate::plugin::Plugin;
use crate::ports::HostPorts;
use crate::reaper::Reaper;
use crate::state::{BUDGET_OF_STEP, RunState, Shared, lock};
use crate::tape::{Budgets, RecordedEnd, RunRecord, recorded_cases, recorded_fields};
use crate::wire;

/// Longest text that is kept of a trap, bytes.
const TRAP_TEXT_MAX: usize = 4 << 10;

/// What the guest is asked to do.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Skill(Job),
    Recover(Trouble),
    Assess(Trouble),
}

/// What a skill is started with.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) params: String,
    pub(crate) resume: Option<wire::Checkpoint>,
}

/// What a recovery is started with.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) failure: wire::Failure,
    pub(crate) context: wire::Context,
}

recorded_fields! {
    Job { params, resume }
    Trouble { failure, context }
}

recorded_cases! { Entry {
    0 Skill(job),
    1 Recover(trouble),
    2 Assess(trouble),
} }

/// What the guest gave back.
pub(crate) enum Answer {
    End(RunEnd),
    Proposal(Option<Proposal>),
}

/// Where one stretch of computing came to.
enum Slice {
    /// An answer, or a wait.
    Over(Option<Answer>),
    /// It would go on if it had more fuel.
    OutOfFuel,
}

/// A guest at work, to be polled.
pub(crate) type Work = Pin<Box<dyn Future<Output = (Answer, Remains)> + Send>>;

/// What is left of an instance that has ended, for the reaper.
pub(crate) type Remains = Box<dyn Send>;

/// One run of a plugin. Dropping it kills it.
pub struct Run {
    plugin: Arc<Plugin>,
    work: Option<Work>,
    reaper: Reaper,
    shared: Arc<Mutex<Shared>>,
    ports: HostPorts,
    limits: Arc<Limits>,
    started: Tick,
    turns: Turns,
    /// When it was cancelled, and its turns until then.
    cancelled: Option<(Tick, u64)>,
    /// What its record begins with, and then that record.
    header: Option<Header>,
    record: Option<RunRecord>,
}

/// How often it went on, and how long it was not let because others had the time.
struct Turns {
    had: u64,
    stepped: Tick,
    is_served: bool,
    unserved_ticks: u64,
}

impl Turns {
    fn next(&mut self, now: Tick, is_served: bool) {
        self.unserved_ticks = self.unserved(now);
        self.had += u64::from(is_served);
        (self.stepped, self.is_served) = (now, is_served);
    }

    /// Ticks until now.
    fn unserved(&self, now: Tick) -> u64 {
        match self.is_served {
            true => self.unserved_ticks,
            false => self.unserved_ticks + now.since(self.stepped).0,
        }
    }
}

/// Turns that a run has after its cancellation, whatever others do meanwhile: it can't listen in less.
const TURNS_OF_GRACE: u64 = 3;

/// What is known of a run before it begins.
pub(crate) struct Header {
    pub(crate) entry: Entry,
    pub(crate) seed: u64,
}

impl Run {
    pub(crate) fn new(
        plugin: Arc<Plugin>,
        (work, reaper): (Work, Reaper),
        shared: Arc<Mutex<Shared>>,
        ports: HostPorts,
        limits: Arc<Limits>,
        started: Tick,
        header: Header,
    ) -> Self {
        Self {
            header: Some(header),
            record: None,
            plugin,
            work: Some(work),
            reaper,
            shared,
            ports,
            limits,
            started,
            turns: Turns {
                had: 0,
                stepped: started,
                is_served: true,
                unserved_ticks: 0,
            },
            cancelled: None,
        }
    }

    /// The plugin that runs.
    #[must_use]
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Lets the guest go on up to its next wait, or up to this step's budget. `Some` once, at the end; from then
    /// on nothing happens any more.
    pub fn poll(&mut self, now: Tick) -> Option<RunEnd> {
        match self.step(now)? {
            Answer::End(end) => Some(end),
            // Only an `assess` gives one, and its host does not hand out the run.
            Answer::Proposal(_) => None,
        }
    }

    pub(crate) fn step(&mut self, now: Tick) -> Option<Answer> {
        self.work.as_ref()?;
        let begun = self.begin(now);
        if let Some((since, turns)) = self.cancelled
            && now.since(since).0 > self.limits.grace_ticks
            && self.turns.had - turns >= TURNS_OF_GRACE
        {
            return Some(self.end(Answer::End(RunEnd::Cancelled { killed: true })));
        }
        let is_served = !lock(&self.shared).share_is_used_up();
        self.turns.next(now, is_served);
        if self.ran(now).0 > self.limits.run_ticks {
            let what = format!("run length: {} ticks", self.limits.run_ticks);
            return Some(self.end(Answer::End(RunEnd::OutOfBudget {
                what,
                nondeterministic: false,
            })));
        }
        if !is_served {
            return None;
        }
        let answer = self.go_on(begun);
        Some(self.end_with(answer?))
    }

    /// Lets the guest go on up to its next wait, or for a step's worth of fuel or time; the step has begun at `begun`.
    fn go_on(&mut self, begun: Instant) -> Option<Answer> {
        let slices = (self.limits.fuel_per_step / FUEL_YIELD).max(1);
        // Most steps end in the first slice, which takes microseconds: to ask the kernel for the time that this thread has had
        // would be a good part of them.
        let first = self.slice(Some(begun))?;
        if let Slice::Over(answer) = first {
            return answer;
        }
        let before = thread_time_ns();
        let mut last = first;
        for _ in 1..slices {
            if lock(&self.shared).share_is_used_up() {
                break;
            }
            last = self.slice(None)?;
            if matches!(last, Slice::Over(_)) {
                break;
            }
        }
        let mut shared = lock(&self.shared);
        shared.usage.cpu_ns += thread_time_ns().saturating_sub(before);
        match last {
            Slice::Over(answer) => answer,
            Slice::OutOfFuel => {
                shared.usage.overruns += 1;
                None
            }
        }
    }

    /// Lets the guest go on up to its next wait, or until it has used up a slice of fuel. What has passed since `begun` is booked
    /// as its computing.
    fn slice(&mut self, begun: Option<Instant>) -> Option<Slice> {
        let mut context = Context::from_waker(Waker::noop());
        let polled = self.work.as_mut()?.as_mut().poll(&mut context);
        let mut shared = lock(&self.shared);
        if let Some(begun) = begun {
            shared.usage.cpu_ns += u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        }
        if let Poll::Ready((answer, remains)) = polled {
            drop(shared);
            self.work = None;
            self.reaper.take(remains);
            return Some(Slice::Over(Some(answer)));
        }
        Some(if shared.interrupted {
            Slice::Over(Some(Answer::End(interrupted(&self.limits))))
        } else if shared.handed_over {
            Slice::Over(Some(Answer::End(RunEnd::HandedOver)))
        } else if shared.suspended {
            Slice::Over(None)
        } else {
            Slice::OutOfFuel
        })
    }

    /// The guest came back, or stands where it is taken over.
    fn end_with(&mut self, answer: Answer) -> Answer {
        let is_taken = matches!(answer, Answer::End(RunEnd::HandedOver));
        self.keep_record(&answer, is_taken);
        self.end(match answer {
            Answer::End(_) if self.cancelled.is_some() => {
                Answer::End(RunEnd::Cancelled { killed: false })
            }
            answer => answer,
        })
    }

    /// Lets another version take over at the next safe point whose checkpoint has one of the versions that it `reads`: there
    /// the run ends, and its checkpoint is what that goes on from.
    pub fn hand_over(&mut self, reads: &[u32]) {
        reads.clone_into(&mut lock(&self.shared).hand_over);
    }

    /// Asks the run to end: what it waits for is cancelled, its motion brakes, and after the grace it is killed.
    pub fn cancel(&mut self) {
        if self.cancelled.is_some() || self.work.is_none() {
            return;
        }
        let mut shared = lock(&self.shared);
        let now = shared.now;
        self.cancelled = Some((now, self.turns.had));
        shared.cancelled = true;
        shared.desk.cancel_all(now);
    }

    /// Ends the run now. Guest destructors do not run; motion brakes, handles and leases are released.
    pub fn kill(&mut self) -> RunEnd {
        let end = RunEnd::Cancelled { killed: true };
        self.end(Answer::End(end.clone()));
        end
    }

    /// What was recorded of it, once it has ended. Once.
    pub fn take_record(&mut self) -> Option<RunRecord> {
        self.record.take()
    }

    /// Puts the record together. `by_host`: the host ended it, not what it did.
    fn keep_record(&mut self, answer: &Answer, by_host: bool) {
        let calls = lock(&self.shared).tape.take();
        if let (Some(calls), Some(Header { entry, seed })) = (calls, self.header.take()) {
            let manifest = self.plugin.manifest();
            self.record = Some(RunRecord {
                plugin: manifest.name.clone(),
                version: manifest.version.clone(),
                digest: self.plugin.digest().to_owned(),
                started: self.started.0,
                end: recorded_end(answer, by_host),
                seed,
                entry,
                budgets: Budgets::of(&self.limits),
                calls,
            });
        }
    }

    /// What was refused to it, once it has ended; `None` if nothing was. Once.
    pub fn take_denials(&mut self) -> Option<RunDenials> {
        if !self.has_ended() {
            return None;
        }
        let (kinds, more) = lock(&self.shared).denials.take();
        let manifest = self.plugin.manifest();
        (!kinds.is_empty()).then(|| RunDenials {
            plugin: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: self.plugin.digest().to_owned(),
            kinds,
            more,
        })
    }

    /// True once it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.work.is_none()
    }

    /// The checkpoint that the run was taken up from counts until it stores a newer one.
    pub(crate) fn keep_checkpoint(&self, resume: Option<Checkpoint>) {
        lock(&self.shared).checkpoint = resume;
    }

    /// The last checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        lock(&self.shared).checkpoint.clone()
    }

    /// What it has said since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<RunEvent> {
        std::mem::take(&mut lock(&self.shared).events)
    }

    /// How long it has run, without the steps in which others kept it from going on.
    #[must_use]
    pub fn ran(&self, now: Tick) -> Ticks {
        Ticks(now.since(self.started).0 - self.turns.unserved(now))
    }

    /// What it has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        lock(&self.shared).usage
    }

    fn begin(&mut self, now: Tick) -> Instant {
        let begun = Instant::now();
        let mut shared = lock(&self.shared);
        let shared = &mut *shared;
        shared.now = now;
        shared.calls_in_step = 0;
        shared.fuel_in_step = 0;
        shared.step_began = begun;
        shared.suspended = false;
        let was_known = shared.status.is_some();
        // In place: it is half a kilobyte.
        let status = shared.status.get_or_insert_with(LoopStatus::zeroed);
        if (self.ports.robot.mailbox.status.read_newer(0, status)).is_none() {
            if !was_known {
                shared.status = None;
            }
            return begun;
        }
        shared.desk.step(now, status);
        shared.at_border = shared.fence.look(status);
        if let Some(reason) = shared.at_border.clone() {
            let stops_motion = shared.desk.brake_at_border(now);
            // Whatever the plugin calls meanwhile, this is what is refused.
            let refused = match shared.policy_run {
                Some(_) => Some("policy.run"),
                None => stops_motion.then_some("motion"),
            };
            if let Some(function) = refused {
                shared.refuse_in(function, DenialReason::Border, &reason);
            }
            if let Some(policy) = shared.policy_run.take() {
                lock(&self.ports.policies).cancel(policy, now);
            }
        }
        begun
    }

    /// Everything that the run still holds of the host goes back. Does not depend on the guest.
    fn end(&mut self, answer: Answer) -> Answer {
        if let Some(work) = self.work.take() {
            self.reaper.take(Box::new(work));
        }
        self.keep_record(&answer, true);
        let mut shared = lock(&self.shared);
        let now = shared.now;
        shared.desk.close(now);
        if let Some(policy) = shared.policy_run.take() {
            lock(&self.ports.policies).cancel(policy, now);
        }
        if let (Some(question), Some(operator)) = (shared.question.take(), &self.ports.operator) {
            lock(operator).withdraw(question);
        }
        answer
    }
}

/// What a recovery says it has done, if it says how the skill goes on.
fn recovered(wire::RecoveryOutcome { message, next }: wire::RecoveryOutcome) -> RunEnd {
    if ["resume", "restart"].contains(&next.as_str()) {
        return RunEnd::Finished(serde_json::json!({ "message": message, "next": next }));
    }
    RunEnd::Failed(Failure {
        label: "skill-fault".to_owned(),
        message: format!(
            "it says that the skill goes on by `{next}`, which is none of resume, restart"
        ),
        detail: serde_json::Value::Null,
    })
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.work.is_some() {
            self.kill();
        }
    }
}

/// How a run ended, as its record says it.
pub(crate) fn recorded_end(answer: &Answer, by_host: bool) -> RecordedEnd {
    let (kind, text, by_host) = match answer {
        Answer::Proposal(proposal) => ("proposed", format!("{proposal:?}"), by_host),
        Answer::End(RunEnd::Finished(result)) => ("finished", result.to_string(), by_host),
        Answer::End(RunEnd::Failed(failure)) => {
            let Failure {
                label,
                message,
                detail,
            } = failure;
            ("failed", format!("{label}: {message} {detail}"), by_host)
        }
        Answer::End(RunEnd::Trapped { message }) => ("trapped", message.clone(), by_host),
        Answer::End(RunEnd::OutOfBudget {
            what,
            nondeterministic,
        }) => {
            // What is counted by the step depends on where the steps were.
            let by_host = by_host || *nondeterministic || what == BUDGET_OF_STEP;
            ("out-of-budget", what.clone(), by_host)
        }
        Answer::End(RunEnd::Starved { what }) => ("starved", what.clone(), true),
        Answer::End(RunEnd::Cancelled { .. }) => ("cancelled", String::new(), true),
        Answer::End(RunEnd::HandedOver) => ("handed-over", String::new(), true),
    };
    RecordedEnd {
        kind: kind.to_owned(),
        text,
        by_host,
    }
}

/// A store for one run, with all its limits.
fn store_for(plugin: &Plugin, state: RunState) -> Store<RunState> {
    let limits = Arc::clone(&state.limits);
    let guarded = Arc::clone(&state.shared);
    let mut store = Store::new(&plugin.engine, state);
    store.limiter(|state| &mut state.space);
    store.set_hostcall_fuel(limits.call_bytes);
    // The table of the host's resources is full before: a guest is answered that, and not ended.
    store.set_max_component_handles(limits.handles + BORROWED_HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut store| {
        if !lock(&guarded).step_is_over(&limits) {
            return Ok(UpdateDeadline::Continue(1));
        }
        let left = store.get_fuel()?;
        store.data_mut().interrupt(left);
        // Its owner lets it stand there. To trap would be to collect a backtrace first, which takes longer than all the rest.
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

/// What the guard of the thread ends a run with.
pub(crate) fn interrupted(limits: &Limits) -> RunEnd {
    RunEnd::OutOfBudget {
        what: kept_the_thread(limits),
        nondeterministic: true,
    }
}

pub(crate) fn kept_the_thread(limits: &Limits) -> String {
    let Limits {
        step_cpu_ms,
        step_wall_ms,
        ..
    } = limits;
    format!("host thread: {step_cpu_ms} ms of computing, or {step_wall_ms} ms in all, in one step")
}

/// Gives a store its first fuel and makes the instance.
async fn instance_in(
    plugin: &Plugin,
    store: &mut Store<RunState>,
    fuel: u64,
) -> wasmtime::Result<Instance> {
    store.data_mut().fuel_given = fuel;
    store.set_fuel(fuel)?;
    store.fuel_async_yield_interval(Some(FUEL_YIELD))?;
    plugin.instance.instantiate_async(&mut *store).await
}

type RunSkill = TypedFunc<(String, Option<wire::Checkpoint>), (Result<String, wire::Failure>,)>;
type Recover =
    TypedFunc<(wire::Failure, wire::Context), (Result<wire::RecoveryOutcome, wire::Failure>,)>;
type Assess = TypedFunc<(wire::Failure, wire::Context), (Option<wire::Proposal>,)>;

/// Whether the entry points are of the types that they are called with.
fn fits(plugin: &Plugin, instance: &Instance, store: &mut Store<RunState>) -> wasmtime::Result<()> {
    match &plugin.assess {
        None => {
            let _: RunSkill = instance.get_typed_func(&mut *store, plugin.entry)?;
        }
        Some(assess) => {
            let _: Recover = instance.get_typed_func(&mut *store, plugin.entry)?;
            let _: Assess = instance.get_typed_func(&mut *store, assess)?;
        }
    }
    Ok(())
}

/// Instantiates the plugin and calls nothing.
pub(crate) async fn instantiate(plugin: &Plugin, state: RunState) -> Result<(), String> {
    let fuel = state.limits.fuel_between_calls;
    let mut store = store_for(plugin, state);
    match instance_in(plugin, &mut store, fuel).await {
        Ok(instance) => fits(plugin, &instance, &mut store).map_err(|error| {
            format!(
                "its entry point has another type than in sinew:plugin@{WIT_VERSION}: {error:#}"
            )
        }),
        Err(error) => Err(match verdict(&error, store.data()) {
            RunEnd::Trapped { message } => message,
            RunEnd::OutOfBudget { what, .. } => what,
            RunEnd::Starved { what } => format!("this machine has no memory left for it: {what}"),
            other => format!("{other:?}"),
        }),
    }
}

/// Instantiates the plugin in a store of its own and calls its entry point.
pub(crate) fn work(plugin: Arc<Plugin>, state: RunState, entry: Entry) -> Work {
    let fuel = state.limits.fuel_between_calls;
    let shared = Arc::clone(&state.shared);
    // Made here, so that what waits holds no room for what these were before.
    let mut store = store_for(&plugin, state);
    let entry = Box::new(entry);
    Box::pin(async move {
        let outcome = enter(&plugin, &mut store, fuel, entry).await;
        if let Ok(left) = store.get_fuel() {
            store.data_mut().charge(left);
        }
        lock(&shared).usage.memory_peak_bytes = store.data().space.peak_bytes as u64;
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => Answer::End(verdict(&error, store.data())),
        };
        (answer, Box::new(store) as Remains)
    })
}

async fn enter(
    plugin: &Plugin,
    store: &mut Store<RunState>,
    fuel: u64,
    entry: Box<Entry>,
) -> wasmtime::Result<Answer> {
    let instance = instance_in(plugin, store, fuel).await?;
    let index: &ComponentExportIndex = match &*entry {
        Entry::Assess(_) => plugin.assess.as_ref().unwrap_or(&plugin.entry),
        _ => &plugin.entry,
    };
    match *entry {
        Entry::Skill(Job { params, resume }) => {
            let run: RunSkill = instance.get_typed_func(&mut *store, index)?;
            let (result,) = run.call_async(&mut *store, (params, resume)).await?;
            Ok(Answer::End(match result {
                Ok(json) => plugin.checked_result(&json),
                Err(failure) => RunEnd::Failed(failure.into()),
            }))
        }
        Entry::Recover(Trouble { failure, context }) => {
            let recover: Recover = instance.get_typed_func(&mut *store, index)?;
            let (result,) = recover.call_async(&mut *store, (failure, context)).await?;
            Ok(Answer::End(match result {
                Ok(outcome) => recovered(outcome),
                Err(failure) => RunEnd::Failed(failure.into()),
            }))
        }
        Entry::Assess(Trouble { failure, context }) => {
            let assess: Assess = instance.get_typed_func(&mut *store, index)?;
            let (proposal,) = assess.call_async(&mut *store, (failure, context)).await?;
            Ok(Answer::Proposal(proposal.map(|proposal| Proposal {
                plan: proposal.plan,
                cost_ticks: proposal.cost_ticks,
                // A NaN estimate is no estimate.
                success: if proposal.success.is_nan() {
                    0.0
                } else {
                    proposal.success.clamp(0.0, 1.0)
                },
            })))
        }
    }
}

/// Handles that a guest lends in one call: `wait-any` takes most of them.
const BORROWED_HANDLES: usize = 64;
/// Most of the headline of a trap that is the guest's own words, characters.
const HEADLINE_CHARS_MAX: usize = 300;

/// What a trap is told as in one line: the guest's last words if it had any, or else its cause.
fn headline(words: &str, error: &wasmtime::Error) -> String {
    let said: Vec<&str> = (words.lines().map(str::trim))
        .filter(|line| !line.is_empty() && !line.starts_with("note: run with"))
        .collect();
    if said.is_empty() {
        return error.root_cause().to_string();
    }
    let said = said.join(" ");
    // What was said last is nearest to the cause.
    let beyond = said.chars().count().saturating_sub(HEADLINE_CHARS_MAX);
    said.chars().skip(beyond).collect()
}

/// Whether the machine had no memory left. Nothing that a guest does within its budgets ends like this where there is enough.
pub(crate) fn starved(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        let by_system = cause.downcast_ref() == Some(&rustix::io::Errno::NOMEM);
        let by_std = (cause.downcast_ref::<std::io::Error>())
            .is_some_and(|error| error.kind() == std::io::ErrorKind::OutOfMemory);
        by_system || by_std
    })
}

/// What an error that ended the guest means.
fn verdict(error: &wasmtime::Error, state: &RunState) -> RunEnd {
    let budget = |what: String, nondeterministic| RunEnd::OutOfBudget {
        what,
        nondeterministic,
    };
    if state.shared().interrupted {
        return interrupted(&state.limits);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            return budget(
                format!(
                    "computing: {} units of fuel without a host call",
                    state.limits.fuel_between_calls
                ),
                false,
            );
        }
        Some(Trap::Interrupt) => return interrupted(&state.limits),
        _ => {}
    }
    if error.root_cause().to_string() == BUDGET_OF_STEP {
        return budget(BUDGET_OF_STEP.to_owned(), false);
    }
    let starved = match starved(error) {
        true => Some(format!("{error:#}")),
        false => state.space.starved.clone(),
    };
    if let Some(what) = starved {
        return RunEnd::Starved { what };
    }
    // Growth that failed stays counted, so whoever was starved may be refused some, too.
    if let Some(refused) = &state.space.refused {
        return budget(format!("memory: {refused}"), false);
    }
    let words = state.wasi.last_words();
    let mut message = format!("{}\n{error:#}", headline(&words, error));
    if message.len() > TRAP_TEXT_MAX {
        let end = (0..=TRAP_TEXT_MAX)
            .rev()
            .find(|index| message.is_char_boundary(*index))
            .unwrap_or(0);
        message.truncate(end);
    }
    RunEnd::Trapped { message }
}
