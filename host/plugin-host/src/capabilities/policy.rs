//! `policy`: learned policies, run closed-loop by the host.

use sinew_units::Ticks;

use crate::denials::DenialReason;
use crate::desk::is_stopped;
use crate::link::Interface;
use crate::ports::{PolicyOrder, PolicyRefusal};
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
        names.retain(|name| state.grant.allows_policy(name));
        Ok(names)
    })
}

/// What a plugin doesn't see is nothing to it: it is not told what else there is.
fn check_object(state: &RunState, object_id: u64) -> Result<(), Error> {
    if state.grant.classes.is_none() {
        return Ok(());
    }
    let snapshot = state.ports.world.snapshot();
    let object = snapshot.object(object_id);
    if object.is_some_and(|object| state.grant.allows_class(&object.class)) {
        return Ok(());
    }
    if let Some(object) = object {
        let text = format!(
            "`{}` has no grant for objects of class `{}`",
            state.plugin, object.class
        );
        state.shared().refuse(DenialReason::Class, &text);
    }
    Err(no_object(object_id))
}

fn no_object(object_id: u64) -> Error {
    let words = format!("no object {object_id} is tracked");
    Error::failed("missing-object", words)
}

async fn run(
    state: &mut RunState,
    name: String,
    object_id: u64,
    timeout: u64,
) -> Result<PolicyOutcome, Error> {
    if !state.grant.allows_policy(&name) {
        let text = format!(
            "`{}` has no grant for the policy `{name}`, or its manifest does not ask for it under `policies`",
            state.plugin
        );
        return Err(state.denied(DenialReason::Policy, text));
    }
    state.check_border()?;
    state.take_goal()?;
    check_object(state, object_id)?;
    let port = state.ports.policies.clone();
    let number = {
        let mut shared = state.shared();
        if shared.cancelled {
            return Err(Error::Cancelled);
        }
        if shared.status.as_ref().is_some_and(is_stopped) {
            return Err(Error::stopped());
        }
        let now = shared.now;
        let order = PolicyOrder {
            policy: &name,
            object_id,
            timeout: Ticks(timeout),
            speed: state.grant.speed,
            acceleration: state.grant.acceleration,
            force_n: state.grant.force_n,
        };
        let number = lock(&port)
            .start(&order, now)
            .map_err(|refusal| match refusal {
                PolicyRefusal::NoObject => no_object(object_id),
                PolicyRefusal::Wrong(text) => Error::other(text),
                PolicyRefusal::NotNow(text) => Error::unavailable("", text),
            })?;
        // Whatever this run was moving, the policy takes the arm over.
        let status = shared.status;
        shared.desk.preempt(now, status.as_ref());
        shared.policy_run = Some(number);
        number
    };
    let answer = state
        .until(|shared| match &shared.at_border {
            Some(reason) if shared.policy_run.is_none() => Some(Err(Error::Denied(reason.clone()))),
            _ => lock(&port).outcome(number).map(Ok),
        })
        .await;
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
