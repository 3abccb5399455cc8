//! What is kept of refused calls: each is counted, and none hides another.

use std::sync::Arc;

use sinew_plugin_host::{DenialReason, Lease, Limits, Plugin, Run, RunDenials, RunEnd, RunEvent};

use crate::rig::{Rig, failed, host};

/// `misbehave` without any directory, and with a weak grip.
const GRANTS: &str = "[plugins.\"test/misbehave\"]\nforce_n = 5.0\ninterfaces = [\"world\", \"files\", \"motion\", \
                      \"gripper\", \"policy\", \"memory\", \"operator\", \"events\", \"log\", \"clock\", \
                      \"lifecycle\"]\n";

fn misbehave() -> (Rig, Arc<Plugin>) {
    let host = host(Limits::default(), GRANTS);
    let plugin = host
        .load(sinew_skill_artifacts::MISBEHAVE, "misbehave.wasm")
        .unwrap();
    (Rig::around(&host), plugin)
}

fn start(rig: &Rig, plugin: &Arc<Plugin>, params: &str) -> Run {
    (rig.host)
        .start_skill(plugin, params, None, Lease::ALL, 1, rig.now())
        .unwrap()
}

/// Function, reason and count of each kind.
fn kinds(denials: &RunDenials) -> Vec<(&str, DenialReason, u64)> {
    (denials.kinds.iter())
        .map(|kind| (kind.function.as_str(), kind.reason, kind.count))
        .collect()
}

fn told(events: &[RunEvent]) -> Vec<&str> {
    (events.iter())
        .filter_map(|event| match event {
            RunEvent::Denied { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_cheap_refusal_repeated_hides_no_other() {
    let (mut rig, plugin) = misbehave();
    let mut run = start(
        &rig,
        &plugin,
        r#"{"act":"hide-refusal","times":400,"force":6.0}"#,
    );
    assert_eq!(run.take_denials(), None, "it has not ended");
    let (_, message) = failed(rig.finish(&mut run, 100));
    assert!(message.contains("may grip with 5 N"), "{message}");
    let denials = run.take_denials().expect("a lot was refused");
    assert_eq!(
        kinds(&denials),
        [
            ("files.read", DenialReason::Directory, 800),
            ("gripper.grasp", DenialReason::Force, 1),
        ]
    );
    assert_eq!(denials.more, None);
    assert_eq!(run.usage().denials, 801, "every one is counted");
    assert_eq!(
        (denials.plugin.as_str(), denials.digest.as_str()),
        ("test/misbehave", plugin.digest())
    );
    assert_eq!(run.take_denials(), None, "once");
    // The budget of a second is used up, and the first of its kind is told all the same.
    let told = told(&rig.events);
    assert_eq!(told.len(), 20 + 2, "{told:?}");
    assert!(
        told.iter().any(|text| text.contains("may grip with 5 N")),
        "{told:?}"
    );
    // What the plugin chose of it breaks no line.
    let text = denials.kinds[0].text.as_str();
    assert!(text.contains("`a\u{fffd}{\"seq\":1}\u{fffd}`"), "{text}");
    assert_eq!(told[0], text);
    // Two brain steps: a step takes so many calls.
    let [reads, grip] = &denials.kinds[..] else {
        panic!("{denials:?}");
    };
    assert!(reads.first < reads.last && reads.first <= grip.first && grip.last <= reads.last);
}

#[test]
fn what_is_killed_leaves_what_was_refused_to_it() {
    let (rig, plugin) = misbehave();
    let mut run = start(
        &rig,
        &plugin,
        r#"{"act":"hide-refusal","times":5000,"force":6.0}"#,
    );
    assert_eq!(run.poll(rig.now()), None, "a step takes so many calls");
    assert_eq!(run.kill(), RunEnd::Cancelled { killed: true });
    let denials = run.take_denials().expect("a lot was refused");
    let all = run.usage().denials;
    assert!(all > 300, "{all}");
    assert_eq!(
        kinds(&denials),
        [("files.read", DenialReason::Directory, all)]
    );
}

#[test]
fn a_run_that_was_refused_nothing_leaves_nothing() {
    let (mut rig, plugin) = misbehave();
    let mut run = start(&rig, &plugin, r#"{"act":"grasp","force":5.0}"#);
    let end = rig.finish(&mut run, 100);
    assert!(matches!(end, RunEnd::Finished(_)), "{end:?}");
    assert_eq!(run.take_denials(), None);
}

/// The same run is refused the same.
#[test]
fn refusals_are_a_function_of_the_run() {
    let leaves = || {
        let (mut rig, plugin) = misbehave();
        let mut run = start(
            &rig,
            &plugin,
            r#"{"act":"hide-refusal","times":700,"force":9.0}"#,
        );
        rig.finish(&mut run, 100);
        (run.take_denials(), rig.events)
    };
    assert_eq!(leaves(), leaves());
}
