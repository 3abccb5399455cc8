//! Pick, place, failure, recovery, cancel, and that all of it is repeatable.

use serde_json::json;
use sinew_runtime::sim::Profile;
use sinew_runtime::sim::profile::MissingPart;
use sinew_runtime::tasks::{FailureLabel, Happening, TaskState};
use sinew_tests::{Rig, kit, kit_parts};

const KIT_PARTS: &str = "sinew/kit-parts";

/// Every cycle misses a part, and a spare lies elsewhere.
fn always_missing() -> Profile {
    Profile {
        name: "always-missing".into(),
        missing_part: Some(MissingPart { rate: 1.0 }),
        ..Profile::default()
    }
}

#[test]
fn parts_are_picked_and_placed_where_they_were_ordered() {
    let mut rig = Rig::new(101, 0, &Profile::calm());
    let order = rig.order.clone();
    assert!(order.len() >= 4, "{order:?}");
    let end = rig.run(KIT_PARTS, &kit_parts(&order));
    assert_eq!(end.state, TaskState::Succeeded, "{}", end.message);
    let grade = rig.grade(&order);
    assert!(grade.is_complete(), "{grade:#?}");
}

#[test]
fn a_missing_part_fails_the_task_and_a_recovery_finds_the_spare() {
    let fails = {
        let mut rig = Rig::new(102, 0, &always_missing());
        let params = kit_parts(&rig.order.clone());
        let task = rig.submit_with(KIT_PARTS, &params, false);
        rig.finish(task)
    };
    assert_eq!(fails.state, TaskState::Failed);
    assert_eq!(
        fails.label,
        Some(FailureLabel::MissingObject),
        "{}",
        fails.message
    );
    assert_eq!(fails.recoveries_attempted, 0);

    let mut rig = Rig::new(102, 0, &always_missing());
    let order = rig.order.clone();
    let end = rig.run(KIT_PARTS, &kit_parts(&order));
    assert!(rig.said(|what| matches!(
        what,
        Happening::RecoveryChosen { recovery, .. } if recovery == "sinew/search-missing"
    )));
    assert_eq!(end.state, TaskState::Succeeded, "{}", end.message);
    assert!(end.failures_met.contains(&FailureLabel::MissingObject));
    assert!(!end.first_pass);
    assert!(rig.grade(&order).is_complete());
}

/// The grip is cut on the way: the part is lost, found and taken again, and the order goes on.
#[test]
fn a_part_that_was_lost_is_taken_again() {
    let config = kit().config();
    let mild = config.profiles.get("mild").expect("a profile that ships");
    let mut rig = Rig::new(50_000, 7, mild);
    let order = rig.order.clone();
    let end = rig.run(KIT_PARTS, &kit_parts(&order));
    let faults = rig.cell.fault_events();
    assert!(
        faults.iter().any(|fault| fault.kind == "grip-cut"),
        "{faults:?}"
    );
    assert!(end.failures_met.contains(&FailureLabel::Dropped));
    assert!(rig.said(|what| matches!(
        what,
        Happening::RecoveryChosen { recovery, .. } if recovery == "sinew/regrasp"
    )));
    assert_eq!(end.state, TaskState::Succeeded, "{}", end.message);
    assert!(rig.grade(&order).is_complete());
}

/// What was placed before the failure stays placed: after the recovery the skill goes on from its checkpoint.
#[test]
fn after_a_recovery_the_order_goes_on_from_the_checkpoint() {
    let mut rig = Rig::new(102, 0, &always_missing());
    let mut order = rig.order.clone();
    order.reverse();
    let end = rig.run(KIT_PARTS, &kit_parts(&order));
    assert_eq!(end.state, TaskState::Succeeded, "{}", end.message);
    assert!(end.recoveries_attempted > 0);
    assert!(rig.said(|what| matches!(
        what,
        Happening::RunStarted { plugin, resumed: Some(1), .. } if plugin == KIT_PARTS
    )));
    assert!(rig.grade(&order).is_complete());
}

/// The same host on the real clock, with the control loop on its own thread.
#[test]
fn in_real_time_the_same_host_moves_the_arm() {
    let mut rig = Rig::in_real_time(kit(), 106, &Profile::calm());
    let end = rig.run("sinew/go-home", &json!({ "pose": "look-tray" }));
    assert_eq!(end.state, TaskState::Succeeded, "{}", end.message);
    assert!(end.ended.0 - end.started.0 > 200, "it had a way to go");
}

#[test]
fn a_cancelled_task_leaves_a_robot_that_holds_and_takes_the_next_one() {
    let mut rig = Rig::new(103, 0, &Profile::calm());
    let params = kit_parts(&rig.order.clone());
    let task = rig.submit(KIT_PARTS, &params);
    rig.run_until(|what| matches!(what, Happening::Step { .. }));
    rig.run_for(1_500);
    rig.host.tasks().cancel(task, "test");
    let end = rig.finish(task);
    assert_eq!(end.state, TaskState::Cancelled);
    let speed: f64 = rig
        .host
        .status()
        .setpoint
        .velocity_rad_s
        .iter()
        .map(|v| v.abs())
        .sum();
    assert!(speed < 1e-6, "still moving: {speed}");
    let next = rig.run("sinew/go-home", &json!({}));
    assert_eq!(next.state, TaskState::Succeeded, "{}", next.message);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let fingerprint = |seed| {
        let mut rig = Rig::new(seed, 3, &Profile::calm());
        let params = kit_parts(&rig.order.clone()[..1]);
        let end = rig.run(KIT_PARTS, &params);
        (rig.host.fingerprint(), rig.cell.state_hash(), end.ended)
    };
    let first = fingerprint(104);
    assert_eq!(first, fingerprint(104));
    assert_ne!(first, fingerprint(105));
}
