//! What is refused before it runs, and in which words.

use serde_json::{Value, json};
use sinew_plugin_host::{Limits, LoadError};
use sinew_skill_artifacts::{MISBEHAVE, PROBE};

use crate::repack::{manifest, repack};
use crate::rig::{GRANTS, host};

fn refusal(bytes: &[u8], grants: &str) -> LoadError {
    match host(Limits::default(), grants).load(bytes, "given.wasm") {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    }
}

fn check(bytes: &[u8], words: &[&str]) {
    let error = refusal(bytes, GRANTS).to_string();
    for word in words {
        assert!(error.contains(word), "{word}: {error}");
    }
}

fn edited(artifact: &[u8], edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut manifest = manifest(artifact);
    edit(&mut manifest);
    repack(artifact, &[manifest])
}

#[test]
fn what_is_no_component_is_refused() {
    check(b"", &["given.wasm is no WebAssembly component"]);
    check(
        b"#!/bin/sh\necho no\n",
        &["given.wasm is no WebAssembly component"],
    );
    check(
        b"\0asm\x01\0\0\0",
        &["a core WebAssembly module", "wasm32-wasip2"],
    );
    check(
        &MISBEHAVE[..MISBEHAVE.len() / 2],
        &["no WebAssembly component"],
    );
    check(&vec![0; (64 << 20) + 1], &["are allowed"]);
}

/// A component in a component in a component: 70 KB of them would take gigabytes to compile.
#[test]
fn components_in_one_another_have_a_bound() {
    let nested = |depth: usize| {
        let mut inside = b"\0asm\x0d\0\x01\0".to_vec();
        for _ in 0..depth {
            let mut around = b"\0asm\x0d\0\x01\0\x04".to_vec();
            let mut length = inside.len();
            while length >= 0x80 {
                around.push(length as u8 | 0x80);
                length >>= 7;
            }
            around.push(length as u8);
            around.extend(inside);
            inside = around;
        }
        inside
    };
    check(&nested(100), &["has 0 sections `sinew:manifest`"]);
    check(&nested(101), &["more than 100 components in one another"]);
    check(&nested(3_000), &["more than 100 components in one another"]);
}

#[test]
fn a_plugin_has_one_manifest() {
    check(b"\0asm\x0d\0\x01\0", &["has 0 sections `sinew:manifest`"]);
    let both = [manifest(MISBEHAVE), manifest(PROBE)];
    check(&repack(MISBEHAVE, &both), &["has 2 sections"]);
    check(
        &repack(MISBEHAVE, &[json!({"name": 1})]),
        &["the manifest is not valid"],
    );
    check(
        &edited(MISBEHAVE, |m| m["wit"] = json!("0.7.0")),
        &["sinew:plugin@0.7.0", "rebuild"],
    );
    check(
        &edited(MISBEHAVE, |m| m["params_schema"] = json!({"type": 3})),
        &["params_schema is no JSON Schema"],
    );
}

#[test]
fn a_plugin_exports_what_its_kind_has_to() {
    check(
        &edited(MISBEHAVE, |m| m["kind"] = json!("recovery")),
        &["says that it is a recovery", "recovery-run@0.1.0"],
    );
    let mut lone = b"\0asm\x0d\0\x01\0".to_vec();
    lone.extend(&repack(MISBEHAVE, &[manifest(PROBE)])[repack(MISBEHAVE, &[]).len()..]);
    check(&lone, &["does not export", "world `recovery`"]);
}

#[test]
fn imports_are_asked_for() {
    let silent = edited(MISBEHAVE, |m| {
        m["imports"]
            .as_array_mut()
            .unwrap()
            .retain(|ask| ask["interface"] != "gripper");
    });
    check(
        &silent,
        &["imports `gripper`, but its manifest does not ask for it"],
    );
}

#[test]
fn a_missing_grant_says_what_to_add_and_who_may() {
    let error = refusal(MISBEHAVE, "");
    assert!(matches!(error, LoadError::NotGranted { .. }), "{error}");
    let text = error.to_string();
    for word in [
        "`test/misbehave` 0.1.0",
        "motion: to move",
        "The operator of this robot",
        "[plugins.\"test/misbehave\"]",
        "interfaces = [\"clock\", \"events\", \"gripper\"",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(
        !text.contains("files"),
        "an optional ask needs no grant: {text}"
    );
    // What it says can be pasted.
    let paste = &text[text.find("[plugins").unwrap()..];
    host(Limits::default(), paste)
        .load(MISBEHAVE, "given.wasm")
        .unwrap();
    // What is already there stays.
    let some = "[plugins.\"test/misbehave\"]\ninterfaces = [\"files\", \"motion\"]";
    let text = refusal(MISBEHAVE, some).to_string();
    assert!(
        text.contains("\"files\"") && !text.contains("motion: "),
        "{text}"
    );
}
