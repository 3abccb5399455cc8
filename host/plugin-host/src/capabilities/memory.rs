//! `memory`: a small key-value store a plugin.

use crate::link::Interface;
use crate::wire::Error;

pub(crate) fn link(memory: &mut Interface<'_>) -> wasmtime::Result<()> {
    memory.ready("get", |state, (key,): (String,)| {
        (state.memory).with(|kept| kept.entries().get(&key).cloned())
    })?;
    memory.ready("set", |state, (key, value): (String, Vec<u8>)| {
        let quota = state.limits.memory_store_bytes;
        let fits = (state.memory).with(|kept| kept.set(key, value, quota))?;
        fits.then_some(()).ok_or_else(|| {
            Error::Limit(format!(
                "the store may hold {quota} bytes of keys and values"
            ))
        })
    })?;
    memory.ready("remove", |state, (key,): (String,)| {
        state.memory.with(|kept| kept.remove(&key))
    })?;
    memory.ready("keys", |state, (): ()| {
        (state.memory).with(|kept| kept.entries().keys().cloned().collect::<Vec<_>>())
    })
}
