//! The audit log and changes of the safety configuration, as they are typed.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sinew_runtime::audit_log::{AuditFile, Entry, Pending, Stamp, WallClock};

const SAFETY: &str = include_str!("../../description/robots/cell-safety.toml");

/// Runs `sinew` in a folder of its own, where its files go by default.
fn sinew(folder: &Path, arguments: &str) -> Output {
    command(folder, arguments)
        .output()
        .expect("the binary was built for this test")
}

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sinew"));
    command.current_dir(folder).args(arguments.split(' '));
    command
}

const GO_HOME: &str = "run --inference embedded --cycles 1 --skill sinew/go-home";

#[track_caller]
fn check(folder: &Path, arguments: &str, code: i32, expected: &[&str]) -> String {
    let output = sinew(folder, arguments);
    let words = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{arguments}: {words}");
    for piece in expected {
        assert!(
            words.contains(piece),
            "{arguments}: no {piece:?} in: {words}"
        );
    }
    words
}

fn json(folder: &Path, arguments: &str) -> Value {
    let output = sinew(folder, arguments);
    serde_json::from_slice(&output.stdout).expect("it prints JSON and nothing else")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

#[test]
fn a_configuration_runs_once_somebody_else_approved_it() {
    let folder = folder();
    let folder = folder.path();
    let mine = SAFETY.replacen("speed_max_m_s = 1.2", "speed_max_m_s = 1.0", 1);
    assert_ne!(mine, SAFETY);
    std::fs::write(folder.join("my-cell.toml"), mine).expect("writable");
    let hash = json(folder, "safety check my-cell.toml --json")["hash"].clone();
    let hash = hash.as_str().expect("it has one");
    let run = format!("{GO_HOME} --safety-config my-cell.toml");
    let approve = format!("safety approve {hash}");

    check(
        folder,
        &format!("{approve} --actor ben"),
        2,
        &["no audit log", "propose"],
    );
    // What is refused says what to type.
    let words = check(
        folder,
        &run,
        4,
        &["sinew safety propose my-cell.toml --actor YOU", &approve],
    );
    assert!(
        !words.contains("--audit"),
        "it is the log by default: {words}"
    );
    check(
        folder,
        &format!("{approve} --actor ben"),
        2,
        &["nobody proposed"],
    );
    check(
        folder,
        "safety propose my-cell.toml --actor anna",
        0,
        &["tighter", "tool.speed_max_m_s: 1.2 to 1 m/s", &approve],
    );
    for anna in ["anna", "ANNA", "anna."] {
        check(
            folder,
            &format!("{approve} --actor {anna}"),
            4,
            &["--same-person"],
        );
    }
    check(
        folder,
        &format!("{approve} --actor \u{430}nna"),
        2,
        &["letters a to z"],
    );
    // Somebody else proposes it too: that makes nobody of who did before.
    check(
        folder,
        "safety propose my-cell.toml --actor cleo",
        0,
        &["cleo proposes"],
    );
    check(
        folder,
        &format!("{approve} --actor anna"),
        4,
        &["anna proposed"],
    );
    check(folder, &run, 4, &["nobody approved"]);
    check(
        folder,
        &format!("{approve} --actor ben"),
        0,
        &["ben approves", "proposed by cleo"],
    );
    check(folder, &run, 0, &[&hash[..16], "out/audit.jsonl"]);
    check(folder, &run, 0, &[&hash[..16]]);
    // Back to what is built in is a change like any other, and looser at that.
    check(
        folder,
        GO_HOME,
        4,
        &[hash, "sinew safety propose --actor YOU"],
    );
    let back = json(folder, "safety propose --actor anna --json");
    assert_eq!(back["looser"].as_array().map(Vec::len), Some(1), "{back}");
    let builtin = back["hash"].as_str().expect("it has one");
    check(
        folder,
        &format!("safety approve {builtin} --actor anna --same-person"),
        0,
        &[],
    );
    check(folder, GO_HOME, 0, &[&builtin[..16]]);
    // The approval before that was used up, and so was the proposal: nobody brings it back alone.
    check(folder, &run, 4, &["nobody approved"]);
    check(
        folder,
        &format!("{approve} --actor ben"),
        2,
        &["nobody proposed", "since the last change", "propose FILE"],
    );

    let exported = json(folder, "audit export --json");
    let activated: Vec<&Value> = exported["records"]
        .as_array()
        .expect("records")
        .iter()
        .filter(|record| record["kind"] == "configuration-activated")
        .collect();
    let hashes: Vec<_> = activated
        .iter()
        .map(|record| record["content"]["hash"].as_str())
        .collect();
    assert_eq!(hashes, [Some(hash), Some(builtin)]);
    assert_eq!(activated[0]["content"]["changes"]["tighter"], 1);
    // What persons do has a time of day, also where the run itself is in virtual time.
    for record in exported["records"].as_array().expect("records") {
        let kind = record["kind"].as_str().expect("it has one");
        let time = record["time"].as_str().expect("each has words for it");
        assert_eq!(
            time == "no wall clock",
            !kind.starts_with("configuration-"),
            "{record}"
        );
        assert_eq!(record["who"] == "nobody", record["actor"].is_null());
    }
    check(
        folder,
        "audit verify",
        0,
        &[
            "no wall clock in",
            "acted: anna, ben, cleo, sinew run",
            "Z to 2",
        ],
    );
    check(
        folder,
        "audit export --since 4",
        0,
        &["ben", "configuration-approved"],
    );
}

/// What `safety check` warns of, whoever proposes and whoever approves it see too.
#[test]
fn a_change_is_warned_of_wherever_it_is_shown() {
    let folder = folder();
    let folder = folder.path();
    let weak = SAFETY.replacen("load_max_kg = 1.0", "load_max_kg = 0.08", 1);
    assert_ne!(weak, SAFETY);
    std::fs::write(folder.join("weak.toml"), weak).expect("writable");
    let warning = "\n  WARNING, effort.load_max_kg: 0.08 kg";
    check(
        folder,
        "safety propose weak.toml --actor anna",
        0,
        &[warning],
    );
    let proposed = json(folder, "safety propose weak.toml --actor anna --json");
    assert_eq!(proposed["warnings"][0]["key"], "effort.load_max_kg");
    let hash = proposed["hash"].as_str().expect("it has one");
    let approve = format!("safety approve {hash} --actor ben");
    check(folder, &approve, 0, &[warning]);
    let approved = json(folder, &format!("{approve} --json"));
    assert_eq!(approved["warnings"], proposed["warnings"]);
    // Without reason, without warning.
    std::fs::write(folder.join("fine.toml"), SAFETY).expect("writable");
    let words = check(folder, "safety propose fine.toml --actor anna", 0, &[]);
    assert!(!words.contains("WARNING"), "{words}");
}

#[test]
fn a_copy_that_was_changed_is_not_approved() {
    let folder = folder();
    let folder = folder.path();
    std::fs::write(
        folder.join("mine.toml"),
        SAFETY.replacen("speed_max_m_s = 1.2", "speed_max_m_s = 1.0", 1),
    )
    .expect("writable");
    let proposed = json(
        folder,
        "safety propose mine.toml --actor anna --audit log/a.jsonl --json",
    );
    let hash = proposed["hash"].as_str().expect("it has one");
    let kept = folder.join(format!("log/safety/{hash}.toml"));
    let text = std::fs::read_to_string(&kept).expect("a copy is kept beside the log");
    std::fs::write(&kept, text.replacen("= 1.0", "= 1.1", 1)).expect("writable");
    check(
        folder,
        &format!("safety approve {hash} --actor ben --audit log/a.jsonl"),
        4,
        &["was changed", "propose it again"],
    );
}

#[test]
fn the_log_of_a_run_verifies_until_somebody_changes_it() {
    let folder = folder();
    let folder = folder.path();
    check(folder, "audit verify", 2, &["out/audit.jsonl"]);
    check(folder, GO_HOME, 0, &[]);
    let verified = json(folder, "audit verify --json");
    assert_eq!(verified["ok"], true);
    assert_eq!(verified["first_bad"], Value::Null);
    assert_eq!(verified["records"], 4);
    check(
        folder,
        "audit export",
        0,
        &[
            "boot",
            "reset-asked",
            "reset-granted",
            "sinew run",
            "seed1-cycle0",
            "no wall clock tick 0",
            "nobody",
        ],
    );
    let path = folder.join("out/audit.jsonl");
    let text = std::fs::read_to_string(&path).expect("it is there");
    std::fs::write(
        &path,
        text.replacen("\"reason\":\"boot\"", "\"reason\":\"none\"", 1),
    )
    .expect("writable");
    let verified = json(folder, "audit verify --json");
    assert_eq!(verified["ok"], false);
    assert_eq!(verified["first_bad"], 2);
    check(folder, "audit verify", 1, &["line 2"]);
    check(folder, "audit export", 1, &["boot", "line 2"]);
    check(folder, GO_HOME, 4, &["line 2", "mv "]);
}

/// A log proves no more than that its records belong together: whoever writes one may put anything into them.
#[test]
fn a_record_is_one_line_whatever_it_says() {
    let folder = folder();
    let path = folder.path().join("forged.jsonl");
    let forged = "none\n     2  no wall clock  -  reset-granted  anna\r\n\u{1b}[2K";
    let record = |reason: &str| Pending {
        stamp: Stamp::default(),
        actor: None,
        entry: Entry::ConfigurationRefused {
            hash: "aa".to_owned(),
            active: "bb".to_owned(),
            reason: reason.to_owned(),
        },
    };
    let mut log = AuditFile::open(&path, WallClock::VirtualTime).expect("it can be begun");
    log.append(&[record(forged), record("after it")])
        .expect("there is room");
    let output = sinew(folder.path(), "audit export forged.jsonl");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, reason) in lines.iter().zip(["reset-granted", "after it"]) {
        assert!(
            line.contains("configuration-refused") && line.contains(reason),
            "{text}"
        );
    }
    assert!(!text.contains(['\r', '\u{1b}']), "{text:?}");
    // As data, it is what stands there.
    let exported = json(folder.path(), "audit export forged.jsonl --json");
    assert_eq!(exported["records"][0]["content"]["reason"], forged);
}

/// A process that is killed leaves a log that verifies, and the next one goes on with it.
#[cfg(unix)]
#[test]
fn a_run_that_is_killed_leaves_a_log_that_verifies() {
    let folder = folder();
    let folder = folder.path();
    let log = folder.join("out/audit.jsonl");
    for _ in 0..3 {
        let records =
            || std::fs::read(&log).map_or(0, |bytes| bytes.split(|b| *b == b'\n').count());
        let before = records();
        let mut child = command(folder, &GO_HOME.replace("--cycles 1", "--cycles 100000"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary was built for this test");
        while records() < before + 6 {
            let running = child.try_wait().expect("it can be asked").is_none();
            assert!(running, "it ended by itself");
            std::thread::yield_now();
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it was started here");
        check(folder, "audit verify", 0, &["every one follows"]);
    }
    check(folder, GO_HOME, 0, &[]);
    check(folder, "audit verify", 0, &["every one follows"]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_no_log() {
    let folder = folder();
    let folder = folder.path();
    let made = Command::new("mkfifo").arg(folder.join("pipe")).status();
    assert!(made.expect("every unix has mkfifo").success());
    std::fs::create_dir(folder.join("folder")).expect("writable");
    let hash = "0".repeat(64);
    for (path, words) in [("pipe", "it is a pipe"), ("folder", "it is a folder")] {
        for command in [
            format!("audit verify {path}"),
            format!("audit export {path}"),
            format!("safety propose --actor anna --audit {path}"),
            format!("safety approve {hash} --actor anna --audit {path}"),
        ] {
            check(folder, &command, 2, &[words, "give the path of a file"]);
        }
    }
}

/// Without a file, what is shown is what is active, by the log that is asked.
#[test]
fn what_is_shown_is_what_is_active() {
    let folder = folder();
    let folder = folder.path();
    let show = |arguments: &str| json(folder, &format!("safety show {arguments}--json"));
    let builtin = show("");
    assert_eq!(builtin["active"], true);
    assert_eq!(
        builtin["not_checked"],
        serde_json::json!(["the tool's cone", "force on parts of the body"])
    );
    check(
        folder,
        "safety show --audit nowhere.jsonl",
        2,
        &["nowhere.jsonl", "no such audit log"],
    );
    let mine = SAFETY
        .replacen("speed_max_m_s = 1.2", "speed_max_m_s = 1.0", 1)
        .replacen("[singularity]", "[singularity] # see below", 1);
    std::fs::write(folder.join("mine.toml"), mine).expect("writable");
    let hash = json(folder, "safety propose mine.toml --actor anna --json")["hash"].clone();
    let hash = hash.as_str().expect("it has one");
    let approve = format!("safety approve {hash} --actor ben");
    check(folder, &approve, 0, &[]);
    assert_eq!(show("")["hash"], builtin["hash"], "approved is not active");
    let run = format!("{GO_HOME} --safety-config mine.toml");
    check(folder, &run, 0, &[]);
    assert_eq!(show("")["hash"], hash);
    // A cell beside that log; the same log by its name; another cell with a log of its own.
    check(
        folder,
        "safety show --cell out/robot.json",
        2,
        &["out/robot.json", "robot status"],
    );
    check(
        folder,
        "robot status --safety-config mine.toml",
        0,
        &["boot"],
    );
    let by_cell = show("--cell out/robot.json ");
    assert_eq!(by_cell["hash"], hash);
    assert_eq!(by_cell["log_warning"], Value::Null);
    std::fs::create_dir(folder.join("elsewhere")).expect("writable");
    std::fs::copy(
        folder.join("out/robot.json"),
        folder.join("elsewhere/robot.json"),
    )
    .expect("writable");
    check(
        folder,
        "robot status --cell elsewhere/new.json",
        0,
        &["boot"],
    );
    check(
        folder,
        "safety show --cell elsewhere/robot.json",
        0,
        &["warning: elsewhere/audit.jsonl is not that cell's audit log"],
    );
    assert_eq!(show("--audit out/audit.jsonl ")["hash"], hash);
    check(folder, "robot status --cell other/robot.json", 0, &[]);
    assert_eq!(show("--cell other/robot.json ")["hash"], builtin["hash"]);
    let file = show("mine.toml ");
    assert_eq!(
        (&file["hash"], &file["active"]),
        (&hash.into(), &false.into())
    );
    check(
        folder,
        "safety show",
        0,
        &[
            "active (activated last by out/audit.jsonl)",
            "not checked: the tool's cone",
        ],
    );
    check(
        folder,
        "safety show mine.toml --cell out/robot.json",
        2,
        &["--cell"],
    );
    std::fs::remove_dir_all(folder.join("out/safety")).expect("it is there");
    check(folder, "safety show", 4, &[hash, "not to be had"]);
}

/// Only a run makes an approved change: whoever asks for a reset meanwhile is told so, and not that nobody approved it.
#[test]
fn a_cell_says_what_an_approved_change_waits_for() {
    let folder = folder();
    let folder = folder.path();
    let mine = SAFETY.replacen("speed_max_m_s = 1.2", "speed_max_m_s = 1.0", 1);
    std::fs::write(folder.join("mine.toml"), mine).expect("writable");
    let compared = {
        std::fs::write(folder.join("builtin.toml"), SAFETY).expect("writable");
        json(folder, "safety diff builtin.toml mine.toml --json")
    };
    let hash = json(folder, "safety propose mine.toml --actor anna --json")["hash"].clone();
    assert_eq!(compared["hash"], hash, "the hash of what comes");
    assert_eq!(compared["hash_b"], hash);
    let hash = hash.as_str().expect("it has one");
    check(folder, "robot status", 0, &[]);
    let reset = "robot reset --actor ann --safety-config mine.toml";
    check(folder, reset, 4, &["nobody approved", "safety propose"]);
    check(
        folder,
        &format!("safety approve {hash} --actor ben"),
        0,
        &["for the cells beside that log too"],
    );
    let run = "sinew run --cycles 1 --safety-config mine.toml";
    let words = check(folder, reset, 4, &["ben approved the change", run]);
    assert!(!words.contains("nobody approved"), "{words}");
    check(
        folder,
        &format!("{GO_HOME} --safety-config mine.toml"),
        0,
        &[],
    );
    // From now on the cell goes by it without being told.
    let status = json(folder, "robot status --json");
    assert_eq!(status["safety_hash"], hash);
    check(folder, "robot reset --actor ann", 0, &[]);
    let kept = folder.join("out/safety").join(format!("{hash}.toml"));
    let text = std::fs::read(&kept).expect("there");
    std::fs::remove_file(&kept).expect("removed");
    let missing = [hash, "is not there", "safety propose FILE"];
    check(folder, "robot reset --actor ann", 4, &missing);
    // To look at the robot and to stop it does not depend on it.
    let warnings = json(folder, "robot status --json")["warnings"].to_string();
    assert!(
        missing.iter().all(|piece| warnings.contains(piece)),
        "{warnings}"
    );
    check(folder, "robot stop", 1, &missing);
    #[cfg(unix)]
    {
        // Nor on anything that would be waited for.
        let made = Command::new("mkfifo").arg(&kept).status();
        assert!(made.expect("it can be run").success());
        check(folder, "robot stop", 1, &["no regular file"]);
        std::fs::remove_file(&kept).expect("removed");
    }
    std::fs::write(&kept, text).expect("writable");
    assert_eq!(
        json(folder, "robot status --json")["stop"]["reason"],
        "requested"
    );
}

/// What can't work with what is around the gate is refused with its line, by the check and by a run alike.
#[test]
fn a_file_is_checked_against_scanner_gripper_host_and_planner() {
    let folder = folder();
    let folder = folder.path();
    let line = |from: &str| {
        let before = SAFETY.find(from).expect("it stands there");
        SAFETY[..before].matches('\n').count() + 1
    };
    let write = |from: &str, to: &str| {
        assert!(SAFETY.contains(from), "{from}");
        std::fs::write(folder.join("mine.toml"), SAFETY.replacen(from, to, 1)).expect("writable");
    };
    for (from, to, words) in [
        ("silent_ms = 150", "silent_ms = 39", "scans every 40 ms"),
        ("silent_ms = 150", "silent_ms = 69", "taken for silent"),
        (
            "lost_force_n = 1.0",
            "lost_force_n = 61.0",
            "every grip would count as lost",
        ),
        (
            "empty_width_m = 0.006",
            "empty_width_m = 0.09",
            "always count as empty",
        ),
        (
            "heartbeat_timeout_ms = 500",
            "heartbeat_timeout_ms = 1",
            "two heartbeats",
        ),
    ] {
        write(from, to);
        let place = format!("mine.toml:{}:", line(from));
        check(folder, "safety check mine.toml", 2, &[&place, words]);
        let run = format!("{GO_HOME} --safety-config mine.toml");
        check(folder, &run, 2, &[&place, words]);
    }
    write("silent_ms = 150", "silent_ms = 70");
    check(
        folder,
        "safety check mine.toml",
        0,
        &["\"cell\" fits", "not checked: "],
    );
    for (from, to, words) in [
        (
            "velocity_max_rad_s = [2.4",
            "velocity_max_rad_s = [0.9",
            "motions are planned with",
        ),
        (
            "load_max_kg = 1.0",
            "load_max_kg = 0.08",
            "will not carry it",
        ),
    ] {
        write(from, to);
        let place = format!("warning: mine.toml:{}:", line(from));
        check(
            folder,
            "safety check mine.toml",
            0,
            &["\"cell\" fits", &place, words],
        );
        let checked = json(folder, "safety check mine.toml --json");
        assert_eq!(checked["warnings"][0]["line"], line(from), "{checked}");
    }
    let start = SAFETY.find("[singularity]").expect("it is there");
    let end = SAFETY.find("[brain]").expect("it is there");
    write(&SAFETY[start..end], "");
    check(
        folder,
        "safety check mine.toml",
        0,
        &["not checked: ", "singularity"],
    );
    std::fs::write(folder.join("builtin.toml"), SAFETY).expect("writable");
    check(
        folder,
        "safety diff builtin.toml mine.toml",
        0,
        &["LOOSER:\n  singularity is not checked any more"],
    );
    write(
        "reaction = \"hold\"",
        "reaction = \"yield\"\n[yield]\nadmittance_m_s_n = 0.002\nspeed_max_m_s = 0.05\ndistance_max_m = 0.03",
    );
    check(
        folder,
        "safety diff builtin.toml mine.toml",
        0,
        &[
            "LOOSER:\n  force.reaction: hold to yield: a force over its limit makes the robot move away",
        ],
    );
}

/// A report replaces an earlier one, and nothing else: no log, no cell, no configuration.
#[cfg(unix)]
#[test]
fn a_report_replaces_nothing_but_a_report() {
    let folder = folder();
    let folder = folder.path();
    check(folder, "robot status", 0, &[]);
    std::fs::write(folder.join("my-cell.toml"), SAFETY).expect("writable");
    std::fs::write(folder.join("other.json"), "{\"a\": 1}").expect("writable");
    std::os::unix::fs::symlink("nowhere", folder.join("link")).expect("links can be made");
    let made = Command::new("mkfifo").arg(folder.join("pipe")).status();
    assert!(made.expect("every unix has mkfifo").success());
    let read = |name: &str| std::fs::read(folder.join(name)).expect("it is there");
    for (arguments, file, words) in [
        ("audit verify", "out/audit.jsonl", "no earlier JSON report"),
        ("robot status", "out/robot.json", "no earlier JSON report"),
        ("safety show", "my-cell.toml", "no earlier JSON report"),
        ("safety show", "other.json", "no earlier JSON report"),
        ("safety show", "link", "leads nowhere"),
        ("safety show", "out", "it is a folder"),
        ("safety show", "pipe", "it is a pipe"),
    ] {
        let is_file = folder.join(file).is_file();
        let before = is_file.then(|| read(file));
        let command = format!("{arguments} --json {file}");
        check(folder, &command, 2, &[words, "name "]);
        assert_eq!(is_file.then(|| read(file)), before, "{file}");
    }
    assert!(!folder.join("nowhere").exists());
    // What the command itself has put there meanwhile, too.
    let log = "propose.jsonl";
    check(
        folder,
        &format!("safety propose --actor anna --audit {log} --json {log}"),
        1,
        &["no earlier JSON report"],
    );
    check(folder, &format!("audit verify {log}"), 0, &["1 records"]);
    // An empty file, an earlier report, and what is no file by nature.
    let report = folder.join("report.json");
    std::fs::write(&report, "").expect("writable");
    for command in ["safety show", "audit verify", "robot status"] {
        check(folder, &format!("{command} --json report.json"), 0, &[]);
        let text = std::fs::read(&report).expect("it is there");
        let value: Value = serde_json::from_slice(&text).expect("it is JSON");
        assert!(value["written_by"].is_string(), "{value}");
        // Whoever formatted it anew, it is still one.
        let tight: Vec<&str> = std::str::from_utf8(&text)
            .expect("it is text")
            .split_whitespace()
            .collect();
        std::fs::write(&report, tight.concat()).expect("writable");
    }
    check(folder, "safety show --json /dev/null", 0, &[]);
    let words = check(folder, "audit verify --json /dev/stdout", 0, &[]);
    assert!(words.contains("\"written_by\": \"sinew "), "{words}");
}

/// What is approved was shown before: nothing is written down for who could not see it.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_approved_that_could_not_be_shown() {
    let folder = folder();
    let folder = folder.path();
    let mine = SAFETY
        .replacen("speed_max_m_s = 1.2", "speed_max_m_s = 1.0", 1)
        .replacen("name = \"cell\"", "name = \"cell), proposed by carla\"", 1);
    std::fs::write(folder.join("mine.toml"), mine).expect("writable");
    let proposed = json(folder, "safety propose mine.toml --actor anna --json");
    let hash = proposed["hash"].as_str().expect("it has one");
    let approve = format!("safety approve {hash} --actor ben");
    let full = || std::fs::File::create("/dev/full").expect("every Linux has it");
    let shown_nowhere = [
        command(folder, &approve).stdout(full()).status(),
        command(folder, &format!("{approve} --json"))
            .stdout(Stdio::null())
            .stderr(full())
            .status(),
    ];
    for status in shown_nowhere {
        assert_eq!(status.expect("it was built for this test").code(), Some(1));
    }
    let records = || {
        let exported = json(folder, "audit export --json");
        exported["records"].as_array().expect("records").len()
    };
    assert_eq!(records(), 1, "nobody approved anything");
    let words = check(
        folder,
        &approve,
        0,
        &[
            "(\"cell), proposed by carla\"), proposed by anna:\ntighter:\n",
            "ben approves it; recorded in",
        ],
    );
    let (shown, approved) = (words.find("tighter:"), words.find("ben approves it"));
    assert!(shown < approved, "{words}");
    assert_eq!(records(), 2);
}

/// Whoever acts has a name that is a person's, wherever it is asked for.
#[test]
fn nobody_acts_under_a_name_that_stands_for_no_person() {
    let folder = folder();
    let folder = folder.path();
    let hash = "0".repeat(64);
    for (name, words) in [
        ("nobody", "no person's name"),
        ("Sinew-Run", "no person's name"),
        ("\u{200b}ann", "letters a to z"),
        ("an\u{202e}n", "letters a to z"),
        ("\u{430}nn", "letters a to z"),
    ] {
        for command in [
            "robot reset".to_owned(),
            "safety propose".to_owned(),
            format!("safety approve {hash}"),
        ] {
            check(folder, &format!("{command} --actor {name}"), 2, &[words]);
        }
    }
}

#[test]
fn what_is_done_by_hand_has_a_time_of_day() {
    let folder = folder();
    let folder = folder.path();
    check(folder, "robot reset --actor ann --cell robot.json", 0, &[]);
    check(folder, "robot stop --cell robot.json", 0, &[]);
    let exported = json(folder, "audit export audit.jsonl --json");
    let records = exported["records"].as_array().expect("records");
    assert!(records.len() > 4, "{exported}");
    for record in records {
        assert!(record["time_unix_ms"].is_u64(), "{record}");
        assert_ne!(record["time"], "no wall clock");
    }
}
