//! The bytes of a plugin: one component with exactly one manifest section.

use wasmparser::{Chunk, Encoding, Parser, Payload};

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

/// Components within components, at most: toolchains make two or three. Whoever compiles keeps what it knows of each level for
/// every level below, so that a few kilobytes of them take gigabytes.
const NESTED_MAX: u32 = 100;

/// Looks into a component that lies that deep in another one.
fn check_nesting(bytes: &[u8], depth: u32) -> Result<(), String> {
    if depth > NESTED_MAX {
        return Err(format!(
            "there are more than {NESTED_MAX} components in one another"
        ));
    }
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    loop {
        let chunk = parser
            .parse(rest, true)
            .map_err(|error| error.to_string())?;
        let Chunk::Parsed { consumed, payload } = chunk else {
            return Err("it ends too early".to_owned());
        };
        rest = &rest[consumed..];
        let inside = match &payload {
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => unchecked_range.len(),
            Payload::End(_) => return Ok(()),
            _ => continue,
        };
        let (inside, behind) = (rest.split_at_checked(inside)).ok_or("it ends too early")?;
        if matches!(payload, Payload::ComponentSection { .. }) {
            check_nesting(inside, depth + 1)?;
        }
        rest = behind;
    }
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
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    loop {
        let chunk =
            (parser.parse(rest, true)).map_err(|error| not_a_component(error.to_string()))?;
        let Chunk::Parsed { consumed, payload } = chunk else {
            return Err(not_a_component("it ends too early".to_owned()));
        };
        rest = &rest[consumed..];
        match payload {
            Payload::Version { encoding, .. } if encoding != Encoding::Component => {
                return Err(not_a_component(
                    "it is a core WebAssembly module; build it for wasm32-wasip2".to_owned(),
                ));
            }
            // What is inside of it is another's business, and most of the bytes.
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                rest = (rest.get(unchecked_range.len()..))
                    .ok_or_else(|| not_a_component("it ends too early".to_owned()))?;
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } => {
                let (inside, behind) = (rest.split_at_checked(unchecked_range.len()))
                    .ok_or_else(|| not_a_component("it ends too early".to_owned()))?;
                check_nesting(inside, 1).map_err(not_a_component)?;
                rest = behind;
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                found.push(section.data().to_vec());
            }
            Payload::End(_) => break,
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
