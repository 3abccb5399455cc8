//! What one instance carries: its store's data, and the part of it that the run's owner sees between polls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use sinew_messages::LoopStatus;
use sinew_units::Tick;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Trap};

use crate::capabilities::Tallies;
use crate::denials::{DenialReason, Ledger, line};
use crate::desk::Desk;
use crate::fence::Fence;
use crate::grants::Grant;
use crate::guard::Look;
use crate::limits::Limits;
use crate::manifest::CAPABILITIES;
use crate::memories::RunMemory;
use crate::outcome::{Checkpoint, Lease, RunEvent, Usage};
use crate::ports::HostPorts;
use crate::run::starved;
use crate::share::StepShare;
use crate::tape::{Recorded, Tape};
use crate::wasi::Inert;
use crate::wire::Error;

/// A mutex that a panicking neighbour can't take away: everything behind it stays consistent call by call.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the guest's calls and the run's owner both touch.
pub(crate) struct Shared {
    pub(crate) now: Tick,
    pub(crate) tape: Tape,
    pub(crate) status: Option<LoopStatus>,
    pub(crate) cancelled: bool,
    /// Another version is to take the run over at its next safe point with a checkpoint of one of these versions.
    pub(crate) hand_over: Vec<u32>,
    /// It stands at that safe point.
    pub(crate) handed_over: bool,
    /// Set when a call waits for a later step; clear when the fiber merely used up a slice of fuel.
    pub(crate) suspended: bool,
    /// Set where its step has kept the thread for too long: it stands wherever it was, and does not go on.
    pub(crate) interrupted: bool,
    pub(crate) calls_in_step: u32,
    pub(crate) fuel_in_step: u64,
    pub(crate) step_began: Instant,
    pub(crate) look: Look,
    /// What all runs of the host have in a step together; `None`: each has its own budgets only.
    pub(crate) share: Option<Arc<StepShare>>,
    pub(crate) desk: Desk,
    pub(crate) fence: Fence,
    pub(crate) policy_run: Option<u64>,
    /// Why nothing may move the tool on now: it is about to cross a border of its grant.
    pub(crate) at_border: Option<String>,
    pub(crate) question: Option<u64>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) events: Vec<RunEvent>,
    pub(crate) denials: Ledger,
    pub(crate) usage: Usage,
    pub(crate) event_rate: Rate,
    pub(crate) denial_rate: Rate,
    pub(crate) goal_rate: Rate,
    pub(crate) log_rate: Rate,
}

impl Shared {
    /// Whether this step has kept the thread for longer than it may.
    pub(crate) fn step_is_over(&mut self, limits: &Limits) -> bool {
        let began = self.step_began;
        self.look.is_over(began, limits)
    }

    /// Whether the runs of this host have had their time in this step.
    pub(crate) fn share_is_used_up(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.is_used_up())
    }

    fn burn(&mut self, fuel: u64) {
        self.fuel_in_step = self.fuel_in_step.saturating_add(fuel);
        self.usage.fuel = self.usage.fuel.saturating_add(fuel);
    }

    /// Takes a call out of this step's budget, if it is there.
    fn take_call(&mut self, limits: &Limits) -> bool {
        let over = self.calls_in_step >= limits.calls_per_step
            || self.fuel_in_step >= limits.fuel_per_step;
        if !over {
            self.calls_in_step += 1;
            self.usage.calls += 1;
        }
        !over
    }

    /// Records that the call that goes on is refused.
    pub(crate) fn refuse(&mut self, reason: DenialReason, text: &str) {
        let function = self.tape.calling().to_owned();
        self.refuse_in(&function, reason, text);
    }

    /// Records a refusal. What a plugin says itself never keeps one from being told: refusals have a budget of their
    /// own, the first one of each kind needs none, and every one is counted.
    pub(crate) fn refuse_in(&mut self, function: &str, reason: DenialReason, text: &str) {
        self.usage.denials += 1;
        let (tick, text) = (self.now, line(text));
        let is_news = self.denials.count(function, reason, &text, tick);
        if is_news || self.denial_rate.take(tick, 1, DENIALS_PER_SECOND) {
            self.events.push(RunEvent::Denied { tick, text });
        }
    }
}

/// Calls of a step between two looks at how long it takes: most steps have fewer.
const LOOK_EVERY: u32 = 8;
/// Refusals that are told one by one in any one second, beside the first one of each kind.
const DENIALS_PER_SECOND: usize = 20;

/// Something counted per second of ticks.
#[derive(Default)]
pub(crate) struct Rate {
    second: u64,
    used: usize,
}

impl Rate {
    /// Takes `amount` out of this second's budget, if it is there.
    pub(crate) fn take(&mut self, now: Tick, amount: usize, budget: usize) -> bool {
        let second = now.0 / sinew_units::TICK_HZ;
        if second != self.second {
            *self = Self { second, used: 0 };
        }
        let fits = self.used.saturating_add(amount) <= budget;
        if fits {
            self.used += amount;
        }
        fits
    }
}

/// What the entry point may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Anything that was granted.
    Act,
    /// Nothing moves and nothing waits.
    Assess,
    /// Nothing happens: every call gets the answer that was recorded.
    Replay,
}

/// Data of one store.
pub(crate) struct RunState {
    pub(crate) shared: Arc<Mutex<Shared>>,
    pub(crate) plugin: Arc<str>,
    pub(crate) grant: Arc<Grant>,
    /// The capabilities that are granted, by their number: looked at in every call.
    pub(crate) granted: [bool; CAPABILITIES.len()],
    pub(crate) checkpoints: Vec<u32>,
    pub(crate) ports: HostPorts,
    pub(crate) limits: Arc<Limits>,
    pub(crate) lease: Lease,
    pub(crate) mode: Mode,
    pub(crate) table: ResourceTable,
    pub(crate) memory: RunMemory,
    pub(crate) tallies: Tallies,
    pub(crate) space: Space,
    pub(crate) wasi: Inert,
    pub(crate) fuel_given: u64,
    /// Held for as long as the instance lives.
    pub(crate) _alive: Arc<()>,
}

impl RunState {
    /// The part that the run's owner sees too.
    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// Writes down what a call was answered, or that it ended the component.
    pub(crate) fn record<R: Recorded>(&self, answer: Result<&R, &wasmtime::Error>) {
        let mut shared = self.shared();
        let tick = shared.now.0;
        let answer = answer.map_err(|error| format!("{error:#}"));
        shared.tape.end(tick, answer);
    }

    /// Books the fuel burnt since the last call.
    pub(crate) fn charge(&mut self, fuel_left: u64) {
        let burnt = self.fuel_given.saturating_sub(fuel_left);
        self.fuel_given = fuel_left;
        self.shared().burn(burnt);
    }

    /// It is ended where it stands: books what it has used.
    pub(crate) fn interrupt(&mut self, fuel_left: u64) {
        self.charge(fuel_left);
        let mut shared = self.shared();
        shared.usage.memory_peak_bytes = self.space.peak_bytes as u64;
        shared.interrupted = true;
    }

    /// Books a call, and the fuel burnt since the last one, and writes down what is called: `None` if that is written down
    /// elsewhere. False if it has to wait for the next step, because this one's budget is used up.
    ///
    /// # Errors
    /// The step has kept the thread for longer than it may. Where calls follow one another without a loop, nobody else looks.
    pub(crate) fn book_call(
        &mut self,
        fuel_left: u64,
        called: Option<(&str, &impl Recorded)>,
    ) -> Result<bool, Trap> {
        let burnt = self.fuel_given.saturating_sub(fuel_left);
        self.fuel_given = fuel_left;
        let mut shared = self.shared();
        shared.burn(burnt);
        if self.mode == Mode::Replay {
            // The guard is for one stretch of computing: done again, a run has no steps.
            shared.step_began = Instant::now();
            shared.usage.calls += 1;
            return Ok(true);
        }
        if shared.calls_in_step > 0 {
            let is_looked_at = shared.calls_in_step.is_multiple_of(LOOK_EVERY);
            if is_looked_at && shared.step_is_over(&self.limits) {
                return Err(Trap::Interrupt);
            }
            if shared.share_is_used_up() {
                return Ok(false);
            }
        }
        let is_taken = shared.take_call(&self.limits);
        // One lock for both.
        if let Some((function, params)) = called.filter(|_| is_taken) {
            shared.tape.begin(function, params);
        }
        Ok(is_taken)
    }

    /// Whether this call of the capability with that number may go on.
    pub(crate) fn permit(&mut self, capability: usize) -> Result<(), Error> {
        let interface = CAPABILITIES[capability];
        let refusal = if !self.granted[capability] {
            let text = format!(
                "`{}` has no grant for `{interface}`; the operator can add it to `interfaces` in the grants file",
                self.plugin
            );
            Some((DenialReason::Interface, text))
        } else if !matches!(interface, "motion" | "gripper" | "policy") {
            None
        } else if self.mode == Mode::Assess {
            let text = "`assess` may not move anything";
            Some((DenialReason::Assess, text.to_owned()))
        } else if !self.lease.arm && interface != "gripper" {
            let text = "this run holds no lease on the arm: list it under `parts` in the manifest";
            Some((DenialReason::Lease, text.to_owned()))
        } else if !self.lease.gripper && interface != "motion" {
            let text =
                "this run holds no lease on the gripper: list it under `parts` in the manifest";
            Some((DenialReason::Lease, text.to_owned()))
        } else {
            None
        };
        match refusal {
            None => Ok(()),
            Some((reason, text)) => Err(self.denied(reason, text)),
        }
    }

    /// What the grant refuses: recorded, and told to the guest.
    pub(crate) fn denied(&self, reason: DenialReason, text: String) -> Error {
        self.shared().refuse(reason, &text);
        Error::Denied(text)
    }

    /// Refuses goals while the tool is braked at a border: they would take the brake's place.
    pub(crate) fn check_border(&self) -> Result<(), Error> {
        let reason = self.shared().at_border.clone();
        match reason {
            None => Ok(()),
            Some(reason) => {
                let text = format!("{reason}: it is being braked");
                Err(self.denied(DenialReason::Border, text))
            }
        }
    }

    /// Takes one goal out of this second's budget.
    pub(crate) fn take_goal(&self) -> Result<(), Error> {
        let most = self.limits.goals_per_second;
        let mut shared = self.shared();
        let now = shared.now;
        if shared.goal_rate.take(now, 1, most as usize) {
            return Ok(());
        }
        Err(Error::Limit(format!("more than {most} goals in a second")))
    }

    /// As [`until`], of this run.
    pub(crate) async fn until<T>(
        &mut self,
        check: impl FnMut(&mut Shared) -> Option<Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        until(&self.shared, self.mode, check).await
    }

    /// Waits for the next step, because this one's budget is used up, and books the call there.
    pub(crate) async fn next_step(&mut self) -> wasmtime::Result<()> {
        let mut waited = false;
        std::future::poll_fn(|_| {
            let mut shared = lock(&self.shared);
            if waited && shared.take_call(&self.limits) {
                return Poll::Ready(Ok(()));
            }
            if self.mode == Mode::Assess || waited {
                return Poll::Ready(Err(wasmtime::Error::msg(BUDGET_OF_STEP)));
            }
            waited = true;
            shared.suspended = true;
            Poll::Pending
        })
        .await
    }
}

/// Waits until `check` has an answer, looking once a step. A cancelled run does not wait.
pub(crate) async fn until<T>(
    shared: &Mutex<Shared>,
    mode: Mode,
    mut check: impl FnMut(&mut Shared) -> Option<Result<T, Error>> + Send,
) -> Result<T, Error> {
    std::future::poll_fn(|_| {
        let mut shared = lock(shared);
        if shared.cancelled {
            return Poll::Ready(Err(Error::Cancelled));
        }
        if let Some(answer) = check(&mut shared) {
            return Poll::Ready(answer);
        }
        if mode == Mode::Assess {
            let text = "`assess` may not wait";
            shared.refuse(DenialReason::Assess, text);
            return Poll::Ready(Err(Error::Denied(text.to_owned())));
        }
        shared.suspended = true;
        Poll::Pending
    })
    .await
}

/// Error text of a guest that used up a step's budget where it may not go on in the next one.
pub(crate) const BUDGET_OF_STEP: &str = "used up the host calls or the fuel of one step";

/// Memory and tables of one store.
pub(crate) struct Space {
    memory_bytes: usize,
    table_elements: usize,
    instances: usize,
    /// Elements of all tables.
    elements: usize,
    /// Bytes of all memories. They never shrink.
    pub(crate) peak_bytes: usize,
    /// What was asked for and refused.
    pub(crate) refused: Option<String>,
    /// What was allowed and could not be had.
    pub(crate) starved: Option<String>,
}

impl Space {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            table_elements: limits.table_elements,
            instances: limits.instances,
            elements: 0,
            peak_bytes: 0,
            refused: None,
            starved: None,
        }
    }
}

impl ResourceLimiter for Space {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = (self.peak_bytes).saturating_add(desired.saturating_sub(current));
        let fits = all <= self.memory_bytes;
        if fits {
            self.peak_bytes = all;
        } else {
            self.refused = Some(format!(
                "{all} bytes of memory, {} are allowed",
                self.memory_bytes
            ));
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if starved(&error) {
            self.starved = Some(format!("{error:#}"));
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = (self.elements).saturating_add(desired.saturating_sub(current));
        let fits = all <= self.table_elements;
        if fits {
            self.elements = all;
        } else {
            self.refused = Some(format!(
                "tables of {all} elements, {} are allowed",
                self.table_elements
            ));
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}
