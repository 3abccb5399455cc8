//! The bytes of a plugin: one component with exactly one manifest section.

use wasmparser::{Encoding, Parser, Payload};

use crate::errors::LoadError;
use crate::manifest::Manifest;

/// Name of the custom section that holds the manifest's JSON.
pub const MANIFEST_SECTION: &str = "sinew:manifest";

/// What a component says about itself, without compiling it.
///
/// # Errors
/// It is no component, has no manifest or several, or the manifest is wrong.
pub fn read_manifest(bytes: &[u8], origin: &str) -> Result<Manifest, LoadError> {
    let manifest = manifest_section(bytes, origin)?;
    Manifest::from_json(&manifest).map_err(|source| LoadError::Manifest {
        origin: origin.to_owned(),
        source,
    })
}

/// Finds the manifest of a component, looking at the top level only.
pub(crate) fn manifest_section(bytes: &[u8], origin: &str) -> Result<Vec<u8>, LoadError> {
    let not_a_component = |reason: String| LoadError::NotAComponent {
        origin: origin.to_owned(),
        reason,
    };
    if !bytes.starts_with(b"\0asm") {
        return Err(not_a_component(
            "it does not start with the bytes that every WebAssembly file starts with".to_owned(),
        ));
    }
    let mut found = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| not_a_component(error.to_string()))? {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding != Encoding::Component {
                    return Err(not_a_component(
                        "it is a core WebAssembly module; build it for wasm32-wasip2".to_owned(),
                    ));
                }
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 1 && section.name() == MANIFEST_SECTION => {
                found.push(section.data().to_vec());
            }
            _ => {}
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => Err(LoadError::ManifestSections {
            origin: origin.to_owned(),
            count,
        }),
    }
}
