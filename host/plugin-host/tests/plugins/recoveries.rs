//! Recoveries: what they may do while they assess, and how they end.

use serde_json::json;
use sinew_plugin_host::{
    DenialReason, Failure, Lease, RecoveryContext, ReplayVerdict, RunEnd, RunEvent,
};

use sinew_units::Ticks;

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
        version: "1.4.0".to_owned(),
        params: json!({"order": []}),
        attempts: 2,
        resumable: true,
        time_limit: Ticks(90_000),
    }
}

#[test]
fn assessing_moves_nothing_and_waits_for_nothing() {
    let mut rig = Rig::new();
    let assessed = rig.host.assess(
        probe(),
        &failure("dropped", "it fell"),
        &context(),
        1,
        rig.now(),
    );
    let proposal = assessed.answer.unwrap().unwrap();
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
    // What was refused is told, counted and recorded like that of any run.
    let denied = |event: &RunEvent| matches!(event, RunEvent::Denied { .. });
    assert_eq!(
        assessed.events.iter().filter(|event| denied(event)).count(),
        2
    );
    let denials = assessed.denials.expect("two calls were refused");
    assert_eq!(denials.plugin, "test/probe");
    assert_eq!(denials.digest, probe().digest());
    let kinds: Vec<_> = (denials.kinds.iter())
        .map(|kind| (kind.function.as_str(), kind.reason, kind.count))
        .collect();
    let expected = ["motion.move-to", "clock.sleep"];
    assert_eq!(
        kinds,
        expected.map(|function| (function, DenialReason::Assess, 1))
    );
    let record = assessed.record.expect("it is recorded");
    assert_eq!(record.end.kind, "proposed");
    let replay = rig.host.replay(probe(), &record);
    assert_eq!(replay.verdict, ReplayVerdict::Identical);
    assert_eq!(replay.calls, record.calls());
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
    let ended = |message: &str| {
        let assessed = assess(message);
        let record = assessed.record.expect("every run is recorded");
        assert_eq!(rig.host.replay(probe(), &record).calls, record.calls());
        assert!(assessed.denials.is_none());
        (assessed.answer, record.end.kind)
    };
    assert_eq!(ended("decline"), (Ok(None), "proposed".to_owned()));
    let (answer, kind) = ended("panic");
    assert!(matches!(answer, Err(RunEnd::Trapped { .. })) && kind == "trapped");
    let (answer, kind) = ended("spin");
    assert!(matches!(answer, Err(RunEnd::OutOfBudget { .. })) && kind == "cancelled");
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
    assert_eq!(rig.log(), [r#"Some([4, 5]) 1.4.0 {"order":[]} true 90000"#]);
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
