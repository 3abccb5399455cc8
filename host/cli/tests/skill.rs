//! A plugin's life in a store, from the command line.

mod cell;
mod folder;
#[path = "../../plugin-host/tests/plugins/repack.rs"]
#[allow(clippy::unwrap_used)]
mod repack;

use cell::{Cell, GRANTS, RUN, look, says};
use folder::MISBEHAVE_GRANTS;
use serde_json::{Value, json};

const FROM_STORE: [&str; 4] = ["--store", "out/skills", "--grants", "grants.toml"];

#[test]
fn a_skill_that_the_host_has_never_heard_of_is_installed_and_runs() {
    let cell = Cell::new();
    cell.0.write("look.wasm", &look("1.0.0", |_| {}));
    let checked = cell.skill(0, &["check", "look.wasm"]);
    says(
        &checked,
        &[
            "acme/look 1.0.0 (skill) can be used here",
            "by nobody",
            "interface motion",
        ],
    );
    cell.install("1.0.0", |_| {});
    assert_eq!(cell.states(), ["1.0.0 installed"]);
    let text = cell.skill(0, &["activate", "look", "--actor", "ben"]);
    says(&text, &["on probation for 20 runs"]);
    let report = cell.run("acme/look");
    assert_eq!(report["succeeded"], 2);
    let listed = cell.json(0, &["list"]);
    let digest = listed["skills"][0]["digest"].as_str().expect("it has one");
    assert_eq!(report["versions"]["acme/look"], digest);
    let skill = &listed["skills"][0];
    assert_eq!(
        (&skill["name"], &skill["publisher"]),
        (&json!("acme/look"), &json!("acme"))
    );
    assert_eq!(skill["unsigned"], false);
    assert_eq!(skill["grants"][0], "interface clock");
    let audit = cell.audit();
    says(
        &audit,
        &["plugin-installed", "plugin-activated", "ann", "ben"],
    );
}

#[test]
fn versions_come_and_go() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    cell.install("2.0.0", |_| {});
    cell.skill(
        0,
        &[
            "activate",
            "look@2.0.0",
            "--at",
            "safe-point",
            "--actor",
            "ben",
        ],
    );
    assert_eq!(
        cell.states(),
        ["2.0.0 probation", "1.0.0 installed"],
        "1.0.0 was not proven"
    );
    let refused = cell.skill(4, &["activate", "look@1.0.0", "--actor", "ben"]);
    says(&refused, &["older than 2.0.0", "--downgrade"]);
    cell.skill(
        0,
        &["activate", "look@1.0.0", "--downgrade", "--actor", "ben"],
    );
    let text = cell.skill(2, &["rollback", "look", "--actor", "ben"]);
    says(&text, &["no version that was good before"]);
    says(
        &cell.skill(0, &["pin", "look", "--actor", "ben"]),
        &["pinned"],
    );
    let refused = cell.skill(4, &["activate", "look@2.0.0", "--actor", "ben"]);
    says(&refused, &["pinned to 1.0.0", "--off"]);
    cell.skill(0, &["pin", "look", "--off", "--actor", "ben"]);
    cell.skill(4, &["remove", "look@1.0.0", "--actor", "ben"]);
    cell.skill(0, &["remove", "look@2.0.0", "--actor", "ben"]);
    assert_eq!(cell.states(), ["1.0.0 probation"]);
    let shown = cell.skill(0, &["show", "look"]);
    says(
        &shown,
        &[
            "by ben  a downgrade",
            "pinned",
            "unpinned",
            "removed",
            "0 units of fuel",
        ],
    );
    let audit = cell.audit();
    says(
        &audit,
        &[
            "plugin-refused",
            "plugin-pinned",
            "plugin-removed",
            "a downgrade",
        ],
    );
}

#[test]
fn an_update_that_wants_more_waits_until_somebody_agrees() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    let more = |manifest: &mut Value| {
        let imports = manifest["imports"].as_array_mut().expect("a list");
        imports.push(json!({"interface": "files", "why": "to keep notes"}));
    };
    cell.install("1.1.0", more);
    let missing = cell.skill(4, &["activate", "look", "--actor", "ben"]);
    says(
        &missing,
        &[
            "asks for what it was not granted",
            "files: to keep notes",
            "[plugins.\"acme/look\"]",
        ],
    );
    let shown = cell.0.gives(
        0,
        &[&["grants", "show", "acme/look"], &FROM_STORE[..]].concat(),
    );
    says(
        &shown,
        &[
            "acme/look 1.0.0",
            "granted by grants.toml",
            "interface motion",
        ],
    );
    // A grant that covers the newest version is not yet somebody who agrees.
    let added = cell.0.gives(
        0,
        &[&["grants", "add", "acme/look"], &FROM_STORE[..]].concat(),
    );
    says(&added, &["interface files: to keep notes"]);
    let unused = cell
        .0
        .gives(0, &[&["grants", "audit"], &FROM_STORE[..]].concat());
    says(
        &unused,
        &["acme/look", "unused", "it does not import `files`"],
    );
    let waits = cell.skill(4, &["activate", "look", "--actor", "ben"]);
    says(
        &waits,
        &[
            "until now: interface files",
            "sinew grants approve acme/look@1.1.0",
        ],
    );
    assert_eq!(cell.states(), ["1.1.0 installed", "1.0.0 probation"]);
    let approved = cell.0.gives(
        0,
        &[
            "grants",
            "approve",
            "acme/look@1.1.0",
            "--actor",
            "ann",
            "--grants",
            "grants.toml",
        ],
    );
    says(&approved, &["interface files"]);
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    says(&cell.audit(), &["plugin-approved"]);
}

#[test]
fn what_is_not_signed_by_whom_it_should_be_is_refused() {
    let cell = Cell::new();
    cell.0.write("look.wasm", &look("1.0.0", |_| {}));
    let text = cell.skill(4, &["install", "look.wasm", "--actor", "ann"]);
    says(
        &text,
        &["look.wasm is not signed", "sinew skill sign", "--unsigned"],
    );
    let text = cell.skill(4, &["install", "look.wasm", "--unsigned", "--actor", "ann"]);
    says(&text, &["has keys of its publisher `acme`"]);

    cell.0.gives(0, &["skill", "keygen", "other.key"]);
    cell.0.gives(
        0,
        &[
            "skill",
            "sign",
            "look.wasm",
            "--key",
            "other.key",
            "--out",
            "other.wasm",
        ],
    );
    let text = cell.skill(4, &["install", "other.wasm", "--actor", "ann"]);
    says(
        &text,
        &["which the trust file ", "trust.toml does not name"],
    );

    cell.0
        .gives(0, &["skill", "sign", "look.wasm", "--key", "acme.key"]);
    let text = cell
        .0
        .gives(2, &["skill", "sign", "look.wasm", "--key", "acme.key"]);
    says(&text, &["signed already"]);
    let mut bent = std::fs::read(cell.0.path().join("look.wasm")).expect("it was signed");
    bent[4_000] ^= 1;
    cell.0.write("bent.wasm", &bent);
    let text = cell.skill(4, &["install", "bent.wasm", "--actor", "ann"]);
    says(&text, &["changed after it was signed"]);
    assert!(cell.states().is_empty());
    assert_eq!(cell.audit().matches("plugin-refused").count(), 4);
}

#[test]
fn development_shows_that_it_is() {
    let cell = Cell::new();
    let lab = |manifest: &mut Value| manifest["name"] = json!("lab/look");
    cell.0
        .write("grants.toml", GRANTS.replace("acme", "lab").as_bytes());
    cell.0.write("look.wasm", &look("0.1.0", lab));
    let text = cell.skill(0, &["install", "look.wasm", "--unsigned", "--actor", "ann"]);
    says(&text, &["UNSIGNED (development)"]);
    says(&cell.skill(0, &["list"]), &["UNSIGNED (development)"]);
    let text = cell.skill(0, &["activate", "look", "--actor", "ann"]);
    says(&text, &["UNSIGNED (development)"]);
    assert_eq!(cell.run("lab/look")["unsigned"], json!(["lab/look"]));
    says(&cell.audit(), &["UNSIGNED, for development"]);
}

#[test]
fn what_the_cell_does_not_have_is_named() {
    let cell = Cell::new();
    let needs = |manifest: &mut Value| {
        manifest["equipment"] =
            json!({"gripper_force_n": 4_000, "poses": ["roof"], "classes": ["whale"]});
        manifest["policies"] = json!(["grasp"]);
        manifest["policy_digests"] = json!({"grasp": "ab".repeat(32)});
    };
    cell.0.write("look.wasm", &look("1.0.0", needs));
    let text = cell.skill(2, &["check", "look.wasm"]);
    says(
        &text,
        &[
            "the pose `roof`",
            "class `whale`",
            "gripper with 4000 N",
            "made for the model abab",
        ],
    );
    cell.0.write("look.wasm", &look("one", |_| {}));
    says(
        &cell.skill(2, &["check", "look.wasm"]),
        &["its version `one` is none"],
    );
}

#[test]
fn a_rehearsal_tells_before_it_is_too_late() {
    let cell = Cell::new();
    cell.0.write("look.wasm", &look("1.0.0", |_| {}));
    let params = r#"{"pose":"look-tray"}"#;
    let tried = cell.json(0, &["test", "look.wasm", "--runs", "2", "--params", params]);
    assert_eq!(
        (&tried["succeeded"], &tried["passed"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(
        (&tried["deterministic"], &tried["identical"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(tried["replayed"], 1);
    let interrupted = tried["interrupted"].as_array().expect("it was");
    let by: Vec<_> = interrupted.iter().map(|one| &one["by"]).collect();
    assert_eq!(by, ["cancel", "cancel", "cancel", "stop"]);
    assert!((interrupted.iter()).all(|one| one["complaints"] == json!([])));

    // It does its work, and does not come back when it is asked to.
    cell.0
        .write("stubborn.wasm", sinew_skill_artifacts::MISBEHAVE);
    let act = r#"{"act":"stubborn","ticks":400}"#;
    cell.0.write(
        "grants.toml",
        format!("{GRANTS}{MISBEHAVE_GRANTS}").as_bytes(),
    );
    let tried = cell.json(
        1,
        &["test", "stubborn.wasm", "--runs", "1", "--params", act],
    );
    assert_eq!(tried["succeeded"], 1);
    let complaints = tried["interrupted"][0]["complaints"].to_string();
    assert!(complaints.contains("was killed"), "{complaints}");
    // A stop takes nothing back: what it waits for comes.
    assert_eq!(tried["interrupted"][3]["complaints"], json!([]));

    // It says that it holds something afterwards, and never does.
    let lie = |manifest: &mut Value| {
        manifest["post_conditions"] = json!([{"predicate": "holding", "value": true}]);
    };
    cell.0.write("look.wasm", &look("1.0.0", lie));
    let tried = cell.json(1, &["test", "look.wasm", "--runs", "1", "--params", params]);
    assert_eq!(tried["failures"], json!({"false-success": 1}));
    cell.0
        .gives(0, &["skill", "sign", "look.wasm", "--key", "acme.key"]);
    let install = [
        "install",
        "look.wasm",
        "--rehearse",
        "1",
        "--params",
        params,
        "--actor",
        "ann",
    ];
    let text = cell.skill(2, &install);
    says(&text, &["its rehearsal", "0 of 1", "false-success 1"]);
    cell.0.write("grants.toml", b"");
    let text = cell.skill(4, &install);
    says(
        &text,
        &["its rehearsal", "asks for what it was not granted"],
    );
    assert!(cell.states().is_empty());
}

#[test]
fn a_revocation_stops_what_is_installed() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    let trust =
        std::fs::read_to_string(cell.0.path().join("out/skills/trust.toml")).expect("it is there");
    cell.trust(&format!("{trust}revoked = \"laptop stolen\"\n"));
    let listed = cell.skill(0, &["list"]);
    says(&listed, &["would NOT be loaded"]);
    let run = [
        "run",
        "--store",
        "out/skills",
        "--grants",
        "grants.toml",
        "--cycles",
        "1",
    ];
    let text = cell.0.gives(4, &run);
    says(&text, &["acme/look 1.0.0", "revoked: laptop stolen"]);
    says(
        &cell.skill(4, &["activate", "look", "--actor", "ben"]),
        &["revoked: laptop stolen"],
    );
}

#[test]
fn what_is_no_store_and_no_artifact_is_told_apart() {
    let cell = Cell::new();
    cell.0.write("text.wasm", b"hello");
    cell.0.write("core.wasm", b"\0asm\x01\0\0\0");
    says(
        &cell.skill(2, &["check", "text.wasm"]),
        &["text.wasm", "no WebAssembly component"],
    );
    says(&cell.skill(2, &["check", "core.wasm"]), &["core"]);
    says(&cell.skill(2, &["check", "none.wasm"]), &["none.wasm"]);
    says(
        &cell.skill(2, &["list", "--store", "elsewhere"]),
        &["elsewhere is no store of skills"],
    );
    says(
        &cell.skill(2, &["list", "--trust", "none.toml"]),
        &["none.toml"],
    );
    says(&cell.skill(2, &["show", "../look"]), &["names no plugin"]);
    cell.install("1.0.0", |_| {});
    says(
        &cell.skill(2, &["show", "place"]),
        &["fits `place`", "acme/look 1.0.0"],
    );
    says(
        &cell.skill(2, &["activate", "look@7.0.0", "--actor", "ann"]),
        &["acme/look 1.0.0"],
    );
    says(&cell.skill(2, &["activate", "look"]), &["--actor"]);
}

#[test]
fn a_version_that_fails_too_often_is_left_for_the_one_before_by_itself() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    cell.skill(
        0,
        &["activate", "look", "--probation", "2", "--actor", "ben"],
    );
    assert_eq!(cell.run("acme/look")["succeeded"], 2);
    assert_eq!(cell.states(), ["1.0.0 active"], "two runs have proven it");
    cell.install("2.0.0", |manifest| {
        manifest["post_conditions"] = json!([{"predicate": "holding", "value": true}]);
    });
    cell.skill(
        0,
        &["activate", "look", "--failures", "0", "--actor", "ben"],
    );
    cell.0.gives(1, &RUN);
    let report = std::fs::read(cell.0.path().join("report.json")).expect("it was written");
    let report: Value = serde_json::from_slice(&report).expect("it is JSON");
    assert_eq!(report["failures"], json!({"false-success": 1}));
    assert_eq!(
        report["succeeded"], 1,
        "the second cycle ran on 1.0.0 again"
    );
    let rollback = report["rollbacks"][0].as_str().expect("there is one");
    says(rollback, &["acme/look 2.0.0: ", "back to 1.0.0"]);
    assert_eq!(cell.states(), ["2.0.0 rolled-back", "1.0.0 active"]);
    let text = cell.skill(4, &["activate", "look@2.0.0", "--actor", "ben"]);
    says(&text, &["was rolled back", "--again"]);
    let shown = cell.json(0, &["show", "look"]);
    let usage = |version: usize| shown["versions"][version]["usage"].clone();
    assert_eq!(
        (&usage(0)["runs"], &usage(0)["failures"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&usage(1)["runs"], &usage(1)["failures"]),
        (&json!(3), &json!(0))
    );
    assert!(usage(1)["fuel"].as_u64() > Some(0) && usage(1)["cpu_ns"].as_u64() > Some(0));
    let audit = cell.audit();
    says(
        &audit,
        &["plugin-proven", "plugin-rolled-back", "sinew run"],
    );
}

/// The job goes well without it.
#[test]
fn a_recovery_that_nothing_has_called_has_not_been_tried() {
    let cell = Cell::new();
    // The name of a recovery that is called ends like its own.
    let mut manifest = repack::manifest(sinew_skill_artifacts::PROBE);
    manifest["name"] = json!("w/regrasp");
    let probe = repack::repack(sinew_skill_artifacts::PROBE, &[manifest]);
    cell.0.write("probe.wasm", &probe);
    let grants = "[plugins.\"w/regrasp\"]\ninterfaces = [\"clock\", \"log\", \"motion\"]\n";
    cell.0
        .write("grants.toml", format!("{GRANTS}{grants}").as_bytes());
    let tried = cell.json(1, &["test", "probe.wasm", "--runs", "1"]);
    assert_eq!(
        (&tried["succeeded"], &tried["passed"]),
        (&json!(1), &json!(false))
    );
    let messages = tried["messages"].to_string();
    assert!(messages.contains("it was never run"), "{messages}");
}

/// With nothing to go back to, what was run is reported all the same.
#[test]
fn a_run_whose_only_version_was_left_ends_with_its_report() {
    let cell = Cell::new();
    cell.install("1.0.0", |manifest| {
        manifest["post_conditions"] = json!([{"predicate": "holding", "value": true}]);
    });
    let activated = cell.skill(
        0,
        &["activate", "look", "--failures", "0", "--actor", "ben"],
    );
    says(
        &activated,
        &["sinew run --store out/skills --grants grants.toml --skill acme/look"],
    );
    let text = cell.0.gives(1, &RUN);
    says(
        &text,
        &[
            "ENDED EARLY",
            "no version of `acme/look` is active",
            "ROLLED BACK",
        ],
    );
    let report = std::fs::read(cell.0.path().join("report.json")).expect("it was written");
    let report: Value = serde_json::from_slice(&report).expect("it is JSON");
    assert_eq!(
        (&report["cycles"], &report["goal_reached"]),
        (&json!(1), &json!(false))
    );
    assert!(report["ended_early"].is_string());
    assert_eq!(cell.states(), ["1.0.0 rolled-back"]);
}

/// Nobody has mistyped anything: it was good for the version that was left.
#[test]
fn a_run_that_the_version_before_can_not_go_on_with_ends_with_its_report() {
    let cell = Cell::new();
    cell.install("1.0.0", |manifest| {
        manifest["params_schema"]["properties"]["pose"] = json!({ "enum": ["home"] });
    });
    let proven = ["activate", "look", "--probation", "2", "--actor", "ben"];
    cell.skill(0, &proven);
    let at_home = RUN.map(|word| match word {
        r#"{"pose":"look-tray"}"# => r#"{"pose":"home"}"#,
        word => word,
    });
    cell.0.gives(0, &at_home);
    assert_eq!(cell.states(), ["1.0.0 active"]);
    cell.install("2.0.0", |manifest| {
        manifest["post_conditions"] = json!([{"predicate": "holding", "value": true}]);
    });
    cell.skill(
        0,
        &["activate", "look", "--failures", "0", "--actor", "ben"],
    );
    let text = cell.0.gives(1, &RUN);
    says(
        &text,
        &[
            "ENDED EARLY",
            "the version that is active now can't do what was asked for",
            "/pose",
            "ROLLED BACK",
        ],
    );
}

#[test]
fn edited_machine_code_is_not_run_but_made_anew() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    let compiled = || {
        let folder = cell.0.path().join("out/skills/compiled");
        let mut files = std::fs::read_dir(folder).expect("it is there");
        files.next().expect("one version").expect("readable").path()
    };
    let before = std::fs::read(compiled()).expect("readable");
    let mut edited = before.clone();
    let middle = edited.len() / 2;
    edited[middle] ^= 0x40;
    std::fs::write(compiled(), &edited).expect("it is ours");
    assert_eq!(cell.run("acme/look")["succeeded"], 2);
    let after = std::fs::read(compiled()).expect("readable");
    assert_eq!(after.len(), before.len());
    assert_ne!(after, edited, "it was made anew, and kept");
    // The artifact itself is worth nothing once it was changed.
    let artifacts = cell.0.path().join("out/skills/artifacts");
    let artifact = std::fs::read_dir(artifacts).expect("there").next();
    let artifact = artifact.expect("one").expect("readable").path();
    let mut bytes = std::fs::read(&artifact).expect("readable");
    bytes[5_000] ^= 1;
    std::fs::write(&artifact, bytes).expect("it is ours");
    let run = [
        "run",
        "--store",
        "out/skills",
        "--grants",
        "grants.toml",
        "--cycles",
        "1",
    ];
    says(
        &cell.0.gives(2, &run),
        &["is not what was installed any more", "install it again"],
    );
}

#[test]
fn components_within_components_are_looked_at_and_no_more() {
    let cell = Cell::new();
    let manifest = repack::manifest(&look("1.0.0", |_| {}));
    let nested = |depth: usize| {
        let mut inner = wasm_encoder::Component::new();
        for _ in 0..depth {
            let mut outer = wasm_encoder::Component::new();
            outer.section(&wasm_encoder::NestedComponentSection(&inner));
            inner = outer;
        }
        repack::append(inner.finish(), &manifest)
    };
    cell.0.write("nested.wasm", &nested(40));
    says(
        &cell.skill(2, &["check", "nested.wasm"]),
        &["does not export"],
    );
    cell.0.write("deep.wasm", &nested(5_000));
    says(&cell.skill(2, &["check", "deep.wasm"]), &["deep.wasm"]);
    assert!(
        !cell.0.path().join("out/skills/state.sqlite").exists(),
        "nothing came of it"
    );
}

#[test]
fn a_change_waits_for_a_log_that_can_be_written() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    let log = cell.0.path().join("out/audit.jsonl");
    let mut broken = std::fs::read(&log).expect("it is there");
    broken[10] ^= 1;
    std::fs::write(&log, broken).expect("it is ours");
    cell.skill(4, &["activate", "look", "--actor", "ben"]);
    assert_eq!(cell.states(), ["1.0.0 installed"], "nothing has changed");
}

#[test]
fn nobody_gets_by_other_grants_what_somebody_would_have_to_agree_to() {
    let cell = Cell::new();
    let optional = |manifest: &mut Value| {
        let imports = manifest["imports"].as_array_mut().expect("a list");
        imports.push(json!({"interface": "files", "why": "to keep notes", "optional": true}));
    };
    cell.install("1.0.0", |_| {});
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    cell.install("1.1.0", optional);
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    let more = GRANTS.replace("\"clock\"", "\"clock\", \"files\"");
    cell.0.write("more.toml", more.as_bytes());
    let run = [
        "run",
        "--store",
        "out/skills",
        "--grants",
        "more.toml",
        "--cycles",
        "1",
    ];
    says(
        &cell.0.gives(4, &run),
        &["until now: interface files", "sinew grants approve"],
    );
}

#[test]
fn a_store_without_an_active_version_stops_nobody() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    cell.install("1.1.0", |_| {});
    let run = [
        "run",
        "--store",
        "out/skills",
        "--grants",
        "grants.toml",
        "--skill",
        "sinew/go-home",
        "--cycles",
        "1",
        "--params",
        r#"{"pose":"look-tray"}"#,
    ];
    cell.0.gives(0, &run);
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    says(
        &cell.skill(4, &["remove", "look@1.1.0", "--actor", "ben"]),
        &["--active"],
    );
    cell.skill(0, &["remove", "look@1.1.0", "--active", "--actor", "ben"]);
    cell.0.gives(0, &run);
    says(&cell.audit(), &["plugin-refused", "plugin-removed"]);
}

#[test]
fn grants_of_what_was_removed_stop_no_other_skill() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    let bears_all = ["activate", "look", "--probation", "3", "--failures", "3"];
    let bears_all = [&bears_all[..], &["--actor", "ben"]].concat();
    says(&cell.skill(2, &bears_all), &["proves nothing"]);
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    cell.skill(0, &["remove", "look@1.0.0", "--active", "--actor", "ben"]);
    let mut run = RUN;
    run[2] = "sinew/go-home";
    cell.0.gives(0, &run);
    let missing = cell.0.gives(2, &RUN);
    says(
        &missing,
        &[
            "there is no skill `acme/look`",
            "sinew skill activate acme/look",
        ],
    );
}

#[test]
fn a_trust_file_that_anybody_may_write_trusts_nobody() {
    use std::os::unix::fs::PermissionsExt as _;
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    let trust = cell.0.path().join("out/skills/trust.toml");
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&trust, open).expect("it is ours");
    says(&cell.skill(4, &["list"]), &["anybody can write into it"]);
}

#[test]
fn nothing_is_written_over_that_is_no_artifact() {
    let cell = Cell::new();
    cell.0.write("look.wasm", &look("1.0.0", |_| {}));
    let key = cell.0.path().join("acme.key");
    let before = std::fs::read(&key).expect("it is there");
    let onto = [
        "skill",
        "sign",
        "look.wasm",
        "--key",
        "acme.key",
        "--out",
        "acme.key",
    ];
    says(
        &cell.0.gives(2, &onto),
        &["something else, which is not replaced"],
    );
    assert_eq!(std::fs::read(&key).expect("it is there"), before);
    says(
        &cell
            .0
            .gives(2, &["skill", "keygen", "x.key", "--publisher", "Acme Corp"]),
        &["lower-case letters"],
    );
    cell.install("1.0.0", |_| {});
    says(
        &cell.skill(2, &["rollback", "look@1.0.0", "--actor", "ben"]),
        &["name no version"],
    );
}

/// A host works, a person makes another version active, and the task that runs goes on with it from where it was.
#[test]
fn a_task_that_runs_goes_over_when_it_is_told_to() {
    let cell = Cell::new();
    let grants = MISBEHAVE_GRANTS.replace("test/misbehave", "acme/count");
    cell.0.write("grants.toml", grants.as_bytes());
    for version in ["1.0.0", "2.0.0"] {
        let mut manifest = repack::manifest(sinew_skill_artifacts::MISBEHAVE);
        manifest["name"] = json!("acme/count");
        manifest["version"] = json!(version);
        let artifact = repack::repack(sinew_skill_artifacts::MISBEHAVE, &[manifest]);
        cell.0.write("count.wasm", &artifact);
        cell.0
            .gives(0, &["skill", "sign", "count.wasm", "--key", "acme.key"]);
        cell.skill(0, &["install", "count.wasm", "--actor", "ann"]);
    }
    cell.skill(0, &["activate", "count@1.0.0", "--actor", "ben"]);
    // Sixty steps of a tenth of a second, a safe point before each.
    let mut host = std::process::Command::new(env!("CARGO_BIN_EXE_sinew"))
        .current_dir(cell.0.path())
        .args([
            "run",
            "--speed",
            "real",
            "--cycles",
            "1",
            "--store",
            "out/skills",
        ])
        .args(["--grants", "grants.toml", "--inference", "embedded"])
        .args([
            "--skill",
            "acme/count",
            "--params",
            r#"{"act":"count","steps":60,"ticks":100}"#,
        ])
        .args(["--json", "report.json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary was built for this test");
    // Once its audit log is begun it has loaded the version that is active, and works.
    let begun = || {
        std::fs::read_to_string(cell.0.path().join("out/audit.jsonl"))
            .is_ok_and(|log| log.contains("reset-granted"))
    };
    while !begun() {
        let ended = host.try_wait().expect("it can be asked");
        assert_eq!(ended, None, "it has ended before it began");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let at = [
        "activate",
        "count@2.0.0",
        "--at",
        "safe-point",
        "--actor",
        "ben",
    ];
    cell.skill(0, &at);
    let output = host.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    says(&text, &["goes over from 1.0.0 to 2.0.0"]);
    let shown = cell.json(0, &["show", "count"]);
    let runs: Vec<_> = (shown["versions"].as_array().expect("a list").iter())
        .map(|version| (&version["version"], &version["usage"]["runs"]))
        .collect();
    assert_eq!(
        runs,
        [(&json!("2.0.0"), &json!(1)), (&json!("1.0.0"), &json!(1))]
    );
}
