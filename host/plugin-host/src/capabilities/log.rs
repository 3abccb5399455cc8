//! `log`: text for developers, limited in bytes a second.

use crate::link::Interface;
use crate::outcome::RunEvent;
use crate::state::RunState;

pub(crate) fn link(log: &mut Interface<'_>) -> wasmtime::Result<()> {
    log.plain("write", |state, (level, message): (String, String)| {
        let level = match level.as_str() {
            "debug" => "debug",
            "warn" => "warn",
            "error" => "error",
            _ => "info",
        };
        line(state, level, message);
    })
}

/// Files a line of text, or counts it as dropped.
pub(crate) fn line(state: &RunState, level: &'static str, message: String) {
    let mut shared = state.shared();
    let now = shared.now;
    let budget = state.limits.log_bytes_per_second;
    if shared.log_rate.take(now, message.len() + 1, budget) {
        shared.events.push(RunEvent::Log {
            tick: now,
            level,
            message,
        });
    } else {
        shared.usage.log_dropped += 1;
    }
}
