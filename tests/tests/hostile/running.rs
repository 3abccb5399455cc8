//! Skills that do wrong while they run.

use serde_json::{Value, json};
use sinew_runtime::sim::Profile;
use sinew_runtime::tasks::{FailureLabel, SubmitOptions, TaskState};
use sinew_runtime::units::Ticks;
use sinew_tests::Rig;

use crate::{kit, nothing};

/// How a case is to end.
#[derive(Clone, Copy, Debug)]
enum Ends {
    /// As if nothing had been: what it tried was answered with an error.
    Well,
    /// With a failure that is no fault.
    With(FailureLabel),
    /// As a fault of this kind, in these words.
    At(&'static str, &'static str),
    /// By its time.
    InTime,
    /// Well, and its result says so: it was told no.
    Says(&'static str),
}

use Ends::{At, InTime, Says, Well, With};

/// Guests of `guests.rs`, and how each ends.
const RAW: [(&str, Ends); 47] = [
    ("endless-loop", At("budget", "computing")),
    ("endless-copy", At("budget", "")),
    ("copies-without-a-loop", At("budget", "computing")),
    ("calls-without-a-loop", Well),
    ("endless-recursion", At("trap", "stack")),
    ("memory-bomb", Well),
    ("table-bomb", Well),
    ("list-of-a-gibibyte", At("trap", "out of bounds")),
    ("list-around-the-end", At("trap", "out of bounds")),
    ("list-larger-than-a-call", At("trap", "")),
    ("aliased-strings", Well),
    ("answer-beyond-memory", At("trap", "out of bounds")),
    ("text-that-is-no-utf-8", At("trap", "utf-8")),
    ("unaligned-list", At("trap", "align")),
    ("no-such-case", At("trap", "discriminant")),
    ("motion-left-behind", At("trap", "unreachable")),
    ("moving-and-dead", At("trap", "unreachable")),
    ("handle-never-dropped", Well),
    ("stale-handle", At("trap", "handle")),
    ("handle-dropped-twice", At("trap", "handle")),
    ("forged-handle", At("trap", "handle")),
    ("negative-handle", At("trap", "handle")),
    ("handle-bomb", Well),
    ("numbers-that-are-none", Well),
    ("sleep-for-ever", InTime),
    ("foreign-checkpoint", With(FailureLabel::NoGrasp)),
    ("huge-checkpoint", Well),
    ("answer-of-no-case", At("trap", "discriminant")),
    ("answer-out-of-bounds", At("trap", "out of bounds")),
    ("answer-of-a-gibibyte", At("trap", "out of bounds")),
    ("answer-that-is-no-utf-8", At("trap", "utf-8")),
    ("answer-that-is-no-json", At("result", "JSON")),
    ("answer-without-a-bottom", At("result", "JSON")),
    ("answer-too-long", At("result", "bytes")),
    ("label-that-is-none", At("result", "gone wrong")),
    ("label-of-the-host", At("result", "operator-abort")),
    ("detail-without-a-bottom", With(FailureLabel::NoGrasp)),
    ("memory-beyond-memory", At("trap", "realloc")),
    ("memory-unaligned", At("trap", "align")),
    ("memory-refused", At("trap", "unreachable")),
    ("memory-never-given", At("budget", "computing")),
    ("called-back", At("trap", "leave")),
    ("trap-afterwards", At("trap", "unreachable")),
    ("loop-afterwards", At("budget", "computing")),
    ("trap-at-its-start", At("trap", "unreachable")),
    ("loop-at-its-start", At("budget", "computing")),
    ("fails-as-told", At("result", "gone wrong")),
];

/// What `test/misbehave` does, and how it ends.
fn acts() -> Vec<(Value, Ends)> {
    let act = |act: &str| json!({ "act": act });
    let note = |path: &str| json!({"act": "read-note", "path": path});
    let edit = |path: &str| json!({"act": "edit-files", "edits": [[path, 10], [path, null]]});
    vec![
        (act("panic"), At("trap", "on purpose")),
        (act("exit"), At("trap", "exit")),
        (act("recurse"), At("trap", "")),
        (act("allocate"), At("budget", "memory")),
        (
            json!({"act": "long-list", "bytes": 4_000_000}),
            At("trap", ""),
        ),
        (json!({"act": "log-flood", "lines": 20_000}), Well),
        (
            json!({"act": "event-flood", "events": 2_000}),
            Says("1900 refused"),
        ),
        (json!({"act": "call-often", "times": 20_000}), Well),
        (act("move-nan"), Says("0 accepted")),
        (act("wrong-result"), At("result", "/said")),
        (act("fill-memory"), With(FailureLabel::Timeout)),
        (act("foreign-safe-point"), At("result", "checkpoint")),
        (
            act("look-outside"),
            Says("0 variables, 0 arguments, 0 bytes, file false, socket false"),
        ),
        (note("../outside/secret"), Says("outside of the filesystem")),
        (note("/etc/passwd"), Says("outside of the filesystem")),
        (note("to-secret"), Says("outside of the filesystem")),
        (note("to-absolute"), Says("outside of the filesystem")),
        (note("to-outside/secret"), Says("outside of the filesystem")),
        (edit("to-outside/new"), Says("refused refused")),
        (edit("../new"), Says("refused refused")),
        (
            json!({"act": "edit-files", "edits": [["to-secret", 10]]}),
            Says("refused"),
        ),
        (
            json!({"act": "write-file", "path": "large", "bytes": 2_000}),
            With(FailureLabel::Timeout),
        ),
    ]
}

/// Runs one skill, and checks everything that has to hold afterwards.
fn check(rig: &mut Rig, skill: &str, params: &Value, ends: Ends) {
    let name = format!("{skill} {params}");
    let told = rig.records().len();
    let time_limit = matches!(ends, InTime).then_some(Ticks::from_ms(2_000));
    let options = SubmitOptions {
        recovery: false,
        time_limit: time_limit.or(Some(Ticks::from_ms(240_000))),
        seed: 1,
    };
    let task = (rig.host.tasks()).submit(skill, &params.to_string(), options);
    let end = rig.finish(task.expect("the parameters fit"));
    let (label, fault) = match ends {
        Well | Says(_) => (None, None),
        With(label) => (Some(label), None),
        At(kind, words) => (Some(FailureLabel::SkillFault), Some((kind, words))),
        InTime => (Some(FailureLabel::Timeout), None),
    };
    assert_eq!(end.label, label, "{name}: {}", end.message);
    if let Says(words) = ends {
        let said = end.result["said"].as_str().unwrap_or_default();
        assert!(said.contains(words), "{name}: {said}");
    }
    // The robot stands, holds, and nobody stopped it.
    let status = rig.host.status();
    assert_eq!(status.stop_state, 0, "{name}: a stop");
    assert!(!rig.moves(), "{name}: the robot moves");
    // Nothing of it is left.
    assert_eq!(
        rig.host.tasks().plugins().host().running(),
        0,
        "{name}: an instance lives on"
    );
    // The log has its fault, and no other's.
    let records = rig.records().split_off(told);
    let faults: Vec<&Value> = (records.iter())
        .filter(|(kind, _)| kind == "plugin-fault")
        .map(|(_, content)| content)
        .collect();
    println!("{name}: {:?} {faults:?}", end.state);
    match fault {
        None => assert!(faults.is_empty(), "{name}: {faults:?}"),
        Some((kind, words)) => {
            let [fault] = &faults[..] else {
                panic!("{name}: {records:?}");
            };
            let text = fault["text"].as_str().unwrap_or_default();
            assert_eq!(fault["fault"], kind, "{name}: {text}");
            assert!(text.contains(words), "{name}: {text}");
            assert_eq!(fault["plugin"], skill, "{name}");
        }
    }
}

/// The same host, whatever came before.
fn works(rig: &mut Rig) {
    let next = rig.run("sinew/go-home", &nothing());
    assert_eq!(next.state, TaskState::Succeeded, "{}", next.message);
}

#[test]
fn what_no_toolchain_would_write_hurts_itself() {
    let mut rig = Rig::of(kit(), 410, 0, &Profile::calm());
    let known: Vec<String> = crate::guests::all()
        .iter()
        .map(crate::guests::Guest::full_name)
        .collect();
    let tried: Vec<String> = RAW.iter().map(|(name, _)| format!("raw/{name}")).collect();
    assert_eq!(known, tried, "every guest has its end here");
    for (name, ends) in RAW {
        check(&mut rig, &format!("raw/{name}"), &nothing(), ends);
        works(&mut rig);
    }
}

#[test]
fn what_a_toolchain_writes_hurts_itself_too() {
    let mut rig = Rig::of(kit(), 411, 0, &Profile::calm());
    for (act, ends) in acts() {
        check(&mut rig, "test/misbehave", &act, ends);
        works(&mut rig);
    }
}

#[test]
fn the_same_wrongs_are_the_same_bytes() {
    let story = || {
        let mut rig = Rig::of(kit(), 412, 0, &Profile::calm());
        for (name, ends) in RAW {
            check(&mut rig, &format!("raw/{name}"), &nothing(), ends);
        }
        rig.host.fingerprint().to_string()
    };
    assert_eq!(story(), story());
}
