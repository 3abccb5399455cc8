//! Recoveries: what they may do while they assess, and how they end.

use serde_json::json;
use sinew_plugin_host::{Failure, Lease, RecoveryContext, RunEnd};

use crate::rig::{Rig, failed, misbehave, probe};

fn failure(label: &str, message: &str) -> Failure {
    Failure {
        label: label.to_owned(),
        message: message.to_owned(),
        detail: json!([4, 5]),
    }
}

fn context() -> RecoveryContext {
    RecoveryContext {
        skill: "sinew/kit-parts".to_owned(),
        params: json!({"order": []}),
        attempts: 2,
    }
}

#[test]
fn assessing_moves_nothing_and_waits_for_nothing() {
    let mut rig = Rig::new();
    let proposal = rig
        .host
        .assess(
            probe(),
            &failure("dropped", "it fell"),
            &context(),
            1,
            rig.now(),
        )
        .unwrap()
        .unwrap();
    assert!(
        proposal
            .plan
            .starts_with("sinew/kit-parts after 2 attempts"),
        "{}",
        proposal.plan
    );
    assert!(
        proposal.plan.contains("may not move anything"),
        "{}",
        proposal.plan
    );
    assert!(proposal.plan.contains("may not wait"), "{}", proposal.plan);
    assert!((proposal.success - 1.0).abs() < f64::EPSILON);
    rig.tick();
    assert!(rig.robot.arm_goals.is_empty());
}

#[test]
fn a_recovery_may_decline_crash_or_loop_while_it_assesses() {
    let rig = Rig::new();
    let assess = |message: &str| {
        rig.host.assess(
            probe(),
            &failure("dropped", message),
            &context(),
            1,
            rig.now(),
        )
    };
    assert_eq!(assess("decline"), Ok(None));
    assert!(matches!(assess("panic"), Err(RunEnd::Trapped { .. })));
    assert!(matches!(assess("spin"), Err(RunEnd::OutOfBudget { .. })));
}

#[test]
fn a_recovery_says_how_the_skill_goes_on() {
    let mut rig = Rig::new();
    let start = |rig: &Rig, label: &str| {
        rig.host
            .start_recovery(
                probe(),
                &failure(label, ""),
                &context(),
                Lease::ALL,
                1,
                rig.now(),
            )
            .unwrap()
    };
    let mut run = start(&rig, "dropped");
    let end = rig.finish(&mut run, 200);
    assert_eq!(
        end,
        RunEnd::Finished(json!({"message": "the arm is home", "next": "resume"}))
    );
    assert_eq!(rig.log(), [r#"Some([4, 5]) {"order":[]}"#]);
    let mut run = start(&rig, "no-grasp");
    assert_eq!(failed(rig.finish(&mut run, 200)).0, "no-grasp");
}

#[test]
fn kinds_are_not_mixed_up() {
    let rig = Rig::new();
    let skill = rig
        .host
        .start_skill(probe(), "{}", None, Lease::ALL, 1, rig.now())
        .err();
    assert_eq!(skill.unwrap().to_string(), "`test/probe` is no skill");
    let recovery = rig
        .host
        .start_recovery(
            misbehave(),
            &failure("slip", ""),
            &context(),
            Lease::ALL,
            1,
            rig.now(),
        )
        .err();
    assert_eq!(
        recovery.unwrap().to_string(),
        "`test/misbehave` is no recovery"
    );
}
