//! `operator`: asking a person.

use sinew_units::Ticks;

use crate::link::Interface;
use crate::state::lock;
use crate::wire::Error;

/// Options that a question may have.
const OPTIONS_MAX: usize = 16;

pub(crate) fn link(operator: &mut Interface<'_>) -> wasmtime::Result<()> {
    operator.waits(
        "ask",
        |state, (question, options, timeout): (String, Vec<String>, u64)| {
            Box::pin(async move {
                let Some(port) = state.ports.operator.clone() else {
                    return Err(Error::unavailable("", "nobody can be asked on this host"));
                };
                if options.is_empty() || options.len() > OPTIONS_MAX {
                    return Err(Error::other(format!(
                        "a question has between 1 and {OPTIONS_MAX} options"
                    )));
                }
                let known = options.len();
                let number = lock(&port).ask(&state.plugin, &question, &options);
                let end = {
                    let mut shared = state.shared();
                    shared.question = Some(number);
                    shared.now + Ticks(timeout)
                };
                let answer = state
                    .until(|shared| {
                        let choice = lock(&port).answer(number);
                        // What nobody was offered can't have been chosen.
                        if choice.is_some_and(|choice| (choice as usize) < known) {
                            return Some(Ok(choice));
                        }
                        (shared.now >= end).then_some(Ok(None))
                    })
                    .await;
                state.shared().question = None;
                if !matches!(answer, Ok(Some(_))) {
                    lock(&port).withdraw(number);
                }
                answer
            })
        },
    )
}
