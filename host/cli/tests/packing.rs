//! A component from elsewhere becomes a plugin: packed with a manifest that somebody has written by hand.

mod cell;
mod folder;
#[path = "../../plugin-host/tests/plugins/repack.rs"]
#[allow(clippy::unwrap_used)]
mod repack;

use cell::{Cell, look, says};

const MANIFEST: &str = r#"
name = "acme/look"
version = "1.0.0"
kind = "skill"
wit = "0.1.0"
summary = "Looks around."
parts = ["arm"]
params_schema = { type = "object", properties = { pose = { type = "string" } }, additionalProperties = false }
result_schema = { type = "object" }

[[imports]]
interface = "motion"
why = "to go there"

[[imports]]
interface = "events"
why = "to say so"

[[imports]]
interface = "clock"
why = "to say how long it took"

[[post_conditions]]
predicate = "at-pose"
pose = "/pose"
"#;

const PACK: [&str; 7] = [
    "skill",
    "pack",
    "component.wasm",
    "--manifest",
    "look.toml",
    "--out",
    "look.wasm",
];

/// What a toolchain gives, and what its author says about it.
fn cell() -> Cell {
    let cell = Cell::new();
    let component = repack::repack(&look("1.0.0", |_| {}), &[]);
    cell.0.write("component.wasm", &component);
    cell.0.write("look.toml", MANIFEST.as_bytes());
    cell
}

#[test]
fn a_component_from_elsewhere_is_packed_signed_installed_and_runs() {
    let cell = cell();
    let packed = cell.0.gives(0, &PACK);
    says(
        &packed,
        &[
            "packed acme/look 1.0.0  in look.wasm",
            "sinew skill check look.wasm",
        ],
    );
    cell.skill(0, &["check", "look.wasm"]);
    cell.0
        .gives(0, &["skill", "sign", "look.wasm", "--key", "acme.key"]);
    cell.skill(0, &["install", "look.wasm", "--actor", "ann"]);
    cell.skill(0, &["activate", "look", "--actor", "ann"]);
    assert_eq!(cell.run("acme/look")["succeeded"], 2);
    // JSON that says the same makes the same bytes.
    let signed = std::fs::read(cell.0.path().join("look.wasm")).expect("it was written");
    let json = repack::manifest(&signed[..signed.len() - 114]);
    cell.0.write("look.json", json.to_string().as_bytes());
    let mut again = PACK;
    again[4] = "look.json";
    again[6] = "again.wasm";
    cell.0.gives(0, &again);
    let again = std::fs::read(cell.0.path().join("again.wasm")).expect("it was written");
    assert!(signed.starts_with(&again));
}

#[test]
fn what_can_not_be_packed_is_said_and_nothing_is_written() {
    let cell = cell();
    let refused = |words: &[&str]| {
        says(&cell.0.gives(2, &PACK), words);
        assert!(!cell.0.path().join("look.wasm").exists());
    };
    let wrong = |from: &str, to: &str| {
        assert!(MANIFEST.contains(from));
        cell.0
            .write("look.toml", MANIFEST.replace(from, to).as_bytes());
    };
    wrong("summary", "sumary");
    refused(&["look.toml", "sumary"]);
    wrong("\"at-pose\"", "\"at-home\"");
    refused(&["look.toml", "at-home"]);
    wrong("\"1.0.0\"", "\"1\"");
    refused(&["look.toml", "its version `1` is none"]);
    wrong("[[imports]]", "[[imports]");
    refused(&["look.toml"]);
    wrong(
        "result_schema = { type = \"object\" }",
        "result_schema = 42",
    );
    refused(&["look.toml", "result_schema"]);
    wrong("\"events\"", "\"motion\"");
    refused(&["look.toml", "\"motion\" twice"]);
    wrong("parts = [\"arm\"]", "parts = \"arm\"");
    refused(&["look.toml", "line 7", "parts = \"arm\""]);
    wrong(
        "[[imports]]\ninterface = \"motion\"",
        "[equipment]\ngripper_opening_m = nan\n[[imports]]\ninterface = \"motion\"",
    );
    refused(&["look.toml", "NaN is no number"]);
    wrong(
        "\"object\" }\n\n",
        &format!("\"object\", title = \"{}\" }}\n\n", "t".repeat(1 << 20)),
    );
    refused(&["1048576 are allowed"]);
    cell.0.write("look.txt", MANIFEST.as_bytes());
    let mut other = PACK;
    other[4] = "look.txt";
    says(
        &cell.0.gives(2, &other),
        &[
            "look.txt",
            "read as JSON, because its name does not end in .toml",
        ],
    );
    wrong("summary", "summary");
    let component = std::fs::read(cell.0.path().join("component.wasm")).expect("it is there");
    for (bytes, words) in [
        (look("1.0.0", |_| {}), "has a manifest already"),
        (
            b"\0asm\x01\0\0\0".to_vec(),
            "it is a core WebAssembly module",
        ),
        (component[..1_000].to_vec(), "component.wasm"),
        (b"a text".to_vec(), "component.wasm"),
    ] {
        cell.0.write("component.wasm", &bytes);
        refused(&[words]);
    }
    std::fs::remove_file(cell.0.path().join("component.wasm")).expect("it is there");
    refused(&["component.wasm"]);
    cell.0.write("component.wasm", &component);
    let mut onto = PACK;
    onto[6] = "acme.key";
    says(
        &cell.0.gives(2, &onto),
        &["something else, which is not replaced"],
    );
    onto[6] = "nowhere/look.wasm";
    says(&cell.0.gives(2, &onto), &["nowhere/look.wasm"]);
    cell.0.gives(0, &PACK);
}
