//! The time that the runs of one host have together in one step of the brain, where a clock runs.
//!
//! The budgets of one run bound that run. What the robot needs is that the brain comes back in time, however many of them there
//! are: their motions are renewed in each of its steps, and it is taken for dead if it does not say that it is alive.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::state::lock;

/// What is left of the brain's step for plugins. Shared by all runs of a host.
pub(crate) struct StepShare {
    most: Duration,
    began: Mutex<Instant>,
}

impl StepShare {
    pub(crate) fn new(most: Duration) -> Self {
        Self {
            most,
            began: Mutex::new(Instant::now()),
        }
    }

    pub(crate) fn begin(&self) {
        *lock(&self.began) = Instant::now();
    }

    /// By the clock on the wall: whoever had the processor meanwhile, the robot has waited.
    pub(crate) fn is_used_up(&self) -> bool {
        lock(&self.began).elapsed() >= self.most
    }
}
