//! `lifecycle`: checkpoints and cancellation.

use crate::link::Interface;
use crate::outcome::{Checkpoint, RunEvent};
use crate::state::RunState;
use crate::wire;
use crate::wire::Error;

pub(crate) fn link(lifecycle: &mut Interface<'_>) -> wasmtime::Result<()> {
    lifecycle.waits("safe-point", |state, (checkpoint,): (wire::Checkpoint,)| {
        Box::pin(async move {
            let schema = checkpoint.schema;
            keep(state, checkpoint)?;
            // Whoever asked for it takes the run over from here: this call is not answered any more.
            state
                .until(|shared| {
                    shared.handed_over = shared.hand_over.contains(&schema);
                    (!shared.handed_over).then_some(Ok(()))
                })
                .await
        })
    })?;
    lifecycle.plain("cancelled", |state, (): ()| (state.shared().cancelled,))
}

/// Keeps a checkpoint, if the plugin would read it again.
fn keep(state: &RunState, checkpoint: wire::Checkpoint) -> Result<(), Error> {
    let wire::Checkpoint { schema, bytes } = checkpoint;
    if bytes.len() > state.limits.checkpoint_bytes {
        return Err(Error::Limit(format!(
            "a checkpoint of {} bytes, {} are allowed",
            bytes.len(),
            state.limits.checkpoint_bytes
        )));
    }
    if !state.checkpoints.contains(&schema) {
        return Err(Error::other(format!(
            "checkpoint version {schema} is not among `checkpoints` in the manifest"
        )));
    }
    let mut shared = state.shared();
    if shared.cancelled {
        return Err(Error::Cancelled);
    }
    let tick = shared.now;
    let most = state.limits.events_per_second as usize;
    if shared.event_rate.take(tick, 1, most) {
        shared.events.push(RunEvent::SafePoint { tick, schema });
    } else {
        shared.usage.events_dropped += 1;
    }
    shared.checkpoint = Some(Checkpoint { schema, bytes });
    Ok(())
}
