//! The grasp policy at school: demonstrations by a scripted expert, and closed-loop evaluation.
//!
//! Both run the real control loop, gate, and policy runner on the simulated cell in virtual time. The
//! expert takes the place of the network, at the same interface: what it sees is the observation that the
//! network will see, noise included, so that whatever it does can be learned.

mod bench;
pub mod demos;
pub mod eval;
mod expert;
mod eyes;
mod noise;

pub use demos::{DemoOptions, DemoReport};
pub use eval::{EvalOptions, EvalReport, PosesFrom};

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Runs `work` for each seed on `jobs` threads. The results are in the order of the seeds, whatever the
/// threads did; the first error in that order is the error. `progress` is told how many are done.
fn in_parallel<T: Send>(
    seeds: RangeInclusive<u64>,
    jobs: usize,
    progress: &(dyn Fn(usize) + Sync),
    work: impl Fn(u64) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let next = AtomicU64::new(*seeds.start());
    let done = AtomicUsize::new(0);
    let mut results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1))
            .map(|_| {
                scope.spawn(|| {
                    let mut own = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed > *seeds.end() {
                            return own;
                        }
                        own.push((seed, work(seed)));
                        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                    }
                })
            })
            .collect();
        let mut all = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(own) => all.extend(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    results.sort_by_key(|(seed, _)| *seed);
    results.into_iter().map(|(_, result)| result).collect()
}
