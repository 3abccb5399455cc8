//! The thread that advances the engine's epoch, so that no guest can hold the host's thread for good.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::Engine;

use crate::limits::Limits;
use crate::reaper::Reaper;
use crate::state::lock;

/// Time between two epochs.
const PERIOD: Duration = Duration::from_millis(20);

/// Looks that are remembered.
const REMEMBERED: usize = 64;

/// When the guard advanced the epoch the last times.
#[derive(Clone, Default)]
pub(crate) struct Beats(Arc<Mutex<VecDeque<Instant>>>);

impl Beats {
    /// Oldest first.
    pub(crate) fn all(&self) -> Vec<Instant> {
        lock(&self.0).iter().copied().collect()
    }

    fn add(&self, now: Instant) {
        let mut all = lock(&self.0);
        if all.len() == REMEMBERED {
            all.pop_front();
        }
        all.push_back(now);
    }
}

/// Time that this thread has had on a processor, ns.
pub(crate) fn thread_time_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    (time.tv_sec.unsigned_abs() * 1_000_000_000).saturating_add(time.tv_nsec.unsigned_abs())
}

/// Looks at how long a step keeps the thread.
#[derive(Default)]
pub(crate) struct Look {
    /// The step that was looked at last, by when it began, and what this thread had computed at the first look into it.
    first: Option<(Instant, u64)>,
}

impl Look {
    /// Whether the step that began then has kept the thread for longer than it may.
    pub(crate) fn is_over(&mut self, began: Instant, limits: &Limits) -> bool {
        let cpu_ns = thread_time_ns();
        let (_, since_ns) = *match &mut self.first {
            Some(first) if first.0 == began => first,
            other => other.insert((began, cpu_ns)),
        };
        let computed_ms = cpu_ns.saturating_sub(since_ns) / 1_000_000;
        computed_ms > limits.step_cpu_ms
            || began.elapsed().as_millis() > u128::from(limits.step_wall_ms)
    }
}

/// Starts the guard of an engine. It ends by itself once the engine is gone. What has ended since its last look is taken down
/// from the next one on.
pub(crate) fn start(engine: &Engine, reaper: Reaper) -> std::io::Result<Beats> {
    let weak = engine.weak();
    let beats = Beats::default();
    let told = beats.clone();
    std::thread::Builder::new()
        .name("plugin-guard".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                // Before it happens: what is measured from here is not too short.
                told.add(Instant::now());
                engine.increment_epoch();
                drop(engine);
                reaper.tell();
                std::thread::sleep(PERIOD);
            }
        })?;
    Ok(beats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_over_by_what_this_thread_computes_in_it() {
        let limits = Limits {
            step_cpu_ms: 5,
            step_wall_ms: u64::MAX,
            ..Limits::default()
        };
        let compute = |ms: u64| {
            let since = thread_time_ns();
            while thread_time_ns() - since < ms * 1_000_000 {}
        };
        let mut look = Look::default();
        let began = Instant::now();
        compute(7);
        assert!(
            !look.is_over(began, &limits),
            "what was before the first look"
        );
        // Others have the processor meanwhile.
        std::thread::sleep(Duration::from_millis(20));
        assert!(!look.is_over(began, &limits));
        compute(7);
        assert!(look.is_over(began, &limits));
        assert!(!look.is_over(Instant::now(), &limits), "another step");
    }
}
