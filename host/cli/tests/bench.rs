//! `sinew bench plugin` from the command line: it measures, says all that it measured, and leaves nothing behind. Never how
//! fast: that is the machine's.

mod folder;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use folder::Folder;
use serde_json::Value;

/// The rows, in order, and the rows that each is compared with.
const ROWS: [(&str, &[&str]); 18] = [
    ("read the cache", &[]),
    ("load from the cache, start", &["start"]),
    ("start", &[]),
    (
        "skill call",
        &[
            "skill call, bare wasmtime",
            "skill call, bare wasmtime, metered",
        ],
    ),
    ("skill call, bare wasmtime, metered", &[]),
    ("skill call, bare wasmtime", &[]),
    ("skill call, sidecar", &["skill call"]),
    (
        "skill call with objects",
        &[
            "skill call with objects, bare wasmtime",
            "skill call with objects, bare wasmtime, metered",
        ],
    ),
    ("skill call with objects, bare wasmtime, metered", &[]),
    ("skill call with objects, bare wasmtime", &[]),
    (
        "skill call with objects, sidecar",
        &["skill call with objects"],
    ),
    (
        "host call that is ready",
        &["host call that is ready, bare wasmtime"],
    ),
    ("host call that is ready, bare wasmtime", &[]),
    ("guard to control regained, endless loop", &[]),
    ("guard to control regained, memory.copy", &[]),
    ("guard to control regained, memory.fill", &[]),
    ("kitting cycle", &["kitting cycle, not recorded"]),
    ("kitting cycle, not recorded", &[]),
];
/// Promises that are measured.
const FIGURES: usize = 13;

#[test]
fn every_row_and_every_figure_is_there() {
    let folder = Folder::with(&[]);
    let arguments = ["bench", "plugin", "--quick", "--inference", "embedded"];
    let bench = folder.json(0, &arguments);
    let rows = bench["rows"].as_array().expect("rows");
    let named: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(named, ROWS.map(|(name, _)| name));
    for (row, (name, compared)) in rows.iter().zip(ROWS) {
        assert!(row["n"].as_u64() > Some(0), "{row}");
        for (lower, upper) in [("p50_ns", "p99_ns"), ("p99_ns", "p999_ns")] {
            assert!(row[lower].as_u64() <= row[upper].as_u64(), "{row}");
        }
        let to: Vec<&String> = row["ratio"].as_object().expect("ratios").keys().collect();
        assert_eq!(to, compared, "{name}");
        assert!(row["note"].is_string(), "{name}");
    }
    let allocations = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name);
        row.and_then(|row| row["allocs_per_op"].as_f64())
            .expect("allocations")
    };
    // That the same content is made in all of them shows in their answers, without which there are no rows.
    for call in ["skill call", "skill call with objects"] {
        let bare = format!("{call}, bare wasmtime");
        assert!(allocations(&bare) >= 2.0, "a list, and what it is in");
        assert!(allocations(&bare) < allocations(call));
        assert!(allocations(call) < allocations(&format!("{call}, sidecar")));
    }
    assert!(
        allocations("host call that is ready, bare wasmtime")
            < allocations("host call that is ready")
    );
    assert!(allocations("start") < allocations("load from the cache, start"));

    let figures = bench["figures"].as_array().expect("figures");
    assert_eq!(figures.len(), FIGURES, "{figures:?}");
    for figure in figures {
        let number = |key: &str| figure[key].as_f64();
        let measured = number("measured").expect("it is measured");
        let met = match (number("at_least"), number("at_most")) {
            (Some(least), None) => measured >= least,
            (None, Some(most)) => measured <= most,
            _ => panic!("one bound: {figure}"),
        };
        assert_eq!(figure["met"], Value::Bool(met), "{figure}");
        assert!(figure["name"].is_string() && figure["unit"].is_string());
    }
    assert!(std::fs::read_dir(folder.path()).is_ok_and(|mut left| left.next().is_none()));
}

#[test]
fn a_folder_that_can_not_be_used_is_said_in_words() {
    let folder = Folder::with(&[]);
    let output = Command::new(env!("CARGO_BIN_EXE_sinew"))
        .current_dir(folder.path())
        .args(["bench", "plugin", "--quick"])
        .env("TMPDIR", folder.path().join("nowhere"))
        .output()
        .expect("the binary was built for this test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("nowhere"), "{said}");
    assert!(output.stdout.is_empty());
    assert!(
        folder
            .gives(2, &["bench", "tick", "--quick"])
            .contains("sinew bench plugin")
    );
}

#[test]
fn the_sidecar_goes_with_whoever_started_it() {
    let folder = Folder::with(&[]);
    let socket = folder.path().join("s");
    let mut sidecar = Command::new(env!("CARGO_BIN_EXE_sinew"))
        .arg("bench-sidecar")
        .arg(&socket)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary was built for this test");
    let since = Instant::now();
    let patient = || {
        std::thread::sleep(Duration::from_millis(5));
        assert!(since.elapsed() < Duration::from_secs(60), "it hangs");
    };
    while !socket.exists() {
        patient();
    }
    drop(sidecar.stdin.take());
    let status = loop {
        match sidecar.try_wait().expect("it is our child") {
            Some(status) => break status,
            None => patient(),
        }
    };
    assert!(status.success(), "{status}");
}
