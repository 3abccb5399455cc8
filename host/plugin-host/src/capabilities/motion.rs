//! `motion`: goals for the arm. The guest says where; the loop and its safety gate decide how.

use sinew_messages::{ArmGoal, ArmGoalKind, JOINTS, LimitKind, MotionState, Pose};
use sinew_units::Ticks;
use wasmtime::StoreContextMut;
use wasmtime::component::{Resource, ResourceType};

use crate::denials::DenialReason;
use crate::desk::{BY_GRANT, Ended, is_stopped};
use crate::link::{Interface, taped};
use crate::state::RunState;
use crate::wire::{Error, Goal, Guarded, MotionOutcome, Target};

/// Motions that one call may wait for.
const WAIT_ANY_MAX: usize = 32;

/// What the guest's `motion` handle stands for.
#[derive(Debug)]
pub(crate) struct MotionHandle {
    goal_id: u64,
}

pub(crate) fn link(motion: &mut Interface<'_>) -> wasmtime::Result<()> {
    motion.linker.resource(
        "motion",
        ResourceType::host::<MotionHandle>(),
        |mut store: StoreContextMut<'_, RunState>, handle| {
            let function = "motion.[resource-drop]motion";
            taped(store.data_mut(), function, (handle,), |state, (handle,)| {
                let handle = Resource::<MotionHandle>::new_own(handle);
                let handle = state.table.delete(handle)?;
                let mut shared = state.shared();
                let now = shared.now;
                shared.desk.forget(now, handle.goal_id);
                Ok(())
            })
        },
    )?;
    motion.ready("start", |state, (goal,): (Goal,)| {
        let goal_id = start(state, goal)?;
        state.table.push(MotionHandle { goal_id }).map_err(|_| {
            let mut shared = state.shared();
            let now = shared.now;
            shared.desk.forget(now, goal_id);
            Error::Limit(format!(
                "more than {} handles alive; drop some",
                state.limits.handles
            ))
        })
    })?;
    motion.waits("move-to", |state, (goal,): (Goal,)| {
        Box::pin(async move {
            let goal_id = start(state, goal)?;
            let outcome = state
                .until(|shared| shared.desk.ended(goal_id).map(arrived))
                .await;
            let mut shared = state.shared();
            let now = shared.now;
            shared.desk.forget(now, goal_id);
            outcome
        })
    })?;
    motion.waits(
        "[method]motion.wait",
        |state, (handle,): (Resource<MotionHandle>,)| {
            Box::pin(async move {
                let goal_id = goal_of(state, &handle)?;
                let outcome = state
                    .until(|shared| shared.desk.ended(goal_id).map(outcome))
                    .await;
                if matches!(outcome, Err(Error::Cancelled)) {
                    let mut shared = state.shared();
                    let now = shared.now;
                    shared.desk.cancel(now, goal_id);
                }
                outcome
            })
        },
    )?;
    motion.ready(
        "[method]motion.cancel",
        |state, (handle,): (Resource<MotionHandle>,)| {
            let goal_id = goal_of(state, &handle)?;
            let mut shared = state.shared();
            let now = shared.now;
            shared.desk.cancel(now, goal_id);
            Ok(())
        },
    )?;
    motion.plain(
        "[method]motion.ended",
        |state, (handle,): (Resource<MotionHandle>,)| {
            let ended = goal_of(state, &handle)
                .is_ok_and(|goal_id| state.shared().desk.ended(goal_id).is_some());
            (ended,)
        },
    )?;
    motion.waits(
        "wait-any",
        |state, (handles, timeout): (Vec<Resource<MotionHandle>>, u64)| {
            Box::pin(async move {
                if handles.len() > WAIT_ANY_MAX {
                    return Err(Error::Limit(format!("more than {WAIT_ANY_MAX} motions")));
                }
                let mut goals = Vec::with_capacity(handles.len());
                for handle in &handles {
                    goals.push(goal_of(state, handle)?);
                }
                let end = state.shared().now + Ticks(timeout);
                state
                    .until(|shared| {
                        let first = goals
                            .iter()
                            .position(|goal| shared.desk.ended(*goal).is_some());
                        match first {
                            Some(index) => Some(Ok(u32::try_from(index).ok())),
                            None => (shared.now >= end).then_some(Ok(None)),
                        }
                    })
                    .await
            })
        },
    )
}

fn goal_of(state: &RunState, handle: &Resource<MotionHandle>) -> Result<u64, Error> {
    let handle = state.table.get(handle);
    Ok(handle
        .map_err(|_| Error::other("no such motion".to_owned()))?
        .goal_id)
}

/// Checks a goal and sends it.
fn start(state: &mut RunState, goal: Goal) -> Result<u64, Error> {
    for (what, factor) in [("speed", goal.speed), ("acceleration", goal.acceleration)] {
        // Written so that NaN fails too.
        if !(factor > 0.0 && factor <= 1.0) {
            return Err(Error::other(format!(
                "the {what} {factor} is not in (0, 1]"
            )));
        }
    }
    let mut message = ArmGoal {
        id: 0,
        lease_end_tick: 0,
        kind: ArmGoalKind::Joint as u32,
        reserved: 0,
        joints_rad: [0.0; JOINTS],
        pose: Pose::IDENTITY,
        speed_scale: share(goal.speed, state.grant.speed),
        acceleration_scale: share(goal.acceleration, state.grant.acceleration),
        contact_force_n: 0.0,
    };
    let checked = |pose: crate::wire::Pose| {
        pose.checked().ok_or_else(|| {
            Error::other("the pose is not finite, or its quaternion has no unit length".to_owned())
        })
    };
    match goal.target {
        Target::Joints(joints) => {
            let joints: [f64; JOINTS] = joints.try_into().map_err(|joints: Vec<f64>| {
                Error::other(format!(
                    "{} joints given, the arm has {JOINTS}",
                    joints.len()
                ))
            })?;
            if !joints.iter().all(|joint| joint.is_finite()) {
                return Err(Error::other("a joint position is not finite".to_owned()));
            }
            message.joints_rad = joints;
        }
        Target::Pose(pose) => {
            message.kind = ArmGoalKind::Pose as u32;
            message.pose = checked(pose)?;
        }
        Target::Line(pose) => {
            message.kind = ArmGoalKind::Line as u32;
            message.pose = checked(pose)?;
        }
        Target::Guarded(Guarded { to: pose, force }) => {
            if !(force.is_finite() && force > 0.0) {
                return Err(Error::other(format!(
                    "the contact force {force} is no positive force in newtons"
                )));
            }
            message.kind = ArmGoalKind::Guarded as u32;
            message.pose = checked(pose)?;
            message.contact_force_n = force;
        }
        Target::Named(name) => {
            let poses = &state.ports.robot.named_poses;
            message.joints_rad = *poses.get(&name).ok_or_else(|| {
                let names: Vec<_> = poses.keys().map(String::as_str).collect();
                Error::other(format!(
                    "no pose is named `{name}`; there are {}",
                    names.join(", ")
                ))
            })?;
        }
    }
    state.check_border()?;
    check_grant(state, &message)?;
    state.take_goal()?;
    let mut shared = state.shared();
    if shared.cancelled {
        return Err(Error::Cancelled);
    }
    let (now, status) = (shared.now, shared.status);
    let Some(status) = status else {
        return Err(Error::unavailable(
            "",
            "the control loop has not reported yet",
        ));
    };
    if is_stopped(&status) {
        return Err(Error::stopped());
    }
    Ok(shared.desk.send(now, Some(&status), message))
}

/// A share of a share, both above zero. So is the product, which would be rounded to zero where both are tiny: the loop takes
/// no such goal, and the plugin would be told that the arm can't get there.
fn share(asked: f64, granted: f64) -> f64 {
    (asked * granted).max(f64::MIN_POSITIVE)
}

/// Refuses what the plugin was not granted: pressing harder, or going somewhere else.
fn check_grant(state: &RunState, goal: &ArmGoal) -> Result<(), Error> {
    if let Some(most) = state.grant.contact_n
        && goal.contact_force_n > most
    {
        let text = format!(
            "`{}` may press with {most} N, it asked for {}",
            state.plugin, goal.contact_force_n
        );
        return Err(state.denied(DenialReason::Contact, text));
    }
    let is_line = [ArmGoalKind::Line, ArmGoalKind::Guarded]
        .into_iter()
        .any(|kind| goal.kind == kind as u32);
    let target = if goal.kind == ArmGoalKind::Joint as u32 {
        (state.ports.robot.tool_at)(&goal.joints_rad)
    } else {
        goal.pose
    };
    let reason = {
        let shared = state.shared();
        let zones = shared.fence.zones();
        match &shared.status {
            Some(status) if is_line => {
                zones.forbids_way(&status.tool_pose.position_m, &target.position_m)
            }
            _ => zones.forbids(&target.position_m),
        }
    };
    match reason {
        None => Ok(()),
        Some(reason) => {
            let text = format!("`{}` may not take the tool there: {reason}", state.plugin);
            Err(state.denied(DenialReason::Zone, text))
        }
    }
}

fn outcome(ended: Ended) -> Result<MotionOutcome, Error> {
    let state = match ended.state {
        MotionState::Done => "done",
        MotionState::Contact => "contact",
        MotionState::Preempted => "preempted",
        MotionState::Stopped => "stopped",
        MotionState::Rejected => {
            return Err(Error::failed(
                "unreachable",
                "no joint position reaches the target",
            ));
        }
        MotionState::Held | MotionState::Idle | MotionState::Active => "held",
    };
    Ok(MotionOutcome {
        state: state.to_owned(),
        reason: ended.reason.to_owned(),
        tool: (&ended.tool).into(),
        tick: ended.tick,
    })
}

/// The outcome of a motion that got to where it was to: whoever only looks whether `move-to` failed must not go on in mid-air.
fn arrived(ended: Ended) -> Result<MotionOutcome, Error> {
    match ended.state {
        MotionState::Done | MotionState::Contact | MotionState::Rejected => outcome(ended),
        MotionState::Preempted => Err(Error::other("a newer goal took the arm over")),
        MotionState::Stopped => Err(Error::stopped()),
        MotionState::Held | MotionState::Idle | MotionState::Active => {
            let (label, message) = match ended.reason {
                "" => ("unreachable", "braked to a hold before the goal".to_owned()),
                reason if reason == LimitKind::GripLost.name() => (
                    "dropped",
                    "what the hand held is gone, so the safety gate braked".to_owned(),
                ),
                BY_GRANT => (
                    "unreachable",
                    "braked to a hold where what the plugin was granted ends".to_owned(),
                ),
                reason => (
                    "unreachable",
                    format!("braked to a hold before the goal, by the safety gate ({reason})"),
                ),
            };
            Err(Error::failed(label, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_share_is_above_zero() {
        assert_eq!(share(0.5, 0.5).to_bits(), 0.25_f64.to_bits());
        assert_eq!(share(1.0, 1.0).to_bits(), 1.0_f64.to_bits());
        for (asked, granted) in [(5e-324, 0.5), (1e-200, 1e-200), (f64::MIN_POSITIVE, 1e-3)] {
            let share = share(asked, granted);
            assert!(share > 0.0 && share <= granted, "{asked:e} of {granted:e}");
        }
    }
}
