//! `events`: what the run says about itself.

use crate::link::Interface;
use crate::outcome::RunEvent;
use crate::state::RunState;
use crate::wire::Error;

pub(crate) fn link(events: &mut Interface<'_>) -> wasmtime::Result<()> {
    events.plain("step", |state, (name, object_id): (String, Option<u64>)| {
        // Narration that is cut off is counted, and no reason to fail.
        let _ = push(state, name.len(), |tick| RunEvent::Step {
            tick,
            name,
            object_id,
        });
    })?;
    events.ready("emit", |state, (name, payload): (String, String)| {
        let size = name.len() + payload.len();
        let payload = serde_json::from_str(&payload)
            .map_err(|error| Error::other(format!("the payload is not JSON: {error}")))?;
        push(state, size, |tick| RunEvent::Emitted {
            tick,
            name,
            payload,
        })
    })
}

fn push(
    state: &mut RunState,
    size: usize,
    event: impl FnOnce(sinew_units::Tick) -> RunEvent,
) -> Result<(), Error> {
    let limits = &state.limits;
    if size > limits.event_bytes {
        state.shared().usage.events_dropped += 1;
        return Err(Error::Limit(format!(
            "an event of {size} bytes, {} are allowed",
            limits.event_bytes
        )));
    }
    let mut shared = state.shared();
    let now = shared.now;
    if !shared
        .event_rate
        .take(now, 1, limits.events_per_second as usize)
    {
        shared.usage.events_dropped += 1;
        return Err(Error::Limit(format!(
            "more than {} events in a second",
            limits.events_per_second
        )));
    }
    shared.events.push(event(now));
    Ok(())
}
