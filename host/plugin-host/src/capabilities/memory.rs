//! `memory`: a small key-value store a plugin.

use std::collections::BTreeMap;

use crate::link::Interface;
use crate::state::{RunState, lock};
use crate::wire::Error;

pub(crate) fn link(memory: &mut Interface<'_>) -> wasmtime::Result<()> {
    memory.ready("get", |state, (key,): (String,)| {
        Ok(with(state, |store| store.get(&key).cloned()))
    })?;
    memory.ready("set", |state, (key, value): (String, Vec<u8>)| {
        let quota = state.limits.memory_store_bytes;
        with(state, |store| {
            let others: usize = store
                .iter()
                .filter(|(name, _)| **name != key)
                .map(|(name, value)| name.len() + value.len())
                .sum();
            if others + key.len() + value.len() > quota {
                return Err(Error::Limit(format!(
                    "the store may hold {quota} bytes of keys and values"
                )));
            }
            store.insert(key, value);
            Ok(())
        })
    })?;
    memory.ready("remove", |state, (key,): (String,)| {
        with(state, |store| store.remove(&key));
        Ok(())
    })?;
    memory.ready("keys", |state, (): ()| {
        Ok(with(state, |store| {
            store.keys().cloned().collect::<Vec<_>>()
        }))
    })
}

fn with<R>(state: &RunState, act: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> R) -> R {
    let mut memories = lock(&state.memories);
    act(memories.entry(state.plugin.to_string()).or_default())
}
