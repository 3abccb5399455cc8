//! Lends the policy runner to plugins.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sinew_messages::LoopStatus;
use sinew_plugin_host::{PolicyEnd, PolicyOrder, PolicyPort, PolicyRefusal};
use sinew_policy::{PolicyRunner, RunId, StartError, Within};
use sinew_units::Tick;

/// The one runner of a host, shared between the brain's step and the plugins that ask for runs. Both are
/// on the brain's thread, so its lock is never waited for.
pub(crate) struct Policies {
    runner: PolicyRunner,
    names: Vec<String>,
}

impl Policies {
    pub(crate) fn new(runner: PolicyRunner, names: Vec<String>) -> Self {
        Self { runner, names }
    }

    pub(crate) fn step(&mut self, now: Tick, status: &LoopStatus) {
        self.runner.step(now, status);
    }
}

impl PolicyPort for Policies {
    fn available(&self) -> Vec<String> {
        self.names.clone()
    }

    fn start(&mut self, order: &PolicyOrder<'_>, now: Tick) -> Result<u64, PolicyRefusal> {
        let within = Within {
            speed: order.speed,
            acceleration: order.acceleration,
            force_max_n: order.force_n.unwrap_or(f64::INFINITY),
        };
        let started =
            (self.runner).start_within(&within, order.policy, order.object_id, now, order.timeout);
        match started {
            Ok(RunId(run)) => Ok(run),
            Err(StartError::UnknownObject { .. }) => Err(PolicyRefusal::NoObject),
            Err(error @ (StartError::Busy | StartError::UnknownPolicy { .. })) => {
                Err(PolicyRefusal::NotNow(error.to_string()))
            }
            Err(error) => Err(PolicyRefusal::Wrong(error.to_string())),
        }
    }

    fn outcome(&mut self, run: u64) -> Option<PolicyEnd> {
        let outcome = self.runner.outcome(RunId(run))?;
        Some(PolicyEnd {
            state: outcome.end.name().to_owned(),
            label: outcome.label.to_owned(),
            confidence: outcome.confidence,
            ticks: outcome.ticks.0,
            message: outcome.message,
        })
    }

    fn cancel(&mut self, run: u64, now: Tick) {
        self.runner.cancel(RunId(run), now);
    }
}

/// Locks what only one thread uses. A panic of another holder can't have left it half changed in a way
/// that matters: the host ends with it.
pub(crate) fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
