//! Real time: the same tick, called at absolute deadlines on a thread of its own.
//!
//! Deadlines are `start + n·T`, so lateness does not add up. A tick that could not begin before the next
//! one was due is counted as missed and made up for by running at once; when the loop is further behind than
//! [`BEHIND_TICKS_MAX`], the deadlines are moved instead, so that a suspended machine does not come back
//! with a burst of motion.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sinew_units::TICK_NS;

use crate::{ControlLoop, TickSummary};

/// Ticks that are made up for after a delay.
pub const BEHIND_TICKS_MAX: u64 = 20;

/// How well the deadlines were kept.
#[derive(Debug, Default)]
pub struct PaceCounts {
    ticks: AtomicU64,
    missed: AtomicU64,
    skipped: AtomicU64,
    latest_ns: AtomicU64,
}

impl PaceCounts {
    /// Ticks run.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// Ticks that began after the next one was due.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Deadlines given up because the loop was too far behind.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Lateness of the last tick's beginning, ns.
    #[must_use]
    pub fn latest_ns(&self) -> u64 {
        self.latest_ns.load(Ordering::Relaxed)
    }
}

/// A control loop that runs in real time until it is stopped or dropped.
pub struct Paced {
    thread: Option<JoinHandle<ControlLoop>>,
    ends: Arc<AtomicBool>,
    counts: Arc<PaceCounts>,
}

impl Paced {
    /// Starts the loop on its own thread. `after` sees every tick on that thread: it must not block.
    ///
    /// # Errors
    /// The operating system's, if it has no thread left.
    pub fn start(
        mut control: ControlLoop,
        mut after: impl FnMut(&TickSummary) + Send + 'static,
    ) -> std::io::Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(PaceCounts::default());
        let thread = {
            let (ends, counts) = (Arc::clone(&ends), Arc::clone(&counts));
            std::thread::Builder::new()
                .name("sinew-control".to_owned())
                .spawn(move || {
                    let mut deadlines = Deadlines::new(Instant::now());
                    while !ends.load(Ordering::Relaxed) {
                        deadlines.wait(&counts);
                        after(&control.tick());
                        counts.ticks.fetch_add(1, Ordering::Relaxed);
                    }
                    control
                })?
        };
        Ok(Self {
            thread: Some(thread),
            ends,
            counts,
        })
    }

    /// False after a panic of the loop: then no tick comes any more, and the drives' watchdog stops the robot.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// How well the deadlines are kept.
    #[must_use]
    pub fn counts(&self) -> &PaceCounts {
        &self.counts
    }

    /// Ends after the present tick and hands the loop back; `None` if its thread panicked. The robot is then
    /// stopped by its drives' watchdog.
    #[must_use]
    pub fn stop(mut self) -> Option<ControlLoop> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whoever cares about a panic of the loop calls `stop`.
            let _ = thread.join();
        }
    }
}

struct Deadlines {
    next: Instant,
}

impl Deadlines {
    const PERIOD: Duration = Duration::from_nanos(TICK_NS);

    fn new(start: Instant) -> Self {
        Self { next: start }
    }

    /// Sleeps until the next deadline and moves on to the one after.
    fn wait(&mut self, counts: &PaceCounts) {
        let now = Instant::now();
        if let Some(early) = self.next.checked_duration_since(now) {
            std::thread::sleep(early);
        }
        let late = Instant::now().saturating_duration_since(self.next);
        let late_ns = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        counts.latest_ns.store(late_ns, Ordering::Relaxed);
        let (missed, skipped) = judge_lateness(late_ns);
        counts
            .missed
            .fetch_add(u64::from(missed), Ordering::Relaxed);
        counts.skipped.fetch_add(skipped, Ordering::Relaxed);
        self.next += Self::PERIOD;
        if skipped > 0 {
            self.next = Instant::now() + Self::PERIOD;
        }
    }
}

/// Whether a tick this late is a miss, and how many deadlines are given up for it.
fn judge_lateness(late_ns: u64) -> (bool, u64) {
    let behind = late_ns / TICK_NS;
    (
        behind > 0,
        if behind > BEHIND_TICKS_MAX { behind } else { 0 },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_made_up_for_until_it_is_too_much() {
        assert_eq!(judge_lateness(0), (false, 0));
        assert_eq!(judge_lateness(TICK_NS - 1), (false, 0));
        assert_eq!(judge_lateness(TICK_NS), (true, 0));
        assert_eq!(judge_lateness(BEHIND_TICKS_MAX * TICK_NS), (true, 0));
        assert_eq!(judge_lateness(300 * TICK_NS), (true, 300));
    }
}
