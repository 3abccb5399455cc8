//! What is let in, and what is not.

use sinew_skill_store::{
    Date, Installation, PublicKey, SIGNATURE_SECTION, SecretKey, Store, StoreError, Trust, layout,
    sign,
};

use crate::rig::{ENGINE, Reader, Rig, TODAY, by, component, refused, states};

fn try_in(rig: &Rig, store: &mut Store, artifact: &[u8]) -> Result<(), StoreError> {
    let before = states(store);
    let result = store.install(artifact, &rig.how(), &mut Reader::default(), &by("ina"));
    if result.is_err() {
        assert_eq!(states(store), before, "nothing has changed");
    }
    result.map(|_| ())
}

#[test]
fn what_a_trusted_key_has_signed_is_let_in_whole() {
    let rig = Rig::new();
    let mut store = rig.open();
    let artifact = rig.signed("acme/pick 1.2.0");
    let mut reader = Reader::default();
    let installed = (store.install(&artifact, &rig.how(), &mut reader, &by("ina"))).unwrap();
    assert!(!installed.already);
    assert_eq!(installed.held.signer, Some(rig.key.public()));
    assert_eq!(states(&store), ["1.2.0 installed"]);
    let loaded = store.load(&installed.held, &rig.trust, ENGINE).unwrap();
    assert_eq!(loaded.artifact, artifact);
    assert!(
        String::from_utf8(loaded.compiled.unwrap())
            .unwrap()
            .contains("acme/pick 1.2.0")
    );
    // Machine code for another engine is no use.
    assert!(
        store
            .load(&installed.held, &rig.trust, "engine 2")
            .unwrap()
            .compiled
            .is_none()
    );
    let again = (store.install(&artifact, &rig.how(), &mut reader, &by("ina"))).unwrap();
    assert!(again.already);
    assert_eq!(store.history(None).unwrap().len(), 1, "it came once");
}

#[test]
fn every_bit_of_an_artifact_counts() {
    let rig = Rig::new();
    let mut store = rig.open();
    let artifact = rig.signed("acme/pick 1.2.0");
    for byte in 0..artifact.len() {
        for bit in 0..8 {
            let mut bent = artifact.clone();
            bent[byte] ^= 1 << bit;
            assert!(
                try_in(&rig, &mut store, &bent).is_err(),
                "byte {byte}, bit {bit}"
            );
        }
    }
    for length in 0..artifact.len() {
        assert!(
            try_in(&rig, &mut store, &artifact[..length]).is_err(),
            "the first {length} bytes"
        );
    }
}

#[test]
fn nothing_inside_is_looked_at_before_the_signature_was() {
    let rig = Rig::new();
    let mut store = rig.open();
    let mut artifact = rig.signed("acme/pick 1.2.0");
    let last = artifact.len() - 1;
    artifact[last] ^= 1;
    let mut reader = Reader::default();
    let result = store.install(&artifact, &rig.how(), &mut reader, &by("ina"));
    let error = refused(result, "changed after it was signed");
    assert!(error.is_refusal());
    assert_eq!(reader.looked, 0);
}

#[test]
fn a_signature_stands_at_the_end_and_once() {
    let rig = Rig::new();
    let mut store = rig.open();
    let plain = component("acme/pick 1.0.0");
    let signed = rig.signed("acme/pick 1.0.0");

    assert!(sign(&signed, &rig.key).is_err(), "it is signed already");
    let trailing = [&signed[..], &component("x")[8..]].concat();
    refused(try_in(&rig, &mut store, &trailing), "is not the last one");
    let twice = {
        // A second signature over the first one, made with the same key.
        let tail = &signed[plain.len()..];
        let mut inner = plain.clone();
        inner.extend_from_slice(tail);
        inner.extend_from_slice(&component("pad")[8..]);
        let outer = layout(&inner);
        assert!(outer.signature.is_none());
        assert!(sign(&inner, &rig.key).is_err(), "not the last one");
        [&signed[..], tail].concat()
    };
    assert!(try_in(&rig, &mut store, &twice).is_err());
    refused(
        try_in(&rig, &mut store, &[&signed[..], b"\0"].concat()),
        "no WebAssembly component",
    );

    // A section of the name that is too short for a signature is none, and no unsigned file either.
    let mut short = plain.clone();
    short.extend_from_slice(&[0, 20, 15]);
    short.extend_from_slice(SIGNATURE_SECTION.as_bytes());
    short.extend_from_slice(b"abcd");
    let unsigned = Installation {
        unsigned: true,
        ..rig.how()
    };
    let result = store.install(&short, &unsigned, &mut Reader::default(), &by("ina"));
    refused(result, "not in the one form");
}

#[test]
fn the_right_signature_of_another_version_does_not_fit() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.signed("acme/pick 1.0.0");
    let two = component("acme/pick 2.0.0");
    let moved = [&two[..], &one[two.len()..]].concat();
    refused(
        try_in(&rig, &mut store, &moved),
        "changed after it was signed",
    );
}

#[test]
fn the_trust_file_says_whose_signature_counts_and_when() {
    let rig = Rig::new();
    let mut store = rig.open();
    let key = rig.key.public();
    let artifact = rig.signed("acme/pick 1.0.0");
    let digest = sinew_skill_store::Digest::of(&artifact);
    let mut with = |trust: String, today: Date| {
        let trust = Trust::from_toml_str(&trust, "trust.toml").unwrap();
        let how = Installation {
            trust: &trust,
            today,
            ..rig.how()
        };
        let mut reader = Reader::default();
        store
            .install(&artifact, &how, &mut reader, &by("ina"))
            .map(|_| ())
    };
    let day = |month, day| Date {
        year: 2026,
        month,
        day,
    };
    refused(
        with(String::new(), TODAY),
        "which the trust file trust.toml does not name",
    );
    let other = format!("[[publishers.zeta.keys]]\nkey = \"{key}\"");
    refused(
        with(other, TODAY),
        "which is a key of zeta, and not of `acme`",
    );
    let revoked =
        format!("[[publishers.acme.keys]]\nkey = \"{key}\"\nrevoked = \"laptop\\nstolen\"");
    refused(with(revoked, TODAY), "which is revoked: laptop stolen");
    let bad = format!("[[revoked]]\ndigest = \"{digest}\"\nwhy = \"drops parts\"");
    refused(with(bad, TODAY), "is revoked: drops parts");
    let valid =
        format!("[[publishers.acme.keys]]\nkey = \"{key}\"\nfrom = 2026-03-01\nuntil = 2026-09-30");
    refused(
        with(valid.clone(), day(2, 28)),
        "valid from 2026-03-01 until 2026-09-30; today is 2026-02-28",
    );
    refused(with(valid.clone(), day(10, 1)), "today is 2026-10-01");
    with(valid.clone(), day(3, 1)).unwrap();
    with(valid, day(9, 30)).unwrap();
}

#[test]
fn a_trust_file_is_checked() {
    let key = SecretKey::generate().unwrap().public();
    for (text, expected) in [
        (
            "[[publishers.acme.keys]]\nkey = \"ed25519:12\"".to_owned(),
            "publishers.acme.keys[0]: `ed25519:12` is no public key",
        ),
        (
            format!("[[publishers.Acme.keys]]\nkey = \"{key}\""),
            "lower-case letters",
        ),
        (
            format!("[[publishers.acme.keys]]\nkey = \"{key}\"\nfrom = 2026-01-01T00:00:00Z"),
            "is no day",
        ),
        (
            format!(
                "[[publishers.acme.keys]]\nkey = \"{key}\"\nfrom = 2027-01-01\nuntil = 2026-01-01"
            ),
            "is no time",
        ),
        (
            format!(
                "[[publishers.acme.keys]]\nkey = \"{key}\"\n[[publishers.zeta.keys]]\nkey = \"{key}\""
            ),
            "stands under `acme` already",
        ),
        (
            "[[revoked]]\ndigest = \"12\"\nwhy = \"x\"".to_owned(),
            "revoked[0].digest: `12` is no digest",
        ),
        ("[[revokd]]".to_owned(), "unknown field `revokd`"),
    ] {
        let error = Trust::from_toml_str(&text, "trust.toml")
            .expect_err(expected)
            .to_string();
        assert!(
            error.contains("trust.toml") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn what_nobody_signed_comes_in_for_development_only() {
    let rig = Rig::new();
    let mut store = rig.open();
    let artifact = component("lab/try 0.1.0");
    refused(
        try_in(&rig, &mut store, &artifact),
        "sinew skill sign pick.wasm",
    );
    let unsigned = Installation {
        unsigned: true,
        ..rig.how()
    };
    let mut install = |text: &str| {
        store.install(
            &component(text),
            &unsigned,
            &mut Reader::default(),
            &by("ina"),
        )
    };
    let held = install("lab/try 0.1.0").unwrap().held;
    assert_eq!(held.signer, None);
    refused(
        install("acme/pick 9.0.0"),
        "has keys of its publisher `acme`",
    );
    // Whoever develops builds a version many times.
    install("lab/try 0.1.0 ").unwrap();
    assert_eq!(store.all().unwrap().len(), 2);
    assert_eq!(
        store.history(None).unwrap()[0].reason,
        "UNSIGNED, for development"
    );
}

#[test]
fn a_version_is_one_file_for_ever() {
    let rig = Rig::new();
    let mut store = rig.open();
    let one = rig.pick(&mut store, "1.0.0");
    refused(
        rig.install(&mut store, "acme/pick 1.0.0 "),
        "1.0.0 is here already, with other contents",
    );
    store.remove(&one, false, &by("ben")).unwrap();
    refused(
        rig.install(&mut store, "acme/pick 1.0.0 "),
        "1.0.0 was here before, with other contents",
    );
}

#[test]
fn what_was_tried_without_a_signature_takes_no_version_from_who_signs() {
    let rig = Rig::new();
    let mut store = rig.open();
    let unsigned = Installation {
        trust: &Trust::default(),
        unsigned: true,
        ..rig.how()
    };
    let tried = store.install(
        &component("acme/pick 1.0.0"),
        &unsigned,
        &mut Reader::default(),
        &by("ina"),
    );
    store
        .remove(&tried.unwrap().held, false, &by("ben"))
        .unwrap();
    rig.pick(&mut store, "1.0.0");
}

#[test]
fn size_and_inside_are_checked() {
    let rig = Rig::new();
    let mut store = rig.open();
    let how = Installation {
        most_bytes: 20,
        ..rig.how()
    };
    let artifact = rig.signed("acme/pick 1.0.0");
    let result = store.install(&artifact, &how, &mut Reader::default(), &by("ina"));
    refused(result, "20 are allowed");
    refused(rig.install(&mut store, "acme/pick one"), "pick.wasm: ");
    let error = refused(
        try_in(&rig, &mut store, b"#!/bin/sh"),
        "no WebAssembly component",
    );
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    refused(try_in(&rig, &mut store, b""), "no WebAssembly component");
}

#[test]
fn keys_are_kept_from_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acme.key");
    let key = SecretKey::generate().unwrap();
    key.write(&path).unwrap();
    assert_eq!(SecretKey::read(&path).unwrap().public(), key.public());
    assert!(key.write(&path).unwrap_err().to_string().contains("exists"));
    let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o640);
    let error = SecretKey::read(&path).err().unwrap().to_string();
    assert!(
        error.contains("can be read by others (mode 640)"),
        "{error}"
    );
    mode(0o600);
    for wrong in ["", "hello", "sinew-secret-key-v1:12", "\u{fffd}"] {
        std::fs::write(&path, wrong).unwrap();
        let error = SecretKey::read(&path).err().unwrap().to_string();
        assert!(error.contains("holds no secret key"), "{error}");
    }
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(SecretKey::read(&path).is_err());
    let public = key.public();
    assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
    // A point of small order signs everything.
    let weak: PublicKey = format!("ed25519:01{}", "0".repeat(62)).parse().unwrap();
    let mut artifact = component("acme/pick 1.0.0");
    artifact.extend_from_slice(&[0, 112, 15]);
    artifact.extend_from_slice(SIGNATURE_SECTION.as_bytes());
    let mut body = [0; 96];
    body[0] = 1;
    artifact.extend_from_slice(&body);
    let found = layout(&artifact);
    assert_eq!(found.signature.map(|(key, _)| key), Some(weak));
    assert!(found.verify().is_err());
}
