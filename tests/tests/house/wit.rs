//! The WIT package: what was released stays as it is, and the host has all of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use sinew_runtime::kit::{Kit, PluginFile};
use sinew_runtime::{Choice, Sources};
use sinew_tests::raw::{WIT, imports_everything, with_manifest};

/// Every file of the released versions and its SHA-256. A version that was released is never edited: what is new goes into a
/// folder of its own beside it.
const RELEASED: [(&str, &str); 12] = [
    (
        "0.1/clock.wit",
        "0e7ef9071e84d4e43578ff054e3abd9ae49d2cb777893760d010e2918d2b695d",
    ),
    (
        "0.1/events.wit",
        "2b4b5ad11bfbcf432f6a38d0e0aef984cf48f6c8d48c6a31611e3d98e9a85501",
    ),
    (
        "0.1/files.wit",
        "141f639f32f8c30e995a343ba04bd08b3f3d9236e7f0b8a8897613fc5e2e03c2",
    ),
    (
        "0.1/gripper.wit",
        "6e600fa1be263736f906b8333330d1c09ea399298c9c3caf9cfbc1e71211c626",
    ),
    (
        "0.1/lifecycle.wit",
        "da289d174c917dfae1a497b4fd9709c9ce60921e6b817002aea844e966f15b85",
    ),
    (
        "0.1/memory.wit",
        "6d3b653098bd2fee41fda67a1705e8d0423cdf1cf1f3a5dc9df5cb5f4ee341f8",
    ),
    (
        "0.1/motion.wit",
        "a81a1507c91817bc07fd5e2843fb6f29229256081e26f98d49d962315fcf2f80",
    ),
    (
        "0.1/operator.wit",
        "11b981769385e8fa16391d69e0af2e664ff6ac1f7ada8d6362b60e1883afae54",
    ),
    (
        "0.1/plugin.wit",
        "e1d1c0eb8cef8a7cc7b2c13b6982760452d2d98e107d86727358e974ed30f92d",
    ),
    (
        "0.1/policy.wit",
        "3d2a7abc2c03067b6c45a0f9bc056e6555b801aadf7f82d5bcf0121be03a3375",
    ),
    (
        "0.1/types.wit",
        "d1a2096ce1b2fd25714a7d1eeaa9a444a512146e0e7e16e47e4b1561baf4eb15",
    ),
    (
        "0.1/world.wit",
        "0cc54b55c035752e318b5832906823b328c19b72f2a5a46caa47b065533c66e9",
    ),
];

#[test]
fn what_was_released_is_byte_for_byte_what_it_was() {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(Path::new(WIT)).expect("the package is there") {
        let path = entry.expect("it can be read").path();
        let bytes = std::fs::read(&path).expect("it can be read");
        let digest = Sha256::digest(&bytes);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        found.insert(format!("0.1/{name}"), hex);
    }
    let released: BTreeMap<String, String> = (RELEASED.iter())
        .map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned()))
        .collect();
    assert_eq!(found, released);
}

const INTERFACES: [&str; 11] = [
    "clock",
    "events",
    "files",
    "gripper",
    "lifecycle",
    "log",
    "memory",
    "motion",
    "operator",
    "policy",
    "world",
];

/// A component that imports every function there is, with the types of the package, is linked: the host has them all, with these
/// types.
#[test]
fn the_host_has_every_function_with_its_types() {
    for (kind, handles) in [("skill", vec![]), ("recovery", vec!["dropped"])] {
        let manifest = json!({
            "name": "test/everything", "version": "0.1.0", "kind": kind, "wit": "0.1.0", "summary": "imports everything",
            "params_schema": true, "result_schema": true, "handles": handles,
            "imports": INTERFACES.map(|name| json!({"interface": name, "why": "all of it"})),
        });
        let folder = tempfile::tempdir().expect("a folder");
        let grants = folder.path().join("grants.toml");
        let text = format!("[plugins.\"test/everything\"]\ninterfaces = {INTERFACES:?}\n");
        std::fs::write(&grants, text).expect("there is room");
        let sources = Sources {
            default_grants: sinew_skill_artifacts::GRANTS.into(),
            grants: Some(grants),
            backend: Choice::Embedded,
            ..Sources::default()
        };
        let plugin = PluginFile {
            origin: format!("{kind}.wasm"),
            bytes: with_manifest(imports_everything(kind), &manifest),
            built_in: false,
        };
        let loaded = Kit::load(&sources, &[plugin]);
        assert!(
            loaded.is_ok(),
            "{kind}: {:#}",
            loaded.err().expect("it is none")
        );
    }
}
