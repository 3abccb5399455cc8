//! The thread that advances the engine's epoch, so that no guest can hold the host's thread for good.

use std::time::Duration;

use wasmtime::Engine;

/// Time between two epochs.
const PERIOD: Duration = Duration::from_millis(20);

/// Starts the guard of an engine. It ends by itself once the engine is gone.
pub(crate) fn start(engine: &Engine) -> std::io::Result<()> {
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("plugin-guard".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(PERIOD);
            }
        })?;
    Ok(())
}
