//! Files that are wrong before anything of them runs, one after the other at one store: each is refused in words that say what is
//! wrong, the audit log has it, and the store is as it was. A good one is let in afterwards, and runs.

mod cell;
mod folder;
#[path = "../../plugin-host/tests/plugins/repack.rs"]
#[allow(clippy::unwrap_used)]
mod repack;

use std::collections::BTreeSet;
use std::path::Path;

use cell::{Cell, look};
use serde_json::{Value, json};
use sinew_runtime::skill_store::{SecretKey, sign};
use wasm_encoder::{ComponentSection as _, CustomSection};

/// Exit code of what can't be used, and of what is refused.
const WRONG: i32 = 2;
const REFUSED: i32 = 4;

/// A file, the exit code, and words that say what is wrong with it.
type Wrong = (&'static str, Vec<u8>, i32, &'static [&'static str]);

fn key(cell: &Cell, name: &str) -> SecretKey {
    SecretKey::read(&cell.0.path().join(name)).expect("it was made")
}

/// Makes a key, and gives the lines that trust it.
fn keygen(cell: &Cell, file: &str, publisher: &str) -> String {
    cell.0
        .gives(0, &["skill", "keygen", file, "--publisher", publisher])
}

fn section(mut artifact: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    CustomSection {
        name: name.into(),
        data: data.into(),
    }
    .append_to_component(&mut artifact);
    artifact
}

/// Everything that is wrong with a file in one way.
fn wrong(cell: &Cell) -> Vec<Wrong> {
    let acme = key(cell, "acme.key");
    let signed = |artifact: &[u8]| sign(artifact, &acme).expect("it can be signed");
    let good = signed(&look("1.0.0", |_| {}));
    let edited = |edit: fn(&mut Value)| signed(&look("1.0.0", edit));
    let mut bent = good.clone();
    bent[good.len() / 2] ^= 4;
    let bent_signature = {
        let mut bytes = good.clone();
        *bytes.last_mut().expect("it has bytes") ^= 1;
        bytes
    };
    let signature = &good[good.len() - 114..];
    let of_another = [&look("1.1.0", |_| {}), signature].concat();
    let bare = repack::repack(&look("1.0.0", |_| {}), &[]);
    let manifest = repack::manifest(&look("1.0.0", |_| {}));
    let by = |name: &str| sign(&look("1.0.0", |_| {}), &key(cell, name)).expect("it can be signed");
    vec![
        ("empty", Vec::new(), WRONG, &["is no WebAssembly component"]),
        (
            "text",
            b"#!/bin/sh\necho hello\n".to_vec(),
            WRONG,
            &["is no WebAssembly component"],
        ),
        (
            "module",
            b"\0asm\x01\0\0\0".to_vec(),
            WRONG,
            &["is no WebAssembly component"],
        ),
        (
            "eight-bytes",
            b"\0asm\x0d\0\x01\0".to_vec(),
            REFUSED,
            &["is not signed"],
        ),
        ("half", good[..good.len() / 2].to_vec(), WRONG, &[]),
        ("a-byte-less", good[..good.len() - 1].to_vec(), WRONG, &[]),
        (
            "huge",
            vec![0; 100 << 20],
            WRONG,
            &["more than 67108864 bytes"],
        ),
        ("bent", bent, REFUSED, &["changed after it was signed"]),
        (
            "bent-signature",
            bent_signature,
            REFUSED,
            &["changed after it was signed"],
        ),
        (
            "signature-of-another-version",
            of_another,
            REFUSED,
            &["changed after it was signed"],
        ),
        (
            "two-signatures",
            [&good[..], signature].concat(),
            REFUSED,
            &["the signature does not fit"],
        ),
        (
            "bytes-behind",
            [&good[..], b"\0\x05\x04more"].concat(),
            WRONG,
            &["signature"],
        ),
        (
            "no-manifest",
            signed(&bare),
            WRONG,
            &["0 sections `sinew:manifest`"],
        ),
        (
            "two-manifests",
            signed(&repack::repack(
                &bare_with(&bare, &manifest),
                &[manifest.clone(), manifest.clone()],
            )),
            WRONG,
            &["manifest"],
        ),
        (
            "manifest-of-nothing",
            signed(&section(bare.clone(), "sinew:manifest", b"")),
            WRONG,
            &["manifest"],
        ),
        (
            "manifest-of-arrays",
            signed(&section(bare, "sinew:manifest", &[b'['; 100_000])),
            WRONG,
            &["manifest"],
        ),
        (
            "nobodys",
            look("1.0.0", |_| {}),
            REFUSED,
            &["is not signed"],
        ),
        (
            "strangers",
            by("stranger.key"),
            REFUSED,
            &["which the trust file ", "trust.toml does not name"],
        ),
        (
            "expired",
            by("old.key"),
            REFUSED,
            &["which is valid until 2020-12-31"],
        ),
        (
            "not-yet",
            by("new.key"),
            REFUSED,
            &["which is valid from 2999-01-01"],
        ),
        (
            "revoked",
            by("revoked.key"),
            REFUSED,
            &["which is revoked: stolen"],
        ),
        (
            "of-another-publisher",
            by("lab.key"),
            REFUSED,
            &["which is a key of lab"],
        ),
        (
            "lies-about-its-kind",
            edited(|m| m["kind"] = json!("recovery")),
            WRONG,
            &["recovery-run"],
        ),
        (
            "lies-about-its-imports",
            edited(|m| {
                m["imports"]
                    .as_array_mut()
                    .expect("a list")
                    .retain(|ask| ask["interface"] != "motion")
            }),
            WRONG,
            &["motion"],
        ),
        (
            "of-another-wit",
            edited(|m| m["wit"] = json!("0.9.0")),
            WRONG,
            &["0.9.0"],
        ),
        (
            "no-version",
            edited(|m| m["version"] = json!("latest")),
            WRONG,
            &["latest"],
        ),
        (
            "name-that-leads-out",
            edited(|m| m["name"] = json!("acme/../../look")),
            WRONG,
            &["name"],
        ),
        (
            "schema-without-a-bottom",
            edited(|m| {
                m["params_schema"] = json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"});
            }),
            WRONG,
            &["params_schema"],
        ),
        (
            "label-that-is-none",
            edited(|m| m["handles"] = json!(["went-badly"])),
            WRONG,
            &["went-badly"],
        ),
        (
            "hands-that-nobody-has",
            edited(|m| m["equipment"] = json!({"gripper_force_n": 1e6})),
            WRONG,
            &["1000000 N"],
        ),
    ]
}

fn bare_with(bare: &[u8], manifest: &Value) -> Vec<u8> {
    repack::append(bare.to_vec(), manifest)
}

/// Names of all files of the store.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            all.extend(files(&path));
        }
        all.insert(path.display().to_string());
    }
    all
}

#[test]
fn what_is_wrong_is_refused_told_and_leaves_nothing() {
    let cell = Cell::new();
    let store = cell.0.path().join("out/skills");
    let mut trust = std::fs::read_to_string(store.join("trust.toml")).expect("it was written");
    keygen(&cell, "stranger.key", "stranger");
    for (file, publisher, more) in [
        ("old.key", "acme", "until = 2020-12-31\n"),
        ("new.key", "acme", "from = 2999-01-01\n"),
        ("revoked.key", "acme", "revoked = \"stolen\"\n"),
        ("lab.key", "lab", ""),
    ] {
        trust += &(keygen(&cell, file, publisher) + more);
    }
    cell.trust(&trust);
    // A store that holds something, so that there is something to spoil.
    cell.install("0.9.0", |_| {});
    let (before, states) = (files(&store), cell.states());
    let wrong = wrong(&cell);
    assert!(wrong.len() >= 30, "{}", wrong.len());
    let mut otherwise = Vec::new();
    for (name, bytes, code, words) in &wrong {
        let file = format!("{name}.wasm");
        cell.0.write(&file, bytes);
        let install = [
            "skill",
            "install",
            &file,
            "--actor",
            "ann",
            "--grants",
            "grants.toml",
        ];
        let (given, text) = cell.0.output(&install);
        let is_said = words.iter().all(|word| text.contains(word)) && text.contains(&file);
        if given != Some(*code) || !is_said || text.contains("panicked") {
            otherwise.push(format!("{name}: {given:?}, {text}"));
        }
        assert_eq!(files(&store), before, "{name}");
        std::fs::remove_file(cell.0.path().join(&file)).expect("it was written");
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
    assert_eq!(cell.states(), states);
    let audit = cell.audit();
    let told = audit.matches("plugin-refused").count();
    let unreadable = 1;
    assert_eq!(
        told,
        wrong.len() - unreadable,
        "one record each, but of what is too large to be read"
    );
    // The host is as good as new.
    cell.install("1.0.0", |_| {});
    cell.skill(0, &["activate", "look", "--actor", "ben"]);
    assert_eq!(cell.run("acme/look")["succeeded"], 2);
}
