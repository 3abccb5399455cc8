//! What is let into a store, and what is not: signatures, consent, what the cell has, what an artifact is.

mod cell;
mod folder;

#[path = "../../plugin-host/tests/plugins/repack.rs"]
#[allow(clippy::unwrap_used)]
mod repack;

use cell::{Cell, GRANTS, look, says};
use folder::MISBEHAVE_GRANTS;
use serde_json::{Value, json};

const FROM_STORE: [&str; 4] = ["--store", "out/skills", "--grants", "grants.toml"];

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
    // Whoever looks sees it, too.
    let shown = cell.skill(0, &["show", "look"]);
    says(
        &shown,
        &[
            "would not be loaded: `acme/look` 1.1.0",
            "sinew grants approve acme/look@1.1.0",
        ],
    );
    assert!(!shown.contains("would not be loaded: `acme/look` 1.0.0"));
    let without = cell.0.gives(0, &["skill", "show", "look"]);
    says(&without, &["no --grants was said"]);
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
    let text = cell.run_once(4, &["--grants", "grants.toml"]);
    says(
        &text,
        &[
            "acme/look 1.0.0",
            "revoked: laptop stolen",
            "sinew skill activate acme/look@VERSION --actor NAME",
            "sinew skill remove acme/look@1.0.0 --active --actor NAME",
        ],
    );
    says(
        &cell.skill(4, &["activate", "look", "--actor", "ben"]),
        &["revoked: laptop stolen"],
    );
    // What it says helps.
    cell.skill(
        0,
        &["remove", "acme/look@1.0.0", "--active", "--actor", "ben"],
    );
    cell.run_once(0, &["--grants", "grants.toml"]);
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
    says(
        &cell.run_once(4, &["--grants", "more.toml"]),
        &["until now: interface files", "sinew grants approve"],
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

#[test]
fn what_was_hardly_meant_is_done_and_told() {
    let cell = Cell::new();
    cell.install("1.0.0", |_| {});
    let mistyped = GRANTS.replace("acme/look", "acme/lok");
    cell.0
        .write("grants.toml", format!("{GRANTS}{mistyped}").as_bytes());
    let activate = ["activate", "look", "--actor", "ben"];
    let said = cell.skill(0, &activate);
    says(
        &said,
        &["BUT", "`acme/lok`", "neither built in nor in the store"],
    );
    assert!(!said.contains("anew"), "{said}");
    cell.0.write("grants.toml", GRANTS.as_bytes());
    let said = cell.skill(0, &activate);
    says(&said, &["BUT", "its probation has begun anew"]);
    assert!(!said.contains("neither built in"), "{said}");
    let checked = |class: &str| {
        let grants = format!("{GRANTS}classes = [\"{class}\"]\n");
        cell.0.write("grants.toml", grants.as_bytes());
        let audited = (cell.0).gives(
            0,
            &[
                "grants",
                "audit",
                "--store",
                "out/skills",
                "--grants",
                "grants.toml",
            ],
        );
        cell.skill(0, &["check", "look.wasm"]) + &audited
    };
    assert!(!checked("block").contains("nothing is a"));
    let said = checked("blok");
    assert_eq!(said.matches("nothing is a `blok`").count(), 2, "{said}");
    cell.0.write("grants.toml", GRANTS.as_bytes());
    let pin = |how: &[&str]| cell.skill(0, &[&["pin", "look", "--actor", "ben"], how].concat());
    says(&pin(&["--off"]), &["was not pinned"]);
    says(&pin(&[]), &["pinned"]);
    says(&pin(&[]), &["is pinned already"]);
    says(&pin(&["--off"]), &["let go"]);
}
