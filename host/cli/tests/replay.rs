//! Plugin runs that are kept, and done again from the command line.

mod folder;

use std::path::{Path, PathBuf};

use folder::{Folder, MISBEHAVE_GRANTS};

fn folder_with_plugins() -> Folder {
    Folder::with(&[
        ("misbehave.wasm", sinew_skill_artifacts::MISBEHAVE),
        ("go-home.wasm", sinew_skill_artifacts::GO_HOME),
        ("grants.toml", MISBEHAVE_GRANTS.as_bytes()),
    ])
}

/// The one file in a folder of this name.
#[track_caller]
fn only(folder: &Folder, name: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder.path().join(name)).expect("it is there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.remove(0)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain name")
}

#[test]
fn a_run_that_was_kept_is_done_again() {
    let folder = folder_with_plugins();
    let run = ["run", "--skill", "sinew/go-home", "--cycles", "1"];
    folder.gives(
        0,
        &[&run[..], &["--params", "{\"pose\":\"home\"}"]].concat(),
    );
    assert!(!folder.path().join("out/runs").exists(), "nobody asked");
    let kept = [
        &run[..],
        &["--params", "{\"pose\":\"home\"}", "--keep-runs"],
    ]
    .concat();
    let said = folder.gives(0, &kept);
    assert!(said.contains("plugin runs   out/runs"), "{said}");
    let file = only(&folder, "out/runs");
    let said = folder.gives(0, &["replay", text(&file)]);
    assert!(
        said.contains("identical: ") && said.contains("`sinew/go-home`"),
        "{said}"
    );

    let report = folder.json(0, &["replay", text(&file)]);
    assert_eq!(report["identical"], true);
    assert_eq!(report["first_difference"], serde_json::Value::Null);
    assert_eq!(report["state_hash"].as_str().map(str::len), Some(64));
    assert_eq!(report["runs"][0]["verdict"], "identical");
    let first = std::fs::read(&file).expect("it is there");
    // The same seed writes the same bytes.
    folder.gives(0, &kept);
    assert!(std::fs::read(&file).expect("it is there") == first);
    // Named, the same component; another plugin is none.
    folder.gives(0, &["replay", text(&file), "--skill", "go-home.wasm"]);
    let said = folder.gives(2, &["replay", text(&file), "--skill", "misbehave.wasm"]);
    assert!(
        said.contains("`test/misbehave`") && said.contains("`sinew/go-home`"),
        "{said}"
    );
}

/// What a plugin did before it failed lies in the incident, crash and all.
#[test]
fn an_incident_has_the_runs_before_it() {
    let folder = folder_with_plugins();
    folder.gives(
        1,
        &[
            "run",
            "--plugin",
            "misbehave.wasm",
            "--grants",
            "grants.toml",
            "--skill",
            "test/misbehave",
            "--params",
            "{\"act\":\"panic\"}",
            "--cycles",
            "1",
        ],
    );
    let incident = only(&folder, "out/incidents");
    // The component is not part of the binary.
    let said = folder.gives(2, &["replay", text(&incident)]);
    assert!(
        said.contains("--plugin") && said.contains("sha256"),
        "{said}"
    );
    let again = ["replay", text(&incident), "--plugin", "misbehave.wasm"];
    let said = folder.gives(0, &again);
    assert!(
        said.contains("identical: ") && said.contains("on purpose"),
        "{said}"
    );
    let said = folder.gives(2, &[&again[..], &["--run", "another"]].concat());
    assert!(
        said.contains("there are task1-01-test_misbehave.run"),
        "{said}"
    );
    folder.gives(
        0,
        &[&again[..], &["--run", "task1-01-test_misbehave.run"]].concat(),
    );
}

/// What a plugin says is shown as text that it said: it neither rules the terminal nor passes for a line of the report.
#[test]
fn a_plugin_can_not_write_the_report() {
    let folder = folder_with_plugins();
    folder.gives(
        1,
        &[
            "run",
            "--plugin",
            "misbehave.wasm",
            "--grants",
            "grants.toml",
            "--skill",
            "test/misbehave",
            "--params",
            r#"{"act":"move","pose":"\u001b[2J\u009b\u202e\n  identical: 99 of 99 calls\r"}"#,
            "--cycles",
            "1",
            "--keep-runs",
        ],
    );
    // A file brings its name, too.
    std::fs::rename(
        only(&folder, "out/runs"),
        folder.path().join("\u{1b}[31m\n  identical: .run"),
    )
    .expect("it can be renamed");
    let said = folder.gives(
        0,
        &[
            "replay",
            "\u{1b}[31m\n  identical: .run",
            "--plugin",
            "misbehave.wasm",
        ],
    );
    for shown in ["\\u{1b}[31m", "\\u{1b}[2J\\u{9b}\\u{202e}", "| "] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    assert!(
        !said.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']),
        "{said:?}"
    );
    let verdicts = said.lines().filter(|line| line.starts_with("  identical"));
    assert_eq!(verdicts.count(), 1, "{said}");
}

#[test]
fn what_is_no_record_says_so() {
    let folder = folder_with_plugins();
    let check = |name: &str, bytes: &[u8], expected: &str| {
        folder.write(name, bytes);
        let said = folder.gives(2, &["replay", name]);
        assert!(
            said.contains(expected) && said.contains(name),
            "{name}: {said}"
        );
    };
    check("empty.run", b"", "no recorded run");
    check(
        "text.run",
        b"hello, this is no record at all",
        "no recorded run",
    );
    check("cut.run", b"SINEWRN\x03abcdefgh", "damaged");
    check("older.run", b"SINEWRN\x02abcdefgh", "an older sinew");
    check("newer.run", b"SINEWRN\x07abcdefgh", "a newer sinew");
    check("cut.mcap", b"\x89MCAP0\r\n\x01\x02", "a damaged incident");
    let said = folder.gives(2, &["replay", "nowhere.run"]);
    assert!(said.contains("nowhere.run"), "{said}");
    let said = folder.gives(2, &["replay", "."]);
    assert!(said.contains("directory"), "{said}");
}
