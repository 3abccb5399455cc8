//! Guests that misbehave hurt themselves and nobody else.

use serde_json::{Value, json};
use sinew_runtime::kit::Kit;
use sinew_runtime::sim::Profile;
use sinew_runtime::tasks::{FailureLabel, SubmitOptions, TaskState};
use sinew_runtime::{Choice, InputError, Refused, Sources};
use sinew_tests::{Rig, plugins};

const MISBEHAVE: &str = "test/misbehave";

/// Lets the guest act, then checks that the host still works.
#[track_caller]
fn check(act: &Value, expected: FailureLabel) {
    let mut rig = Rig::new(401, 0, &Profile::calm());
    let task = rig.submit_with(MISBEHAVE, act, false);
    let end = rig.finish(task);
    assert_eq!(end.state, TaskState::Failed, "{act}");
    assert_eq!(end.label, Some(expected), "{act}: {}", end.message);
    let next = rig.run("sinew/go-home", &json!({}));
    assert_eq!(
        next.state,
        TaskState::Succeeded,
        "after {act}: {}",
        next.message
    );
}

#[test]
fn a_trap_ends_the_run_and_nothing_else() {
    check(&json!({"act": "trap"}), FailureLabel::SkillFault);
    check(&json!({"act": "panic"}), FailureLabel::SkillFault);
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    check(&json!({"act": "spin"}), FailureLabel::SkillFault);
}

#[test]
fn memory_ends_at_its_limit() {
    check(&json!({"act": "allocate"}), FailureLabel::SkillFault);
}

#[test]
fn a_plugin_without_a_grant_is_refused_and_told_what_to_add() {
    // Without the tests' own grants file.
    let sources = Sources {
        default_grants: sinew_skill_artifacts::GRANTS.into(),
        backend: Choice::Embedded,
        ..Sources::default()
    };
    let Err(error) = Kit::load(&sources, &plugins()) else {
        panic!("a guest without a grant was loaded");
    };
    assert!(error.is::<Refused>(), "{error}");
    let text = error.to_string();
    assert!(text.contains("[plugins.\"test/"), "{text}");
    assert!(text.contains("interfaces = ["), "{text}");
}

#[test]
fn what_is_no_component_is_refused_by_name() {
    let mut plugins = plugins();
    plugins.truncate(1);
    plugins[0].bytes = b"\0asm\x01\0\0\0".to_vec();
    plugins[0].origin = "broken.wasm".into();
    let Err(error) = Kit::load(
        &Sources {
            backend: Choice::Embedded,
            ..Sources::default()
        },
        &plugins,
    ) else {
        panic!("a module was taken for a plugin");
    };
    assert!(error.is::<InputError>(), "{error}");
    assert!(error.to_string().contains("broken.wasm"), "{error}");
}

#[test]
fn wrong_parameters_say_which_and_move_nothing() {
    let mut rig = Rig::new(402, 0, &Profile::calm());
    let mut check = |skill: &str, params: Value, expected: &str| {
        let error = rig
            .host
            .tasks()
            .submit(skill, &params.to_string(), SubmitOptions::default())
            .expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    };
    let line = |class: &str, slot: &str| json!({"order": [{"class": class, "slot": slot}]});
    check("sinew/kit-pats", json!({}), "sinew/kit-parts");
    check(
        "sinew/kit-parts",
        json!({"order": [{"slot": "A1"}]}),
        "/order/0",
    );
    check("sinew/kit-parts", line("gizmo", "A1"), "gizmo");
    check("sinew/kit-parts", line("block", "Z9"), "Z9");
    let mut unknown = line("block", "A1");
    unknown["speed"] = json!(3);
    check("sinew/kit-parts", unknown, "speed");
    check("sinew/kit-parts", json!({"order": []}), "/order");
    assert_eq!(rig.host.status().arm_goal_id, 0, "nothing moved");
}
