//! The thread that advances the engine's epoch, so that no guest can hold the host's thread for good.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::state::lock;

/// Time between two epochs.
const PERIOD: Duration = Duration::from_millis(20);

/// When the guard advanced the epoch last.
#[derive(Clone, Default)]
pub(crate) struct Beat(Arc<Mutex<Option<Instant>>>);

impl Beat {
    /// `None` before the first time.
    pub(crate) fn last(&self) -> Option<Instant> {
        *lock(&self.0)
    }
}

/// Starts the guard of an engine. It ends by itself once the engine is gone.
pub(crate) fn start(engine: &Engine) -> std::io::Result<Beat> {
    let weak = engine.weak();
    let beat = Beat::default();
    let last = beat.clone();
    std::thread::Builder::new()
        .name("plugin-guard".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                // Before it happens: what is measured from here is not too short.
                *lock(&last.0) = Some(Instant::now());
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(PERIOD);
            }
        })?;
    Ok(beat)
}
