//! Boot, stops and resets of the whole host.

use serde_json::json;
use sinew_runtime::host::Speed;
use sinew_runtime::messages::{LimitKind, StopCategory, StopState};
use sinew_runtime::sim::Profile;
use sinew_runtime::tasks::{FailureLabel, Happening, TaskState};
use sinew_tests::{Rig, kit_parts};

fn is_latched(rig: &Rig) -> bool {
    rig.host.status().stop_state == StopState::Latched as u32
}

#[test]
fn the_robot_boots_stopped_and_a_reset_moves_nothing() {
    let mut rig = Rig::stopped(301, 0, &Profile::calm(), Speed::Max, &mut |_, camera| {
        camera
    });
    rig.run_for(50);
    assert!(is_latched(&rig));
    assert_eq!(rig.host.status().reason, LimitKind::Boot as u32);
    let before = rig.host.status().frame.position_rad;
    rig.host.reset("test").expect("nothing speaks against it");
    rig.run_for(500);
    assert!(!is_latched(&rig));
    let after = rig.host.status().frame.position_rad;
    for (before, after) in before.iter().zip(after) {
        assert!(
            (before - after).abs() < 0.01,
            "a reset moved a joint by {}",
            after - before
        );
    }
}

#[test]
fn a_stop_in_the_middle_of_a_task_latches_and_a_reset_takes_up_nothing() {
    let mut rig = Rig::new(302, 0, &Profile::calm());
    let params = kit_parts(&rig.order.clone());
    let task = rig.submit("sinew/kit-parts", &params);
    rig.run_until(|what| matches!(what, Happening::Step { .. }));
    rig.run_for(700);
    rig.host
        .mailbox()
        .requests
        .stop(StopCategory::ControlledHold);
    let end = rig.finish(task);
    assert_eq!(end.state, TaskState::Failed);
    assert_eq!(end.label, Some(FailureLabel::SafetyStop), "{}", end.message);
    assert!(is_latched(&rig), "a stop latches");
    rig.host
        .reset("test")
        .expect("nobody asks for a stop any more");
    let before = rig.host.status().frame.position_rad;
    rig.run_for(1_000);
    let after = rig.host.status().frame.position_rad;
    for (before, after) in before.iter().zip(after) {
        assert!((before - after).abs() < 0.01, "the task went on by itself");
    }
    let next = rig.run("sinew/go-home", &json!({}));
    assert_eq!(next.state, TaskState::Succeeded, "{}", next.message);
}

#[test]
fn an_open_emergency_stop_keeps_a_reset_from_being_granted() {
    let mut rig = Rig::new(303, 0, &Profile::calm());
    rig.cell.set_safety_inputs(0);
    rig.run_for(300);
    assert!(is_latched(&rig));
    let error = rig.host.reset("test").expect_err("the circuit is open");
    assert!(error.is::<sinew_runtime::Refused>(), "{error}");
    assert!(error.to_string().contains("emergency-stop"), "{error}");
    rig.cell.set_safety_inputs(u32::MAX);
    rig.host.reset("test").expect("the circuit is closed again");
}
