//! `gripper`: opening and closing.

use sinew_messages::{GripperGoal, MotionState};

use crate::denials::DenialReason;
use crate::desk::is_stopped;
use crate::link::Interface;
use crate::state::RunState;
use crate::wire::{Error, GripperOutcome};

/// Fingers that stop this much wider than asked have met something, m.
const MET_M: f64 = 0.002;
/// They hold it if they press with at least this force, N.
const HELD_N: f64 = 1.0;
/// Ticks in which the loop must have taken over a goal when a stop is latched.
const TAKE_OVER_TICKS: u64 = 5;

pub(crate) fn link(gripper: &mut Interface<'_>) -> wasmtime::Result<()> {
    gripper.waits("move-to", |state, (width, force): (f64, f64)| {
        Box::pin(go(state, width, force))
    })?;
    gripper.waits("open", |state, (): ()| {
        let robot = &state.ports.robot;
        let (width, force) = (robot.gripper_open_m, robot.gripper_force_max_n);
        let force = state.grant.force_n.map_or(force, |limit| force.min(limit));
        Box::pin(go(state, width, force))
    })?;
    gripper.waits("grasp", |state, (force,): (f64,)| {
        Box::pin(go(state, 0.0, force))
    })
}

async fn go(state: &mut RunState, width: f64, force: f64) -> Result<GripperOutcome, Error> {
    if !(width.is_finite() && width >= 0.0) {
        return Err(Error::other(format!(
            "the width {width} is no distance in metres"
        )));
    }
    if !(force.is_finite() && force > 0.0) {
        return Err(Error::other(format!(
            "the force {force} is no positive force in newtons"
        )));
    }
    if let Some(limit) = state.grant.force_n
        && force > limit
    {
        let text = format!(
            "`{}` may grip with {limit} N, it asked for {force}",
            state.plugin
        );
        return Err(state.denied(DenialReason::Force, text));
    }
    state.take_goal()?;
    let robot = &state.ports.robot;
    let width = (width.max(robot.gripper_closed_m)).min(robot.gripper_open_m);
    let goal = GripperGoal {
        id: (robot.goal_ids)(),
        width_m: width,
        force_n: force.min(robot.gripper_force_max_n),
        speed_m_s: robot.gripper_speed_m_s,
    };
    let sent = {
        let shared = state.shared();
        if shared.cancelled {
            return Err(Error::Cancelled);
        }
        if shared.status.as_ref().is_some_and(is_stopped) {
            return Err(Error::stopped());
        }
        robot.mailbox.gripper.write(&goal);
        shared.now
    };
    state
        .until(|shared| {
            let status = shared.status.as_ref()?;
            let outcome = |state: &str| {
                let frame = &status.frame;
                Some(Ok(GripperOutcome {
                    state: state.to_owned(),
                    width: frame.gripper_width_m,
                    force: frame.gripper_force_n,
                    holding: frame.gripper_width_m > width + MET_M
                        && frame.gripper_force_n >= HELD_N,
                    tick: status.tick,
                }))
            };
            if status.gripper_goal_id > goal.id {
                return outcome("preempted");
            }
            if status.gripper_goal_id < goal.id {
                let late = shared.now.since(sent).0 > TAKE_OVER_TICKS;
                return (late && is_stopped(status)).then(|| Err(Error::stopped()));
            }
            match MotionState::decode(status.gripper_state).unwrap_or(MotionState::Held) {
                MotionState::Idle | MotionState::Active => None,
                MotionState::Stopped => Some(Err(Error::stopped())),
                MotionState::Preempted => outcome("preempted"),
                MotionState::Rejected => Some(Err(Error::other(
                    "the gripper does not take this width or force",
                ))),
                MotionState::Done | MotionState::Contact => outcome("done"),
                MotionState::Held => outcome("held"),
            }
        })
        .await
}
