//! What has to hold after every run of a guest.

use sinew_messages::ArmGoalKind;
use sinew_plugin_host::{Checkpoint, RunEnd, RunEvent};

use super::packing::{
    CALLS_PER_STEP, CHECKPOINT_BYTES, CONTACT_N, EVENT_BYTES, EVENTS_PER_SECOND, FORCE_N,
    GOALS_PER_SECOND, JSON_BYTES, LOG_BYTES_PER_SECOND, MEMORY_BYTES, RUN_TICKS, SPEED,
    STORE_BYTES, ZONE_M,
};
use super::{Entry, Outcome};
use crate::surroundings::{GRIPPER_FORCE_MAX_N, GRIPPER_OPEN_M, Surroundings};

/// Longest text that is told of a trap.
const TRAP_BYTES: usize = 4 << 10;
/// Refusals that are told one by one, and kinds that are.
const DENIALS_TOLD: usize = 120;
/// Longest line about a refusal.
const DENIAL_BYTES: usize = 4 << 10;

/// Whatever a guest did, it is within what its plugin was granted.
pub(super) fn check_bounds(outcome: &Outcome, around: &Surroundings, entry: Entry) {
    let mut told = [0; 3];
    for event in &outcome.events {
        match event {
            RunEvent::Step { name, .. } => {
                told[0] += 1;
                assert!(name.len() <= EVENT_BYTES);
            }
            RunEvent::Emitted { name, .. } => {
                told[0] += 1;
                assert!(name.len() <= EVENT_BYTES);
            }
            RunEvent::SafePoint { schema, .. } => {
                told[0] += 1;
                assert_eq!(*schema, 1, "its manifest lists no other one");
            }
            RunEvent::Log { message, .. } => told[1] += message.len(),
            RunEvent::Denied { text, .. } => {
                told[2] += 1;
                assert!(text.len() <= DENIAL_BYTES && !text.contains('\n'), "{text}");
            }
        }
    }
    assert!(told[0] <= EVENTS_PER_SECOND, "{told:?}");
    assert!(told[1] <= LOG_BYTES_PER_SECOND, "{told:?}");
    assert!(told[2] <= DENIALS_TOLD, "{told:?}");
    match &outcome.end {
        Ok(RunEnd::Trapped { message }) => assert!(message.len() <= TRAP_BYTES),
        Ok(RunEnd::Finished(result)) if entry == Entry::Run => {
            // It was no longer as the guest wrote it; what is written here may have more digits.
            assert!(result.to_string().len() <= 2 * JSON_BYTES);
        }
        _ => {}
    }
    let usage = &outcome.usage;
    assert!(usage.memory_peak_bytes <= MEMORY_BYTES, "{usage:?}");
    assert!(usage.calls <= (RUN_TICKS + 2) * CALLS_PER_STEP, "{usage:?}");
    if let Some(Checkpoint { schema, bytes }) = &outcome.checkpoint {
        assert!(*schema == 1 && bytes.len() <= CHECKPOINT_BYTES);
    }
    let stored = outcome
        .memory
        .iter()
        .map(|(key, value)| key.len() + value.len());
    assert!(stored.sum::<usize>() <= STORE_BYTES);
    check_goals(around, entry);
}

/// Whatever a guest asked for, what reaches the loop makes sense and was granted.
fn check_goals(around: &Surroundings, entry: Entry) {
    let (arm, gripper) = (&around.arm_goals, &around.gripper_goals);
    if entry == Entry::Assess {
        assert!(arm.is_empty() && gripper.is_empty(), "it may not move");
    }
    // Each may have been followed by a hold.
    assert!(arm.len() <= 2 * GOALS_PER_SECOND + 1, "{} goals", arm.len());
    for goal in arm {
        let numbers = (goal.joints_rad.iter())
            .chain(&goal.pose.position_m)
            .chain(&goal.pose.orientation_xyzw);
        assert!(
            numbers
                .chain([&goal.contact_force_n])
                .all(|number| number.is_finite()),
            "{goal:?}"
        );
        if goal.kind == ArmGoalKind::Hold as u32 {
            continue;
        }
        assert!(
            goal.speed_scale > 0.0 && goal.speed_scale <= SPEED,
            "{goal:?}"
        );
        assert!(
            goal.acceleration_scale > 0.0 && goal.acceleration_scale <= 1.0,
            "{goal:?}"
        );
        let norm: f64 = goal
            .pose
            .orientation_xyzw
            .iter()
            .map(|part| part * part)
            .sum();
        assert!((norm - 1.0).abs() < 1e-9, "{goal:?}");
        assert!(goal.contact_force_n <= CONTACT_N, "{goal:?}");
        if goal.kind != ArmGoalKind::Joint as u32 {
            assert!(
                goal.pose.position_m.iter().all(|part| part.abs() <= ZONE_M),
                "{goal:?}"
            );
        }
    }
    assert!(gripper.len() <= GOALS_PER_SECOND);
    for goal in gripper {
        assert!((0.0..=GRIPPER_OPEN_M).contains(&goal.width_m), "{goal:?}");
        assert!(
            goal.force_n > 0.0 && goal.force_n <= FORCE_N.min(GRIPPER_FORCE_MAX_N),
            "{goal:?}"
        );
    }
}
