//! A person in the cell, seen from the command line.

use std::process::Command;

/// Somebody stands by the tray for longer than ten seconds. The robot makes way, and the cycle succeeds all the same.
#[test]
fn a_person_who_stays_costs_time_and_no_cycle() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let output = Command::new(env!("CARGO_BIN_EXE_sinew"))
        .args(["run", "--scenario", "person-stays", "--profile", "calm"])
        .args([
            "--seed",
            "3",
            "--first-cycle",
            "1",
            "--cycles",
            "1",
            "--json",
        ])
        .arg("--out")
        .arg(folder.path())
        .output()
        .expect("the binary was built for this test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(errors.contains("somebody comes into the cell"), "{errors}");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("nothing but JSON is there");
    let person = &report["person"];
    let number = |key: &str| person[key].as_f64().unwrap_or(-1.0);
    assert_eq!(report["scenario"], "person-stays");
    assert_eq!(report["succeeded"], 1);
    assert_eq!(report["safety_stops"], 0, "no stop was latched");
    assert_eq!(report["interventions"], 0, "nobody had to reset");
    assert!(number("in_cell_s") > 10.0, "{person}");
    assert!(
        number("slowed") >= 1.0 && number("stopped") >= 1.0,
        "{person}"
    );
    assert!(number("smallest_distance_moving_m") >= 0.10, "{person}");
}

#[test]
fn an_unknown_scenario_is_answered_with_the_known_ones() {
    for (arguments, pieces) in [
        (
            &["--scenario", "ghost"][..],
            &["ghost", "person-stays", "scanner-silent"][..],
        ),
        (
            &["--scenario", "x", "--scenario-file", "/nowhere.toml"],
            &["/nowhere.toml"],
        ),
        (
            &["--person", "--scenario", "person"],
            &["--person", "--scenario"],
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_sinew"))
            .args(["run", "--inference", "embedded"])
            .args(arguments)
            .output()
            .expect("the binary was built for this test");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        for piece in pieces {
            assert!(errors.contains(piece), "no {piece:?} in {errors}");
        }
    }
}
