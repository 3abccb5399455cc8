//! The thread that advances the engine's epoch, so that no guest can hold the host's thread for good.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasmtime::Engine;

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

/// Starts the guard of an engine. It ends by itself once the engine is gone.
pub(crate) fn start(engine: &Engine) -> std::io::Result<Beats> {
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
                std::thread::sleep(PERIOD);
            }
        })?;
    Ok(beats)
}
