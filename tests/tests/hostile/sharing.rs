//! Plugins that want what others have, or don't give back what they have.

use serde_json::json;
use sinew_runtime::messages::StopCategory;
use sinew_runtime::sim::Profile;
use sinew_runtime::tasks::{FailureLabel, Happening, TaskState};
use sinew_tests::Rig;

use crate::{kit, nothing};

const MISBEHAVE: &str = "test/misbehave";

fn faults(rig: &Rig) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (rig.records().iter())
        .filter(|(kind, _)| kind == "plugin-fault")
        .map(|(_, content)| (text(&content["plugin"]), text(&content["fault"])))
        .collect()
}

/// Whoever has the arm keeps it until it is done; the next one gets it then.
#[test]
fn two_plugins_after_one_arm_get_it_one_after_the_other() {
    let mut rig = Rig::of(kit(), 430, 0, &Profile::calm());
    let first = rig.submit_with(MISBEHAVE, &json!({"act": "sleep", "ticks": 2_000}), false);
    let second = rig.submit_with("raw/handle-never-dropped", &nothing(), false);
    rig.run_until(|what| matches!(what, Happening::RunStarted { .. }));
    rig.run_for(1_000);
    let status = rig.host.tasks().status(second).expect("it waits");
    assert_eq!(status.state, TaskState::Queued);
    assert_eq!(rig.finish(first).state, TaskState::Succeeded);
    assert_eq!(rig.finish(second).state, TaskState::Succeeded);
    assert!(faults(&rig).is_empty());
}

/// The arm brakes as soon as the task is taken back; the plugin that does not come back is killed after its grace.
#[test]
fn who_ignores_its_cancellation_is_killed_and_the_arm_is_free() {
    let mut rig = Rig::of(kit(), 431, 0, &Profile::calm());
    let task = rig.submit_with(MISBEHAVE, &json!({"act": "ignore-cancel"}), false);
    rig.run_until(|what| matches!(what, Happening::RunStarted { .. }));
    rig.run_for(300);
    rig.host.tasks().cancel(task, "test");
    rig.run_for(500);
    assert!(!rig.moves(), "it was taken back");
    assert!(rig.host.tasks().end(task).is_none(), "it has its grace");
    let end = rig.finish(task);
    assert_eq!(end.state, TaskState::Cancelled, "{}", end.message);
    assert_eq!(faults(&rig), [(MISBEHAVE.to_owned(), "killed".to_owned())]);
    assert_eq!(rig.host.tasks().plugins().host().running(), 0);
    assert_eq!(
        rig.run("sinew/go-home", &nothing()).state,
        TaskState::Succeeded
    );
}

/// A latched stop is a stop, whatever a plugin goes on to try.
#[test]
fn who_goes_on_under_a_latched_stop_is_killed() {
    let mut rig = Rig::of(kit(), 432, 0, &Profile::calm());
    let task = rig.submit_with(MISBEHAVE, &json!({"act": "ignore-cancel"}), false);
    rig.run_until(|what| matches!(what, Happening::RunStarted { .. }));
    rig.run_for(300);
    rig.host
        .mailbox()
        .requests
        .stop(StopCategory::ControlledHold);
    let end = rig.finish(task);
    assert_eq!(end.label, Some(FailureLabel::SafetyStop), "{}", end.message);
    assert!(!rig.moves());
    assert_eq!(faults(&rig), [(MISBEHAVE.to_owned(), "killed".to_owned())]);
    assert_eq!(rig.host.tasks().plugins().host().running(), 0);
    rig.host.reset("test").expect("the cell is clear");
    assert_eq!(
        rig.run("sinew/go-home", &nothing()).state,
        TaskState::Succeeded
    );
}

/// A plugin that holds the arm while another is asked for and both are taken back leaves nothing.
#[test]
fn what_is_taken_back_before_it_began_never_runs() {
    let mut rig = Rig::of(kit(), 433, 0, &Profile::calm());
    let first = rig.submit_with(MISBEHAVE, &json!({"act": "spin"}), false);
    let second = rig.submit_with("raw/moving-and-dead", &nothing(), false);
    rig.run_for(5);
    rig.host.tasks().cancel(second, "test");
    assert_eq!(rig.finish(second).state, TaskState::Cancelled);
    let end = rig.finish(first);
    assert_eq!(end.label, Some(FailureLabel::SkillFault));
    assert_eq!(faults(&rig), [(MISBEHAVE.to_owned(), "budget".to_owned())]);
    assert!(!rig.said(
        |what| matches!(what, Happening::RunStarted { plugin, .. } if plugin.starts_with("raw/"))
    ));
}
