//! What is refused to a plugin, from the command line: in the audit log, in incidents, in the runs that are kept.

mod folder;

use folder::{Folder, MISBEHAVE_GRANTS};
use serde_json::{Value, json};

fn folder() -> Folder {
    let more =
        "force_n = 5.0\n[plugins.\"test/probe\"]\ninterfaces = [\"clock\", \"log\", \"motion\"]\n";
    Folder::with(&[
        ("misbehave.wasm", sinew_skill_artifacts::MISBEHAVE),
        ("probe.wasm", sinew_skill_artifacts::PROBE),
        (
            "grants.toml",
            format!("{MISBEHAVE_GRANTS}{more}").as_bytes(),
        ),
    ])
}

/// One cycle of `misbehave`.
fn run(folder: &Folder, code: i32, params: &Value, more: &[&str]) -> Value {
    let params = params.to_string();
    let arguments = [
        "run",
        "--inference",
        "embedded",
        "--cycles",
        "1",
        "--plugin",
        "misbehave.wasm",
        "--plugin",
        "probe.wasm",
        "--grants",
        "grants.toml",
        "--skill",
        "test/misbehave",
        "--params",
        &params,
    ];
    folder.json_beside_words(code, &[&arguments, more].concat())
}

/// Content of the records of refused calls, in a log that verifies.
fn denied(folder: &Folder) -> Vec<Value> {
    let verified = folder.json(0, &["audit", "verify"]);
    assert_eq!(verified["ok"], true);
    let exported = folder.json(0, &["audit", "export"]);
    let records = exported["records"].as_array().expect("records");
    let denied = (records.iter()).filter(|record| record["kind"] == "grant-denied");
    denied.map(|record| record["content"].clone()).collect()
}

/// Names and words of the events of the only incident.
fn events(folder: &Folder, report: &Value) -> Vec<(String, String)> {
    let incident = report["incidents"][0].as_str().expect("it failed");
    let bytes = std::fs::read(folder.path().join(incident)).expect("it is there");
    (mcap::MessageStream::new(&bytes).expect("it can be read"))
        .map(|message| message.expect("it can be read"))
        .filter(|message| message.channel.topic == "/events")
        .map(|message| {
            let event: Value = serde_json::from_slice(&message.data).expect("it is JSON");
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            (text("name"), text("message"))
        })
        .collect()
}

#[test]
fn a_refused_call_is_in_the_audit_log_and_no_flood_hides_it() {
    let hide = json!({"act": "hide-refusal", "times": 3000, "force": 6.0});
    let story = || {
        let folder = folder();
        let report = run(&folder, 1, &hide, &["--no-recovery"]);
        let denied = denied(&folder);
        let events = events(&folder, &report);
        let log = std::fs::read(folder.path().join("out/audit.jsonl")).expect("it is there");
        (denied, events, log, report["state_hash"].clone())
    };
    let (denied, events, log, state_hash) = story();
    let told: Vec<_> = (denied.iter())
        .map(|content| (&content["function"], &content["reason"], &content["count"]))
        .collect();
    let expected = [
        (json!("files.read"), json!("directory"), json!(6000)),
        (json!("gripper.grasp"), json!("force"), json!(1)),
    ];
    let expected: Vec<_> = expected.iter().map(|(a, b, c)| (a, b, c)).collect();
    assert_eq!(told, expected);
    assert_eq!(denied[0]["plugin"], "test/misbehave");
    assert_eq!(denied[0]["version"], "0.1.0");
    assert_eq!(
        (&denied[0]["task"], &denied[0]["run"]),
        (&json!(1), &json!(1))
    );
    let text = denied[0]["text"].as_str().expect("it has one");
    assert!(
        !text.contains(char::is_control) && text.contains("is granted"),
        "{text:?}"
    );
    // Thousands of lines came after it, more than an incident holds of a plugin's.
    let count = |name: &str| events.iter().filter(|(found, _)| found == name).count();
    assert!(count("log") > 4_000, "{}", count("log"));
    assert_eq!(count("denied"), 22);
    assert!(
        events
            .iter()
            .any(|(name, words)| name == "denied" && words.contains("may grip with 5 N"))
    );
    assert_eq!(
        count("run-started"),
        1,
        "nor anything else that the host says"
    );
    let again = story();
    assert!(again.2 == log, "the same seed is the same bytes");
    assert_eq!(again.3, state_hash);
}

/// What a recovery is asked before one is chosen leaves what any run leaves.
#[test]
fn what_a_recovery_tries_while_it_assesses_is_kept() {
    let folder = folder();
    run(&folder, 0, &json!({"act": "safe-point"}), &["--keep-runs"]);
    let denied = denied(&folder);
    let told: Vec<_> = (denied.iter())
        .map(|content| (content["function"].as_str(), content["assess"].as_bool()))
        .collect();
    let expected = ["motion.move-to", "clock.sleep"];
    assert_eq!(told, expected.map(|function| (Some(function), Some(true))));
    for content in &denied {
        assert_eq!(content["plugin"], "test/probe");
        assert_eq!(
            (&content["reason"], &content["count"]),
            (&json!("assess"), &json!(1))
        );
        assert_eq!((&content["task"], &content["run"]), (&json!(1), &json!(2)));
    }
    let kept = "out/runs/seed1-cycle0-task1-02-assess.test_probe.run";
    let replayed = folder.json(0, &["replay", kept, "--plugin", "probe.wasm"]);
    assert_eq!(replayed["runs"][0]["verdict"], "identical");
    assert!(
        (folder.path())
            .join("out/runs/seed1-cycle0-task1-02-test_probe.run")
            .is_file()
    );
}
