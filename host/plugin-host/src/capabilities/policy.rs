//! `policy`: learned policies, run closed-loop by the host.

use sinew_units::Ticks;

use crate::desk::is_stopped;
use crate::link::Interface;
use crate::ports::PolicyRefusal;
use crate::state::{RunState, lock};
use crate::wire::{Error, PolicyOutcome};

pub(crate) fn link(policy: &mut Interface<'_>) -> wasmtime::Result<()> {
    policy.waits(
        "run",
        |state, (name, object_id, timeout): (String, u64, u64)| {
            Box::pin(run(state, name, object_id, timeout))
        },
    )?;
    policy.ready("available", |state, (): ()| {
        let mut names = lock(&state.ports.policies).available();
        names.retain(|name| allowed(state, name));
        Ok(names)
    })
}

fn allowed(state: &RunState, name: &str) -> bool {
    state
        .grant
        .policies
        .as_ref()
        .is_none_or(|granted| granted.contains(name))
}

async fn run(
    state: &mut RunState,
    name: String,
    object_id: u64,
    timeout: u64,
) -> Result<PolicyOutcome, Error> {
    if !allowed(state, &name) {
        let text = format!("`{}` has no grant for the policy `{name}`", state.plugin);
        state.deny(&text);
        return Err(Error::Denied(text));
    }
    let port = state.ports.policies.clone();
    let number = {
        let mut shared = state.shared();
        if shared.cancelled {
            return Err(Error::Cancelled);
        }
        if shared.status.as_ref().is_some_and(is_stopped) {
            return Err(Error::Unavailable(
                "safety-stop: a stop is latched, a person must reset it".to_owned(),
            ));
        }
        let now = shared.now;
        // Whatever this run was moving, the policy takes the arm over.
        let status = shared.status;
        shared.desk.preempt(now, status.as_ref());
        let number = lock(&port)
            .start(&name, object_id, now, Ticks(timeout))
            .map_err(|refusal| match refusal {
                PolicyRefusal::Wrong(text) => Error::Other(text),
                PolicyRefusal::NotNow(text) => Error::Unavailable(text),
            })?;
        shared.policy_run = Some(number);
        number
    };
    let answer = state.until(|_| lock(&port).outcome(number).map(Ok)).await;
    let mut shared = state.shared();
    if answer.is_err() {
        let now = shared.now;
        lock(&port).cancel(number, now);
    }
    shared.policy_run = None;
    let end = answer?;
    Ok(PolicyOutcome {
        state: end.state,
        label: end.label,
        confidence: end.confidence,
        ticks: end.ticks,
        message: end.message,
    })
}
