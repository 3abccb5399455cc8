//! Runs that are recorded, and done again.

use sha2::{Digest as _, Sha256};
use sinew_plugin_host::{
    Lease, Limits, PluginHost, RecordError, ReplayVerdict, Run, RunEnd, RunRecord,
};

use crate::rig::{GRANTS, Rig, host, misbehave, probe};

/// A host that knows nothing of the one that recorded: other ports, no grants.
fn laptop() -> PluginHost {
    host(Limits::default(), "")
}

fn recorded(run: &mut Run) -> RunRecord {
    let record = run.take_record().expect("it has ended");
    assert!(run.take_record().is_none(), "once");
    // As it comes out of a file.
    RunRecord::from_bytes(&record.to_bytes()).unwrap()
}

fn replayed(record: &RunRecord) -> ReplayVerdict {
    let laptop = laptop();
    let plugin = laptop
        .load_for_replay(sinew_skill_artifacts::MISBEHAVE, "misbehave.wasm", None)
        .unwrap();
    assert_eq!(plugin.digest(), record.digest);
    let replay = laptop.replay(&plugin, record);
    if !matches!(replay.verdict, ReplayVerdict::Differs(_)) {
        assert_eq!(replay.calls, record.calls());
    }
    replay.verdict
}

#[test]
fn whatever_a_run_does_it_does_again() {
    let mut calls = 0;
    for act in [
        r#"{"act":"move","pose":"home"}"#,
        r#"{"act":"move","pose":"nowhere"}"#,
        r#"{"act":"move-to","position":[0.4,0.1,-0.2]}"#,
        r#"{"act":"move-nan"}"#,
        r#"{"act":"start-and-cancel","ticks":10}"#,
        r#"{"act":"start-and-drop"}"#,
        r#"{"act":"wait-any"}"#,
        r#"{"act":"handle-bomb"}"#,
        r#"{"act":"grasp","force":20.0}"#,
        r#"{"act":"grasp","force":31.0}"#,
        r#"{"act":"policy","name":"grasp"}"#,
        r#"{"act":"policy","name":"juggle"}"#,
        r#"{"act":"look"}"#,
        r#"{"act":"call-often","times":3000}"#,
        r#"{"act":"sleep","ticks":123}"#,
        r#"{"act":"sleep-std","ms":250}"#,
        r#"{"act":"look-outside"}"#,
        r#"{"act":"panic"}"#,
        r#"{"act":"trap"}"#,
        r#"{"act":"recurse"}"#,
        r#"{"act":"exit"}"#,
        r#"{"act":"allocate"}"#,
        r#"{"act":"long-list","bytes":2000000}"#,
        r#"{"act":"log-flood","lines":2000}"#,
        r#"{"act":"event-flood","events":200}"#,
        r#"{"act":"safe-point"}"#,
        r#"{"act":"remember"}"#,
        r#"{"act":"fill-memory"}"#,
        r#"{"act":"read-file"}"#,
        r#"{"act":"ask"}"#,
        r#"{"act":"wrong-result"}"#,
    ] {
        let mut rig = Rig::new();
        let mut run = rig.start(act);
        let end = rig.finish(&mut run, 20_000);
        let record = recorded(&mut run);
        assert_eq!(
            replayed(&record),
            ReplayVerdict::Identical,
            "{act}: {end:?}"
        );
        calls += record.calls();
    }
    assert!(calls > 5_000, "{calls}");
}

/// Where a budget counts steps or the host takes a run back, the component alone would have gone on.
#[test]
fn runs_that_the_host_ended_are_the_same_up_to_there() {
    let mut rig = Rig::new();
    let mut killed = rig.start(r#"{"act":"policy","name":"grasp"}"#);
    assert_eq!(killed.poll(rig.now()), None);
    killed.kill();
    let record = recorded(&mut killed);
    assert_eq!(replayed(&record), ReplayVerdict::EndedByHost);
    // What it was in when it was killed counts, too.
    let other = forged(&record, br#""name":"grasp"}"#, br#""name":"gripe"}"#);
    let ReplayVerdict::Differs(difference) = replayed(&other) else {
        panic!("it runs another policy");
    };
    assert_eq!(difference.call, record.calls());
    assert!(difference.recorded.contains("grasp") && difference.replayed.contains("gripe"));

    let mut deaf = rig.start(r#"{"act":"ignore-cancel"}"#);
    for tick in 0..5_000 {
        if tick == 70 {
            deaf.cancel();
        }
        if let Some(end) = deaf.poll(rig.now()) {
            assert_eq!(end, RunEnd::Cancelled { killed: true });
            break;
        }
        rig.tick();
    }
    // It called a thousand times in each step of its grace, more than is kept.
    let record = recorded(&mut deaf);
    assert!(record.end.by_host && record.left_out() > 0);
    assert_eq!(replayed(&record), ReplayVerdict::AsFarAsKept);

    // Told to end, it ended by itself: that is what its calls were answered.
    let mut tidy = rig.start(r#"{"act":"tidy-up"}"#);
    for _ in 0..10 {
        assert_eq!(tidy.poll(rig.now()), None);
        rig.tick();
    }
    tidy.cancel();
    rig.finish(&mut tidy, 10);
    assert_eq!(replayed(&recorded(&mut tidy)), ReplayVerdict::Identical);
}

#[test]
fn a_recovery_is_recorded_too() {
    let mut rig = Rig::new();
    let failure = sinew_plugin_host::Failure {
        label: "dropped".to_owned(),
        message: "recover".to_owned(),
        detail: serde_json::Value::Null,
    };
    let context = sinew_plugin_host::RecoveryContext {
        skill: "test/misbehave".to_owned(),
        version: "0.1.0".to_owned(),
        params: serde_json::json!({}),
        attempts: 0,
        resumable: false,
        time_limit: sinew_units::Ticks(90_000),
    };
    let mut run = (rig.host)
        .start_recovery(probe(), &failure, &context, Lease::ALL, 1, rig.now())
        .unwrap();
    rig.finish(&mut run, 1_000);
    let record = recorded(&mut run);
    let laptop = laptop();
    let plugin = laptop
        .load_for_replay(sinew_skill_artifacts::PROBE, "probe.wasm", None)
        .unwrap();
    let replay = laptop.replay(&plugin, &record);
    assert_eq!(replay.verdict, ReplayVerdict::Identical);
    assert!(replay.calls > 0);
}

#[test]
fn files_are_not_touched_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let grants = GRANTS.replace("\"world\", ", "\"world\", \"files\", ")
        + &format!(
            "[[plugins.\"test/misbehave\".directories]]\nname = \"notes\"\npath = \"{path}\"\nwrite = true\n\
             quota_bytes = 1000\n"
        );
    let (mut rig, plugin) = Rig::with(Limits::default(), &grants);
    let act = r#"{"act":"edit-files","edits":[["a",600],["b",600],["a",null],["b",600]]}"#;
    let mut run = rig.start_of(&plugin, act);
    let RunEnd::Finished(result) = rig.finish(&mut run, 100) else {
        panic!("it says what was done");
    };
    assert_eq!(result["said"], "done refused done done");
    let record = recorded(&mut run);
    std::fs::remove_file(folder.path().join("b")).unwrap();
    assert_eq!(replayed(&record), ReplayVerdict::Identical);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

/// The file of a run, changed, with the hash of what it is then.
fn forged(record: &RunRecord, from: &[u8], to: &[u8]) -> RunRecord {
    assert_eq!(from.len(), to.len());
    let bytes = record.to_bytes();
    let mut content = bytes[..bytes.len() - 32].to_vec();
    let at = content
        .windows(from.len())
        .position(|window| window == from)
        .expect("it is there");
    content[at..at + to.len()].copy_from_slice(to);
    let hash = Sha256::digest(&content);
    content.extend_from_slice(&hash);
    RunRecord::from_bytes(&content).unwrap()
}

#[test]
fn the_first_call_that_differs_is_shown_with_both_values() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"sleep","ticks":123}"#);
    rig.finish(&mut run, 1_000);
    let record = recorded(&mut run);
    let other = forged(
        &record,
        br#"{"act":"sleep","ticks":123}"#,
        br#"{"act":"sleep","ticks":124}"#,
    );
    let ReplayVerdict::Differs(difference) = replayed(&other) else {
        panic!("it slept longer");
    };
    assert_eq!(difference.recorded, "clock.sleep(123,)");
    assert_eq!(difference.replayed, "clock.sleep(124,)");
    let before = difference.call;
    assert!(before > 0, "it looked at the clock first");

    // Another function; what the recorded one was called with is said all the same.
    let other = forged(
        &record,
        br#"{"act":"sleep","ticks":123}"#,
        br#"{"act":"look"             }"#,
    );
    let ReplayVerdict::Differs(difference) = replayed(&other) else {
        panic!("it looked instead");
    };
    assert_eq!(difference.recorded, "clock.sleep(123,)");
    assert!(
        difference.replayed.starts_with("world."),
        "{}",
        difference.replayed
    );

    // One that there is not, and another end.
    let other = forged(&record, b"clock.sleep", b"clock.sleeq");
    let ReplayVerdict::Differs(difference) = replayed(&other) else {
        panic!("there is no such function");
    };
    assert_eq!(
        (difference.call, difference.recorded.as_str()),
        (before, "clock.sleeq")
    );
    let other = forged(&record, b"\"said\":\"slept\"", b"\"said\":\"slepp\"");
    let ReplayVerdict::Differs(difference) = replayed(&other) else {
        panic!("it said something else");
    };
    assert_eq!(difference.call, record.calls());
    assert!(difference.recorded.contains("slepp") && difference.replayed.contains("slept"));
}

#[test]
fn what_is_too_long_for_a_record_says_so() {
    let limits = Limits {
        record_bytes: 2_000,
        ..Limits::default()
    };
    let (mut rig, plugin) = Rig::with(limits, GRANTS);
    let act = r#"{"act":"call-often","times":500}"#;
    let mut run = rig.start_of(&plugin, act);
    rig.finish(&mut run, 1_000);
    let record = recorded(&mut run);
    assert!(record.left_out() > 300 && record.calls() > 10);
    assert_eq!(replayed(&record), ReplayVerdict::AsFarAsKept);
}

#[test]
fn a_damaged_record_is_refused() {
    let mut rig = Rig::new();
    let mut run = rig.start(r#"{"act":"look"}"#);
    rig.finish(&mut run, 1_000);
    let bytes = run.take_record().unwrap().to_bytes();
    assert!(misbehave().digest().len() == 64);
    for cut in 0..bytes.len() {
        let error = RunRecord::from_bytes(&bytes[..cut]).unwrap_err();
        let expected = if cut < 8 {
            RecordError::Other
        } else {
            RecordError::Damaged
        };
        assert_eq!(error, expected, "{cut}");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(RunRecord::from_bytes(&flipped).is_err(), "{at}");
    }
    let mut newer = bytes;
    newer[7] = 9;
    assert_eq!(
        RunRecord::from_bytes(&newer).unwrap_err(),
        RecordError::Newer(9)
    );
}
