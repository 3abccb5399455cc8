//! Input that can't be used is refused before anything moves, with words that help and the right exit code.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROBOT: &str = include_str!("../../description/robots/sinew-arm-7.toml");

fn sinew(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sinew"))
        .args(["run", "--inference", "embedded", "--cycles", "1"])
        .args(["--out", &folder.join("out").display().to_string()])
        .args(arguments)
        .output()
        .expect("the binary was built for this test")
}

/// Runs with the arguments; the exit code and every piece of text must fit.
#[track_caller]
fn check(arguments: &[&str], code: i32, expected: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let output = sinew(folder.path(), arguments);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {words}");
    for piece in expected {
        assert!(
            words.contains(piece),
            "{arguments:?}: no {piece:?} in: {words}"
        );
    }
    assert!(output.stdout.is_empty(), "nothing is reported");
}

/// A file with this content, alive as long as the folder.
fn file(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> String {
    let path: PathBuf = folder.path().join(name);
    std::fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("writable");
    std::fs::write(&path, content).expect("writable");
    path.display().to_string()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    check(&["--profile", "wild"], 2, &["wild", "calm", "mild"]);
    check(
        &["--skill", "sinew/juggle"],
        2,
        &["sinew/juggle", "sinew/kit-parts"],
    );
    check(
        &["--params", r#"{"order":[{"class":"gizmo","slot":"A1"}]}"#],
        2,
        &["gizmo", "block"],
    );
    check(
        &["--params", r#"{"order":[{"class":"block","slot":"Z9"}]}"#],
        2,
        &["Z9", "A1"],
    );
}

#[test]
fn parameters_that_miss_the_schema_say_where() {
    check(&["--params", "{"], 2, &["not JSON"]);
    check(
        &["--params", r#"{"order":[{"slot":"A1"}]}"#],
        2,
        &["/order/0"],
    );
    check(
        &["--params", "@/nowhere/order.json"],
        2,
        &["/nowhere/order.json"],
    );
}

#[test]
fn wrong_usage_is_code_2() {
    check(&["--speed", "warp"], 2, &["warp"]);
    check(&["--cycles", "0"], 2, &["--cycles"]);
    check(&["--no-such-option"], 2, &["--no-such-option"]);
}

#[test]
fn a_robot_that_can_not_be_is_refused_with_its_line() {
    let folder = folder();
    let unknown = file(
        &folder,
        "unknown.toml",
        format!("colour = 3\n{ROBOT}").as_bytes(),
    );
    check(
        &["--robot-config", &unknown],
        2,
        &["unknown.toml", "colour"],
    );
    let key = "velocity_max_rad_s = ";
    let at = ROBOT.find(key).expect("joints have velocity limits") + key.len();
    let impossible = format!("{}-{}", &ROBOT[..at], &ROBOT[at..]);
    let impossible = file(&folder, "impossible.toml", impossible.as_bytes());
    check(
        &["--robot-config", &impossible],
        2,
        &["impossible.toml", "velocity_max_rad_s"],
    );
    check(&["--robot-config", "/nowhere.toml"], 2, &["/nowhere.toml"]);
}

#[test]
fn a_plugin_that_is_none_and_one_without_a_grant() {
    let folder = folder();
    let text = file(&folder, "text.wasm", b"this is no WebAssembly");
    check(&["--plugin", &text], 2, &["text.wasm"]);
    let grants = file(
        &folder,
        "grants.toml",
        b"[plugins.\"sinew/kit-parts\"]\ninterfaces = [\"world\"]\n",
    );
    check(
        &["--grants", &grants],
        4,
        &["sinew/kit-parts", "[plugins.\"sinew/kit-parts\"]", "motion"],
    );
    let unknown = file(
        &folder,
        "unknown.toml",
        b"[plugins.\"sinew/kit-parts\"]\ninterfaces = [\"teleport\"]\n",
    );
    check(&["--grants", &unknown], 2, &["teleport"]);
}

#[test]
fn a_model_that_is_none_is_refused_by_name() {
    let folder = folder();
    let manifest = include_bytes!("../../../policies/detector/detector.toml");
    file(&folder, "detector/detector.toml", manifest);
    file(&folder, "detector/detector.onnx", b"garbage");
    let models = folder.path().display().to_string();
    check(&["--models", &models], 2, &["detector"]);
    check(&["--models", "/nowhere"], 2, &["/nowhere/detector"]);
}
