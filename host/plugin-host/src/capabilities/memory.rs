//! `memory`: a small key-value store a plugin.

use crate::link::Interface;
use crate::state::{Kept, RunState, lock};
use crate::wire::Error;

pub(crate) fn link(memory: &mut Interface<'_>) -> wasmtime::Result<()> {
    memory.ready("get", |state, (key,): (String,)| {
        Ok(with(state, |kept| kept.entries().get(&key).cloned()))
    })?;
    memory.ready("set", |state, (key, value): (String, Vec<u8>)| {
        let quota = state.limits.memory_store_bytes;
        let fits = with(state, |kept| kept.set(key, value, quota));
        fits.then_some(()).ok_or_else(|| {
            Error::Limit(format!(
                "the store may hold {quota} bytes of keys and values"
            ))
        })
    })?;
    memory.ready("remove", |state, (key,): (String,)| {
        with(state, |kept| kept.remove(&key));
        Ok(())
    })?;
    memory.ready("keys", |state, (): ()| {
        Ok(with(state, |kept| {
            kept.entries().keys().cloned().collect::<Vec<_>>()
        }))
    })
}

fn with<R>(state: &RunState, act: impl FnOnce(&mut Kept) -> R) -> R {
    let mut memories = lock(&state.memories);
    act(memories.entry(state.plugin.to_string()).or_default())
}
