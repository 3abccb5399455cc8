//! Running plugins out of a store: going over to another version, and leaving one.

mod cell;
mod folder;

#[path = "../../plugin-host/tests/plugins/repack.rs"]
#[allow(clippy::unwrap_used)]
mod repack;

use cell::{Cell, GRANTS, RUN, says};
use folder::MISBEHAVE_GRANTS;
use serde_json::{Value, json};

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
    says(
        &cell.run_once(2, &["--grants", "grants.toml"]),
        &[
            "acme/look 1.0.0",
            "not what was installed any more",
            "install it again",
        ],
    );
    std::fs::remove_file(&artifact).expect("it is ours");
    says(
        &cell.run_once(2, &["--grants", "grants.toml"]),
        &["acme/look 1.0.0", "is gone", "install it again"],
    );
    cell.skill(0, &["install", "look.wasm", "--actor", "ann"]);
    assert_eq!(cell.run("acme/look")["succeeded"], 2);
}

#[test]
fn a_store_without_an_active_version_stops_nobody() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    cell.install("1.1.0", |_| {});
    let go_home = ["--skill", "sinew/go-home", "--grants", "grants.toml"];
    let go_home = [&go_home[..], &["--params", r#"{"pose":"look-tray"}"#]].concat();
    cell.run_once(0, &go_home);
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    says(
        &cell.skill(4, &["remove", "look@1.1.0", "--actor", "ben"]),
        &["--active"],
    );
    cell.skill(0, &["remove", "look@1.1.0", "--active", "--actor", "ben"]);
    cell.run_once(0, &go_home);
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
        &["there is no skill `acme/look`", "sinew skill install FILE"],
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

#[test]
fn a_run_out_of_a_store_is_done_again_out_of_it() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    cell.0.gives(0, &[&RUN[..], &["--keep-runs"]].concat());
    let runs = std::fs::read_dir(cell.0.path().join("out/runs")).expect("they were kept");
    let names: Vec<String> = runs
        .map(|run| run.expect("readable").path().display().to_string())
        .collect();
    let replay = ["replay", &names[0]];
    says(
        &cell.0.gives(2, &replay),
        &["`acme/look` 1.0.0", "--plugin", "--store"],
    );
    let from_store = [&replay[..], &["--store", "out/skills"]].concat();
    says(&cell.0.gives(0, &from_store), &["identical: "]);
}

#[test]
fn what_could_not_be_booked_is_told_as_that() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    let lock = std::fs::File::open(cell.0.path().join("out/skills/lock")).expect("it is there");
    lock.lock().expect("nobody else has it");
    let said = cell.0.gives(0, &RUN);
    says(
        &said,
        &[
            "skill store   ends of runs were not booked",
            "counts in no probation",
        ],
    );
    assert!(!said.contains("lost evidence"), "{said}");
    drop(lock);
    assert_eq!(cell.states(), ["1.0.0 probation"]);
    let listed = cell.json(0, &["list"]);
    assert_eq!(listed["skills"][0]["runs"], 0);
}

/// The task succeeds: the version before has taken it over. That one of them trapped is evidence all the same.
#[test]
fn what_the_version_before_has_put_right_leaves_an_incident() {
    let cell = Cell::new();
    let report = |cycle: &str| -> Value {
        let calm = ["--profile", "calm", "--goal", "0", "--json", "report.json"];
        cell.run_once(0, &[&calm[..], &["--seed", cycle]].concat());
        let report = std::fs::read(cell.0.path().join("report.json")).expect("it was written");
        serde_json::from_slice(&report).expect("it is JSON")
    };
    let install = |artifact: &[u8], version: &str, probation: &str| {
        let mut manifest = repack::manifest(artifact);
        manifest["version"] = json!(version);
        cell.0
            .write("kit.wasm", &repack::repack(artifact, &[manifest]));
        let install = ["install", "kit.wasm", "--unsigned", "--actor", "ann"];
        cell.skill(0, &install);
        let name = format!("kit-parts@{version}");
        let activate = [
            "activate",
            &name,
            "--probation",
            probation,
            "--actor",
            "ben",
        ];
        cell.skill(0, &activate);
    };
    install(sinew_skill_artifacts::KIT_PARTS, "1.0.0", "1");
    let sound = report("7");
    assert_eq!(
        (&sound["succeeded"], &sound["first_pass"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(sound["incidents"], json!([]));
    install(sinew_skill_artifacts::BROKEN_KIT, "2.0.0", "5");
    let rescued = report("7");
    let rollback = rescued["rollbacks"][0].as_str().expect("there is one");
    says(rollback, &["sinew/kit-parts 2.0.0: ", "back to 1.0.0"]);
    assert_eq!(
        (&rescued["succeeded"], &rescued["first_pass"]),
        (&json!(1), &json!(0))
    );
    let incident = rescued["incidents"][0].as_str().expect("there is one");
    let replay = ["replay", incident, "--store", "out/skills"];
    says(
        &cell.0.gives(0, &replay),
        &["sinew/kit-parts` 2.0.0", "trapped"],
    );
}

#[test]
fn the_built_in_plugin_stands_in_for_one_of_which_none_is_active_and_that_is_told() {
    let cell = Cell::new();
    cell.0.write("home.wasm", sinew_skill_artifacts::GO_HOME);
    cell.skill(0, &["install", "home.wasm", "--unsigned", "--actor", "ann"]);
    let go_home = ["--skill", "sinew/go-home", "--params", r#"{"pose":"home"}"#];
    says(
        &cell.run_once(0, &go_home),
        &["no version of sinew/go-home in the store is active: the one that is built in runs"],
    );
}
