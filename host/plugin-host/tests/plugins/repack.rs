//! Plugins with another manifest than they came with.

use serde_json::Value;

const SECTION: &str = "sinew:manifest";

/// A component with other manifest sections than it came with.
pub(crate) fn repack(artifact: &[u8], manifests: &[Value]) -> Vec<u8> {
    let name = SECTION.as_bytes();
    let contents = artifact
        .windows(name.len())
        .rposition(|window| window == name)
        .unwrap()
        - 1;
    let size = artifact.len() - contents;
    let size_bytes = (1..).find(|n| size >> (7 * n) == 0).unwrap();
    let bytes = artifact[..contents - size_bytes - 1].to_vec();
    manifests.iter().fold(bytes, append)
}

/// A component with a manifest at its end.
pub(crate) fn append(mut component: Vec<u8>, manifest: &Value) -> Vec<u8> {
    use wasm_encoder::{ComponentSection as _, CustomSection};
    let data = manifest.to_string();
    CustomSection {
        name: SECTION.into(),
        data: data.as_bytes().into(),
    }
    .append_to_component(&mut component);
    component
}

/// The manifest that an artifact came with.
pub(crate) fn manifest(artifact: &[u8]) -> Value {
    let name = SECTION.as_bytes();
    let at = artifact
        .windows(name.len())
        .rposition(|window| window == name)
        .unwrap();
    serde_json::from_slice(&artifact[at + name.len()..]).unwrap()
}
