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
        &["boot", "reset --actor"],
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
