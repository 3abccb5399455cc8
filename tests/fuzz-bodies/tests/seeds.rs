//! Every body over its seeds, over what is near them, and over what once was a finding. A search for more is `cargo fuzz`.

use std::fs;
use std::path::Path;

use sinew_fuzz_bodies::seeds;
use sinew_fuzz_bodies::{guest, raw};

/// Inputs near a seed.
const NEAR: u64 = 12;

fn check(target: &str) {
    let (_, body) = (seeds::BODIES.iter())
        .find(|(name, _)| *name == target)
        .expect("it is a target");
    let seeds = seeds::of(target);
    assert!(!seeds.is_empty());
    for seed in &seeds {
        body(seed);
        (0..NEAR).for_each(|number| body(&seeds::changed(seed, number)));
    }
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("found")
        .join(target);
    for entry in fs::read_dir(found).into_iter().flatten().flatten() {
        body(&fs::read(entry.path()).expect("it is a file"));
    }
}

#[test]
fn signature() {
    check("signature");
}

#[test]
fn manifest() {
    check("manifest");
}

#[test]
fn trust_and_grants() {
    check("trust_and_grants");
}

#[test]
fn install() {
    check("install");
}

#[test]
fn wit_boundary() {
    check("wit_boundary");
}

#[test]
fn a_module_of_any_kind_is_a_guest_or_none() {
    for (number, world) in ["skill", "recovery"].into_iter().enumerate() {
        let events = seeds::drawn(number as u64, 6);
        assert!(guest(world, &events, &raw::shape(world)));
        assert!(!guest(world, &events, b"\0asm\x01\0\0\0"));
        guest(world, &events, b"no module");
    }
}

/// What is fuzzed is what has a body, and the other way round.
#[test]
fn every_target_has_its_body() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/targets");
    let mut found: Vec<String> = fs::read_dir(targets)
        .expect("the targets are there")
        .flatten()
        .map(|entry| {
            entry
                .path()
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    found.sort();
    let mut known = seeds::BODIES.map(|(target, _)| target.to_owned()).to_vec();
    known.push("guest".to_owned());
    known.sort();
    assert_eq!(found, known);
}
