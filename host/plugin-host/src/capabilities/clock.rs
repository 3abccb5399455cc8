//! `clock`: ticks.

use sinew_units::Ticks;

use crate::link::Interface;

pub(crate) fn link(clock: &mut Interface<'_>) -> wasmtime::Result<()> {
    clock.plain("now", |state, (): ()| (state.shared().now.0,))?;
    clock.waits("sleep", |state, (ticks,): (u64,)| {
        Box::pin(async move {
            let until = state.shared().now + Ticks(ticks);
            state
                .until(|shared| (shared.now >= until).then_some(Ok(())))
                .await
        })
    })
}
