//! A plugin's life in a store, from the command line.

mod cell;
mod folder;

#[path = "../../plugin-host/tests/plugins/repack.rs"]
#[allow(clippy::unwrap_used)]
mod repack;

use cell::{Cell, look, says};
use serde_json::json;

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
fn what_is_proposed_can_be_pasted() {
    let cell = Cell::new();
    std::fs::rename(cell.0.path().join("out/skills"), cell.0.path().join("s s"))
        .expect("it is there");
    let place = ["--store", "s s", "--audit", "log/a.jsonl"];
    let grants = ["--grants", "grants.toml", "--actor", "ben"];
    let skill = |code: i32, what: &[&str]| {
        cell.0
            .gives(code, &[&["skill"], what, &place, &grants].concat())
    };
    let flags = "--actor NAME --store 's s' --grants grants.toml";
    for version in ["1.0.0", "2.0.0"] {
        cell.0.write("look.wasm", &look(version, |_| {}));
        cell.0
            .gives(0, &["skill", "sign", "look.wasm", "--key", "acme.key"]);
        skill(0, &["install", "look.wasm"]);
    }
    skill(0, &["activate", "look@2.0.0"]);
    let proposed = |text: &str, command: &str| {
        says(text, &[&format!("{command} {flags} --audit log/a.jsonl")]);
    };
    let text = skill(2, &["rollback", "look"]);
    proposed(&text, "sinew skill activate acme/look@VERSION");
    proposed(&text, "sinew skill remove acme/look@VERSION --active");
    let text = skill(2, &["rollback", "look@1.0.0"]);
    proposed(&text, "sinew skill activate acme/look@1.0.0 --downgrade");
    skill(0, &["pin", "look"]);
    let text = skill(4, &["activate", "look@1.0.0", "--downgrade"]);
    proposed(&text, "sinew skill pin acme/look --off");
    // What is older than what was active is proposed as what it is.
    let text = skill(2, &["remove", "look"]);
    says(&text, &["`look` has several versions", "look@VERSION"]);
    skill(0, &["remove", "look@1.0.0"]);
    cell.0.write("look.wasm", &look("1.5.0", |_| {}));
    cell.0
        .gives(0, &["skill", "sign", "look.wasm", "--key", "acme.key"]);
    let text = skill(0, &["install", "look.wasm"]);
    proposed(&text, "sinew skill activate acme/look@1.5.0 --downgrade");
    // The same of what a run says.
    skill(0, &["pin", "look", "--off"]);
    skill(0, &["remove", "look@2.0.0", "--active"]);
    let run = [
        "run",
        "--skill",
        "acme/look",
        "--store",
        "s s",
        "--out",
        "log",
        "--cycles",
        "1",
    ];
    let run = [&run[..], &grants[..2]].concat();
    let text = cell.0.gives(2, &run);
    says(
        &text,
        &[
            "sinew skill activate acme/look --actor NAME --audit log/audit.jsonl --store 's s' --grants grants.toml",
        ],
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
