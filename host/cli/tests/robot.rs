//! `sinew robot`: a parked cell from command to command, and what is refused.

use std::path::Path;
use std::process::{Command, Output};

/// The forearm stands a few centimetres inside the zone `cabinet`.
const IN_THE_CABINET: &str = "2.4,0.6,0,1.8,0,1.0,0";

struct Cell(tempfile::TempDir);

impl Cell {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("robot.json")
    }

    fn run(&self, path: &Path, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_sinew"))
            .arg("robot")
            .args(arguments)
            .arg("--cell")
            .arg(path)
            .output()
            .expect("the binary was built for this test")
    }

    /// Runs with this exit code; standard output.
    #[track_caller]
    fn gives(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(&self.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs with this exit code; every piece must stand on standard error.
    #[track_caller]
    fn fails(&self, code: i32, arguments: &[&str], expected: &[&str]) {
        let output = self.run(&self.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        for piece in expected {
            assert!(
                errors.contains(piece),
                "{arguments:?}: no {piece:?} in {errors}"
            );
        }
    }

    /// What is on standard error, with that exit code.
    #[track_caller]
    fn complains(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(&self.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        errors
    }

    fn log(&self) -> std::path::PathBuf {
        self.0.path().join("audit.jsonl")
    }

    /// Records of a kind in the log.
    fn records(&self, kind: &str) -> Vec<serde_json::Value> {
        let log = std::fs::read_to_string(self.log()).expect("there");
        log.lines()
            .map(|line| serde_json::from_str(line).expect("a record"))
            .filter(|record: &serde_json::Value| record["kind"] == kind)
            .collect()
    }

    #[track_caller]
    fn json(&self, code: i32, arguments: &[&str]) -> serde_json::Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        serde_json::from_str(&self.gives(code, &arguments)).expect("nothing but JSON is there")
    }
}

#[test]
fn the_way_out_of_a_violation_command_by_command() {
    let cell = Cell::new();
    let text = cell.gives(0, &["status", "--start", IN_THE_CABINET]);
    assert!(text.contains("inside zone `cabinet`"), "{text}");
    cell.fails(
        4,
        &["jog", "--joint", "1", "--speed", "-0.1"],
        &["boot", "sinew robot mode recovery"],
    );
    cell.fails(
        4,
        &["reset", "--actor", "ann"],
        &["ann", "cabinet", "mode recovery"],
    );
    assert!(cell.gives(0, &["mode", "recovery"]).contains("recovery"));
    cell.gives(0, &["reset", "--actor", "ann"]);

    let deeper = ["jog", "--joint", "1", "--speed", "0.1", "--hold", "1"];
    cell.fails(4, &deeper, &["refused", "zone `cabinet`"]);
    let depth = |value: &serde_json::Value| value["breaches_after"][0]["depth"].as_f64();
    let refused = cell.json(4, &deeper);
    assert_eq!(refused["outcome"], "refused");
    let mut last = depth(&refused).expect("it is inside");

    let outward = ["jog", "--joint", "1", "--speed=-0.1", "--hold", "0.5"];
    loop {
        let out = cell.json(0, &outward);
        assert_eq!(out["outcome"], "reached", "{out}");
        // Out of the zone, and then out of the gate's margin around it.
        let is_free = out["near_after"].as_array().is_some_and(Vec::is_empty);
        match depth(&out) {
            Some(now) => {
                assert!(now < last, "{now} after {last}");
                last = now;
            }
            None if is_free => break,
            None => last = 0.0,
        }
    }
    let status = cell.json(0, &["mode", "normal"]);
    assert_eq!(status["stop"], serde_json::Value::Null, "{status}");
    assert_eq!(status["reset_by"], "ann");
    assert_eq!(status["breaches"].as_array().map(Vec::len), Some(0));
    let up = cell.json(
        0,
        &["jog", "--axis", "z", "--speed", "0.05", "--hold", "0.5"],
    );
    assert_eq!((&up["mode"], &up["unit"]), (&"reduced".into(), &"m".into()));
    assert!(up["moved"].as_f64().is_some_and(|m| m > 0.02), "{up}");
}

#[test]
fn stops_are_latched_and_cleared_by_command() {
    let cell = Cell::new();
    cell.gives(0, &["reset", "--actor", "ann"]);
    let stopped = cell.json(0, &["stop", "--category", "1"]);
    assert_eq!(stopped["stop"]["category"], 1);
    assert_eq!(stopped["stop"]["reason"], "requested");
    cell.gives(0, &["reset", "--actor", "ann"]);
    let text = cell.gives(0, &["stop", "--wired", "emergency-a"]);
    assert!(
        text.contains("A OPEN") && text.contains("disagree"),
        "{text}"
    );
    cell.fails(
        4,
        &["reset", "--actor", "ann"],
        &["emergency-a", "--release"],
    );
    cell.gives(0, &["stop", "--wired", "emergency-a", "--release"]);
    cell.gives(0, &["reset", "--actor", "ann"]);
    cell.gives(0, &["mode", "hold"]);
    cell.fails(4, &["jog", "--joint", "1", "--speed", "0.1"], &["`hold`"]);
}

#[test]
fn wrong_usage_is_code_2_and_leaves_the_cell_alone() {
    let cell = Cell::new();
    cell.gives(0, &["reset", "--actor", "ann"]);
    let before = std::fs::read(cell.path()).expect("it is there");
    for (arguments, expected) in [
        (&["jog", "--joint", "0", "--speed", "0.1"][..], "--joint"),
        (&["jog", "--joint", "8", "--speed", "0.1"], "--joint"),
        (&["jog", "--joint", "-1", "--speed", "0.1"], "--joint"),
        (&["jog", "--joint", "1", "--speed", "nan"], "--speed"),
        (&["jog", "--joint", "1", "--speed", "inf"], "--speed"),
        (&["jog", "--joint", "1", "--speed", "-1e300"], "--speed"),
        (&["jog", "--joint", "1", "--speed", "0"], "--speed"),
        (&["jog", "--joint", "1", "--speed", "fast"], "--speed"),
        (&["jog", "--speed", "0.1"], "--joint"),
        (
            &["jog", "--joint", "1", "--axis", "z", "--speed", "0.1"],
            "--axis",
        ),
        (&["jog", "--axis", "w", "--speed", "0.1"], "w"),
        (
            &["jog", "--joint", "1", "--speed", "0.1", "--hold", "-1"],
            "--hold",
        ),
        (
            &["jog", "--joint", "1", "--speed", "0.1", "--hold", "1e9"],
            "--hold",
        ),
        (&["status", "--start", "0,1,2"], "3 joint positions"),
        (&["status", "--start", "0,0,0,1,0,1,NaN"], "NaN"),
        (&["status", "--start", "0,0,0,1,0,1,1e9"], "hand-roll"),
        (&["status", "--start", ""], "radians"),
        (&["mode", "fast"], "fast"),
        (&["stop", "--category", "3"], "--category"),
        (&["stop", "--release"], "--wired"),
        (&["reset"], "--actor"),
        (&["reset", "--actor", " "], "--actor"),
    ] {
        cell.fails(2, arguments, &[expected]);
    }
    assert_eq!(std::fs::read(cell.path()).expect("still there"), before);
}

#[test]
fn files_that_are_no_cells_are_refused_and_kept() {
    let cell = Cell::new();
    let check = |content: &[u8], expected: &str| {
        let path = cell.0.path().join("other.json");
        std::fs::write(&path, content).expect("writable");
        // Not even a new beginning replaces what is something else.
        for arguments in [&["status"][..], &["status", "--start", IN_THE_CABINET]] {
            let output = cell.run(&path, arguments);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{errors}");
            for piece in ["other.json", expected, "--cell"] {
                assert!(errors.contains(piece), "no {piece:?} in {errors}");
            }
        }
        assert_eq!(std::fs::read(&path).expect("kept"), content);
    };
    check(b"", "no parked cell");
    check(b"\xff\xfe", "");
    check(
        b"{\"schema\": \"sinew-parked-cell\", \"version\": 99}",
        "newer",
    );
    check(b"{\"schema\": \"somebody-elses\"}", "no parked cell");
    let output = cell.run(cell.0.path(), &["status"]);
    assert_eq!(output.status.code(), Some(2), "a folder is no cell");
    #[cfg(target_os = "linux")]
    for path in ["/dev/null", "/dev/zero", "/proc/no/such"] {
        let output = cell.run(Path::new(path), &["status"]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(output.stdout.is_empty(), "{path}");
    }
}

/// A long jog that is at work on the cell.
#[cfg(unix)]
fn jogging(cell: &Cell) -> std::process::Child {
    let child = Command::new(env!("CARGO_BIN_EXE_sinew"))
        .args([
            "robot", "jog", "--joint", "1", "--speed", "0.002", "--hold", "600",
        ])
        .args(["--json", "--cell"])
        .arg(cell.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary was built for this test");
    let start = std::time::Instant::now();
    let is_moving =
        || std::fs::read_to_string(cell.path()).is_ok_and(|text| text.contains("\"moving\": true"));
    while !is_moving() {
        assert!(start.elapsed().as_secs() < 60, "the jog never began");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child
}

/// The report of a jog that ended with code 1 before its time.
#[cfg(unix)]
#[track_caller]
fn cut_short(child: std::process::Child) -> serde_json::Value {
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["outcome"], "limited", "{report}");
    assert!(
        report["held_s"].as_f64().is_some_and(|s| s < 600.0),
        "{report}"
    );
    report
}

/// The stop of another process reaches a jog, and no interleaving loses it.
#[cfg(unix)]
#[test]
fn a_stop_reaches_a_jog_in_another_process() {
    let cell = Cell::new();
    cell.gives(0, &["reset", "--actor", "ann"]);
    let child = jogging(&cell);
    let stopped = cell.json(0, &["stop", "--category", "1"]);
    assert_eq!(stopped["stop"]["category"], 1, "{stopped}");
    let report = cut_short(child);
    assert!(
        report["why"]
            .as_str()
            .is_some_and(|why| why.contains("requested")),
        "{report}"
    );
    assert_eq!(cell.json(0, &["status"])["stop"]["category"], 1);
}

/// A reset that waits while the robot is stopped was asked before that: it is refused, and the stop stays.
#[cfg(unix)]
#[test]
fn what_waits_for_a_jog_does_not_clear_the_stop_that_ended_it() {
    for waits in [
        &["reset", "--actor", "ann"][..],
        &["mode", "normal"],
        &["status", "--start", IN_THE_CABINET],
    ] {
        let cell = Cell::new();
        cell.gives(0, &["reset", "--actor", "ann"]);
        let jog = jogging(&cell);
        let waiting = Command::new(env!("CARGO_BIN_EXE_sinew"))
            .arg("robot")
            .args(waits)
            .arg("--cell")
            .arg(cell.path())
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("the binary was built for this test");
        std::thread::sleep(std::time::Duration::from_millis(500));
        cell.gives(0, &["stop", "--category", "0"]);
        cut_short(jog);
        let output = waiting.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{waits:?}: {errors}");
        assert!(errors.contains("then ask again"), "{errors}");
        let status = cell.json(0, &["status"]);
        assert_eq!(status["stop"]["category"], 0, "{waits:?}: {status}");
        assert_eq!(status["may_move"], false);
    }
}

/// The order is laid before anything is read, checked, or opened.
#[cfg(unix)]
#[test]
fn a_stop_comes_before_whatever_is_wrong() {
    let pipe = |cell: &Cell| {
        let pipe = cell.0.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("every Unix has it").success());
        pipe.to_str().expect("it is text").to_owned()
    };
    type Harm<'a> = &'a dyn Fn(&Cell) -> Vec<String>;
    let none = |_: &Cell| Vec::new();
    let damaged = |cell: &Cell| {
        std::fs::write(cell.path(), "").expect("writable");
        Vec::new()
    };
    let anothers = |cell: &Cell| {
        let text = std::fs::read_to_string(cell.path()).expect("there");
        std::fs::write(cell.path(), text.replace("sinew-arm-7", "other-arm")).expect("writable");
        Vec::new()
    };
    let no_config = |_: &Cell| vec!["--safety-config".into(), "no/such.toml".into()];
    let no_report = |_: &Cell| vec!["--json".into(), "/no/such/x.json".into()];
    let pipe_report = |cell: &Cell| vec!["--json".into(), pipe(cell)];
    let no_name = |_: &Cell| vec!["--actor".into(), "\u{200b}".into()];
    let ways: [(Harm<'_>, i32, &str); 7] = [
        (&none, 0, ""),
        (&damaged, 1, "the order is given"),
        (&anothers, 1, "the order is given"),
        (&no_config, 1, "no/such.toml"),
        (&no_report, 1, "/no/such/x.json"),
        (&pipe_report, 1, "pipe"),
        (&no_name, 1, "--actor"),
    ];
    for (harm, code, expected) in ways {
        for stop in [&["stop"][..], &["mode", "hold"]] {
            let cell = Cell::new();
            cell.gives(0, &["reset", "--actor", "ann"]);
            let jog = jogging(&cell);
            let more = harm(&cell);
            let mut arguments = stop.to_vec();
            arguments.extend(more.iter().map(String::as_str));
            let errors = cell.complains(code, &arguments);
            assert!(errors.contains(expected), "{arguments:?}: {errors}");
            let ended = jog.wait_with_output().expect("it ends");
            assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        }
    }
}

/// A stop that reaches no cell says so, and makes none.
#[test]
fn a_stop_for_no_cell_is_no_stop() {
    let cell = Cell::new();
    for arguments in [
        &["stop"][..],
        &["mode", "hold"],
        &["stop", "--wired", "emergency"],
    ] {
        cell.fails(
            2,
            arguments,
            &["THE STOP WAS NOT GIVEN", "there is no cell"],
        );
    }
    let path = cell.0.path().join("deep/robot.json");
    assert_eq!(cell.run(&path, &["stop"]).status.code(), Some(2));
    assert_eq!(std::fs::read_dir(cell.0.path()).expect("there").count(), 0);
    std::fs::write(cell.path(), "{}").expect("writable");
    cell.fails(2, &["stop"], &["THE STOP WAS NOT GIVEN", "no parked cell"]);
    assert_eq!(std::fs::read_dir(cell.0.path()).expect("there").count(), 1);
}

/// What was answered does not depend on who can read it.
#[cfg(target_os = "linux")]
#[test]
fn an_answer_counts_without_its_report() {
    let cell = Cell::new();
    let nowhere = |arguments: &[&str]| {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let output = Command::new(env!("CARGO_BIN_EXE_sinew"))
            .arg("robot")
            .args(arguments)
            .arg("--cell")
            .arg(cell.path())
            .stdout(full.expect("Linux has it"))
            .output()
            .expect("the binary was built for this test");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), errors)
    };
    let (code, errors) = nowhere(&["reset", "--actor", "ann"]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("the reset by ann is granted"), "{errors}");
    assert_eq!(cell.json(0, &["status"])["may_move"], true);
    cell.gives(0, &["stop", "--wired", "emergency"]);
    let (code, errors) = nowhere(&["reset", "--actor", "ann"]);
    assert_eq!(code, Some(4), "{errors}");
    assert!(
        errors.contains("refused") && errors.contains("standard output"),
        "{errors}"
    );
}

/// Many at once: every stop is latched whatever else is done to the cell.
#[cfg(unix)]
#[test]
fn commands_at_once_lose_no_stop() {
    let cell = Cell::new();
    cell.gives(0, &["reset", "--actor", "ann"]);
    for round in 0..3 {
        let all: Vec<std::process::Child> = [
            &["mode", "reduced"][..],
            &["jog", "--joint", "1", "--speed", "0.1", "--hold", "0.2"],
            &["stop", "--category", "0"],
            &["mode", "normal"],
        ]
        .iter()
        .map(|arguments| {
            Command::new(env!("CARGO_BIN_EXE_sinew"))
                .arg("robot")
                .args(*arguments)
                .arg("--cell")
                .arg(cell.path())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .expect("the binary was built for this test")
        })
        .collect();
        for mut child in all {
            child.wait().expect("it ends");
        }
        let status = cell.json(0, &["status"]);
        assert_eq!(status["stop"]["category"], 0, "{round}: {status}");
        cell.gives(0, &["reset", "--actor", "ann"]);
    }
}

/// Ctrl-C lets go, and so does a terminal that hangs up: the gate brakes, the cell is kept, and the goal was not reached.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_jog_with_code_1() {
    for signal in ["INT", "TERM", "HUP"] {
        let cell = Cell::new();
        cell.gives(0, &["reset", "--actor", "ann"]);
        let child = jogging(&cell);
        std::thread::sleep(std::time::Duration::from_millis(200));
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", child.id())])
            .status();
        assert!(sent.expect("every Unix has it").success());
        let report = cut_short(child);
        assert!(
            report["why"]
                .as_str()
                .is_some_and(|why| why.contains("interrupt")),
            "{report}"
        );
        let status = cell.json(0, &["status"]);
        assert_eq!(
            status["joints"][0], report["status"]["joints"][0],
            "it is kept"
        );
        assert_eq!(status["stop"], serde_json::Value::Null);
    }
}

/// A command that was killed could not say where the robot stands.
#[cfg(unix)]
#[test]
fn a_jog_that_was_killed_leaves_the_robot_stopped() {
    let cell = Cell::new();
    cell.gives(0, &["reset", "--actor", "ann"]);
    let mut child = jogging(&cell);
    std::thread::sleep(std::time::Duration::from_millis(500));
    child.kill().expect("it is at work");
    child.wait().expect("it ends");
    let status = cell.json(0, &["status"]);
    assert_eq!(status["may_move"], false, "{status}");
    cell.fails(4, &["reset", "--actor", "ann"], &["then ask again"]);
    cell.gives(0, &["reset", "--actor", "ann"]);
}

/// No byte more than this can be written to any file: as on a full disk.
#[cfg(unix)]
fn on_a_full_disk(cell: &Cell, kib: u32, arguments: &[&str]) -> Output {
    Command::new("bash")
        .arg("-c")
        .arg(format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\""))
        .args(["bash", env!("CARGO_BIN_EXE_sinew"), "robot"])
        .args(arguments)
        .arg("--cell")
        .arg(cell.path())
        .output()
        .expect("there is a shell")
}

#[cfg(unix)]
#[test]
fn a_stop_works_on_a_full_disk() {
    let cell = Cell::new();
    cell.gives(0, &["reset", "--actor", "ann"]);
    // A log that is longer than what may be written, and a cell that is not.
    while std::fs::metadata(cell.log()).expect("there").len() < 6 * 1024 {
        cell.gives(0, &["mode", "reduced"]);
        cell.gives(0, &["mode", "normal"]);
    }
    let output = on_a_full_disk(&cell, 4, &["stop", "--category", "1"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("audit log"), "{errors}");
    let file = std::fs::read_to_string(cell.path()).expect("there");
    assert!(file.contains("\"requested\""), "{file}");
    // Nothing moves again before the log has it, and then it does.
    let output = on_a_full_disk(&cell, 4, &["reset", "--actor", "ann"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    cell.gives(0, &["reset", "--actor", "ann"]);
    let log = std::fs::read_to_string(cell.log()).expect("there");
    assert_eq!(log.matches("\"reason\":\"requested\"").count(), 1, "{log}");

    // Not even the cell can be written: the order counts all the same.
    for (arguments, reason) in [
        (&["stop", "--category", "0"][..], "requested"),
        (&["mode", "hold"], "requested"),
    ] {
        let output = on_a_full_disk(&cell, 0, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("the order is given"), "{errors}");
        let status = cell.json(0, &["status"]);
        assert_eq!(status["may_move"], false);
        assert_eq!(status["stop"]["reason"], reason, "{status}");
    }
    cell.fails(
        4,
        &["jog", "--joint", "1", "--speed", "0.1"],
        &["requested"],
    );
    let status = cell.json(0, &["status"]);
    assert_eq!(
        (&status["mode"], &status["stop"]["category"]),
        (&"hold".into(), &0.into())
    );
}

/// The log is broken, or somebody else has it locked: a stop is latched, and says what is missing.
#[test]
fn a_stop_works_whatever_the_log_is_like() {
    let cell = Cell::new();
    cell.gives(0, &["reset", "--actor", "ann"]);
    let locked = std::fs::File::open(cell.log()).expect("there");
    locked.lock().expect("nobody else has it");
    let errors = cell.complains(1, &["stop"]);
    assert!(errors.contains("locked"), "{errors}");
    locked.unlock().expect("it was locked");
    assert_eq!(cell.json(0, &["status"])["stop"]["reason"], "requested");
    cell.gives(0, &["reset", "--actor", "ann"]);

    let good = std::fs::read(cell.log()).expect("there");
    std::fs::write(cell.log(), b"{}\n").expect("writable");
    let errors = cell.complains(1, &["stop"]);
    assert!(errors.contains("line 1"), "{errors}");
    let status = cell.json(0, &["status"]);
    assert_eq!(status["stop"]["reason"], "requested");
    assert!(!status["warnings"].as_array().expect("a list").is_empty());
    cell.complains(1, &["mode", "hold"]);
    cell.fails(4, &["mode", "normal"], &["line 1"]);
    cell.fails(4, &["reset", "--actor", "ann"], &["line 1"]);
    std::fs::write(cell.log(), good).expect("writable");
    cell.gives(0, &["mode", "normal"]);
    cell.gives(0, &["reset", "--actor", "ann"]);
}

/// What is no file is named as that, and nobody waits for it.
#[cfg(unix)]
#[test]
fn pipes_and_folders_are_no_files() {
    let cell = Cell::new();
    let pipe = cell.0.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("every Unix has it").success());
    for path in [&pipe, cell.0.path()] {
        for arguments in [
            &["status"][..],
            &["status", "--start", IN_THE_CABINET],
            &["stop"],
            &["mode", "hold"],
            &["reset", "--actor", "ann"],
            &["jog", "--joint", "1", "--speed", "0.1"],
        ] {
            let output = cell.run(path, arguments);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
            assert!(errors.contains("no regular file"), "{errors}");
        }
        let path = path.to_str().expect("it is text");
        for option in ["--safety-config", "--robot-config"] {
            cell.fails(2, &["status", option, path], &["no regular file"]);
        }
    }
    let gone = cell.0.path().join("gone.json");
    std::os::unix::fs::symlink(cell.0.path().join("nowhere"), &gone).expect("laid");
    assert_eq!(cell.run(&gone, &["stop"]).status.code(), Some(2));

    // A log that is a pipe: a stop works, and what moves doesn't.
    cell.gives(0, &["reset", "--actor", "ann"]);
    std::fs::remove_file(cell.log()).expect("there");
    std::fs::rename(&pipe, cell.log()).expect("moved");
    let errors = cell.complains(1, &["stop"]);
    assert!(errors.contains("it is a pipe"), "{errors}");
    cell.fails(4, &["reset", "--actor", "ann"], &["it is a pipe"]);
}

/// Links that were laid beside a cell are not followed.
#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    let cell = Cell::new();
    let victim = cell.0.path().join("victim");
    std::fs::write(&victim, "theirs").expect("writable");
    for name in ["robot.json.part", "report.json.part"] {
        std::os::unix::fs::symlink(&victim, cell.0.path().join(name)).expect("laid");
    }
    let report = cell.0.path().join("report.json");
    let report = report.to_str().expect("it is text");
    cell.gives(0, &["reset", "--actor", "ann", "--json", report]);
    assert_eq!(std::fs::read(&victim).expect("there"), b"theirs");
    // One cell under two names is one cell.
    let other = cell.0.path().join("other.json");
    std::os::unix::fs::symlink(cell.path(), &other).expect("laid");
    assert_eq!(cell.run(&other, &["stop"]).status.code(), Some(0));
    assert_eq!(cell.json(0, &["status"])["stop"]["reason"], "requested");
}

#[test]
fn help_says_what_exit_codes_mean() {
    for command in ["status", "mode", "stop", "reset", "jog"] {
        let output = Command::new(env!("CARGO_BIN_EXE_sinew"))
            .args(["robot", command, "--help"])
            .output()
            .expect("the binary was built for this test");
        let text = String::from_utf8_lossy(&output.stdout);
        for piece in [
            "0 goal reached",
            "1 it ran",
            "2 wrong",
            "3 the host",
            "4 refused",
        ] {
            assert!(text.contains(piece), "{command}: no {piece:?} in {text}");
        }
    }
}

/// A stop that nobody can read was not given, and says so before anything else.
#[test]
fn a_mistyped_stop_says_that_it_was_not_given() {
    let cell = Cell::new();
    cell.gives(0, &["status"]);
    for arguments in [
        &["stop", "--category", "3"][..],
        &["stop", "now"],
        &["stop", "--wired", "emergncy"],
        &["mode", "holdd"],
        &["halt"],
        &["stopp"],
    ] {
        let errors = cell.complains(2, arguments);
        assert!(
            errors.starts_with("sinew: THE STOP WAS NOT GIVEN"),
            "{errors}"
        );
    }
    for arguments in [
        &["mode", "fast"][..],
        &["jog", "--hold", "1"],
        &["stop", "--help"],
    ] {
        let output = cell.run(&cell.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("THE STOP"), "{arguments:?}: {errors}");
    }
    let errors = cell.complains(2, &["jog", "--speed", "0.1"]);
    assert!(errors.contains("--joint <N>|--axis <AXIS>"), "{errors}");
}

/// Orders that wait for a cell that can't be read are shown, and those that came at one time are taken in their order.
#[test]
fn an_order_is_seen_and_dated_while_the_cell_is_damaged() {
    let cell = Cell::new();
    cell.gives(0, &["status"]);
    let whole = std::fs::read(cell.path()).expect("there");
    std::fs::write(cell.path(), &whole[..200]).expect("writable");
    let asked_ms = now_ms();
    cell.fails(1, &["stop", "--actor", "zoe"], &["the order is given"]);
    cell.fails(
        1,
        &["stop", "--category", "0", "--actor", "ann"],
        &["the order is given"],
    );
    let errors = cell.complains(2, &["status"]);
    assert!(
        errors.contains("orders wait") && errors.contains("`stop-2` by zoe"),
        "{errors}"
    );
    let answered_ms = now_ms();
    std::thread::sleep(std::time::Duration::from_millis(50));
    std::fs::write(cell.path(), &whole).expect("writable");
    cell.gives(0, &["stop"]);
    let asked: Vec<(String, Option<u64>)> = (cell.records("stop-asked").iter())
        .map(|record| {
            let name = record["actor"].as_str().expect("somebody asked");
            (name.to_owned(), record["time_unix_ms"].as_u64())
        })
        .collect();
    let names: Vec<&str> = asked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["zoe", "ann", "unnamed"]);
    for (name, time) in &asked[..2] {
        let time = time.expect("dated");
        // The disk's clock may be some ticks of the kernel behind.
        assert!(
            (asked_ms.saturating_sub(20)..=answered_ms).contains(&time),
            "{name} at {time}"
        );
    }
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    since.as_millis() as u64
}

/// Where no order can be put down any more, nothing moves.
#[cfg(unix)]
#[test]
fn a_jog_without_a_folder_for_orders_stops() {
    let cell = Cell::new();
    cell.gives(0, &["reset", "--actor", "ann"]);
    let mut child = jogging(&cell);
    let folder = cell.0.path().join("robot.json.orders");
    std::fs::remove_dir_all(&folder).expect("it is there");
    // A jog that is just beginning makes it anew, and hears.
    while child.try_wait().expect("it can be asked").is_none() {
        if folder.exists() {
            let _ = std::fs::remove_dir_all(&folder);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    cut_short(child);
    assert_eq!(cell.json(0, &["status"])["stop"]["category"], 1);
}

/// A refused reset stands in the log with what refused it.
#[test]
fn the_log_says_what_a_reset_was_refused_for() {
    let cell = Cell::new();
    cell.gives(0, &["reset", "--actor", "ann"]);
    cell.gives(0, &["stop", "--wired", "emergency-a"]);
    cell.fails(4, &["reset", "--actor", "ann"], &["emergency-stop"]);
    let refused = cell.records("reset-refused");
    assert_eq!(refused.len(), 1);
    let stop = &refused[0]["content"]["stop"];
    assert_eq!(stop["reason"], "emergency-stop", "{stop}");
    assert_eq!(stop["of"], "emergency-a", "{stop}");
}
