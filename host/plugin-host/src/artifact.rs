//! The bytes of a plugin: one component with exactly one manifest section.

use wasm_encoder::{ComponentSection as _, CustomSection};
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

/// A plugin: the component with its manifest, JSON, at its end. What the manifest says is not looked at.
///
/// # Errors
/// It is no component, or has a manifest already.
pub fn pack(component: &[u8], origin: &str, manifest: &[u8]) -> Result<Vec<u8>, LoadError> {
    if !manifest_sections(component, origin)?.is_empty() {
        return Err(LoadError::Packed {
            origin: origin.to_owned(),
        });
    }
    let mut plugin = component.to_vec();
    CustomSection {
        name: MANIFEST_SECTION.into(),
        data: manifest.into(),
    }
    .append_to_component(&mut plugin);
    Ok(plugin)
}

/// Components within components, at most: toolchains make two or three. Whoever compiles keeps what it knows of each level for
/// every level below, so that a few kilobytes of them take gigabytes.
const NESTED_MAX: u32 = 100;

/// Finds the manifest of a component.
pub(crate) fn manifest_section(bytes: &[u8], origin: &str) -> Result<Vec<u8>, LoadError> {
    let mut found = manifest_sections(bytes, origin)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        count => Err(LoadError::ManifestSections {
            origin: origin.to_owned(),
            count,
        }),
    }
}

/// What has a manifest's name, looking at the top level only.
fn manifest_sections(bytes: &[u8], origin: &str) -> Result<Vec<Vec<u8>>, LoadError> {
    let mut found = Vec::new();
    let seen = walk(bytes, &mut |payload, inside| {
        match payload {
            Payload::Version { encoding, .. } if encoding != Encoding::Component => {
                return Err(
                    "it is a core WebAssembly module; build it for wasm32-wasip2".to_owned(),
                );
            }
            Payload::ComponentSection { .. } => check_nesting(inside, 1)?,
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                found.push(section.data().to_vec());
            }
            _ => {}
        }
        Ok(())
    });
    seen.map_err(|reason| LoadError::NotAComponent {
        origin: origin.to_owned(),
        reason,
    })?;
    Ok(found)
}

/// Looks into a component that lies that deep in another one.
fn check_nesting(bytes: &[u8], depth: u32) -> Result<(), String> {
    if depth > NESTED_MAX {
        return Err(format!(
            "there are more than {NESTED_MAX} components in one another"
        ));
    }
    walk(bytes, &mut |payload, inside| match payload {
        Payload::ComponentSection { .. } => check_nesting(inside, depth + 1),
        _ => Ok(()),
    })
}

/// Goes through what is at the top level of a component. What is inside of a module or another component, which is most of the
/// bytes, is handed over with it.
fn walk<'a>(
    bytes: &'a [u8],
    each: &mut dyn FnMut(Payload<'a>, &'a [u8]) -> Result<(), String>,
) -> Result<(), String> {
    const ENDS_EARLY: &str = "it ends too early";
    if !bytes.starts_with(b"\0asm") {
        return Err(
            "it does not start with the bytes that every WebAssembly file starts with".to_owned(),
        );
    }
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    loop {
        let chunk = (parser.parse(rest, true)).map_err(|error| error.to_string())?;
        let Chunk::Parsed { consumed, payload } = chunk else {
            return Err(ENDS_EARLY.to_owned());
        };
        rest = &rest[consumed..];
        let inside = match &payload {
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => unchecked_range.len(),
            _ => 0,
        };
        let (inside, behind) = rest.split_at_checked(inside).ok_or(ENDS_EARLY)?;
        rest = behind;
        let is_end = matches!(payload, Payload::End(_));
        each(payload, inside)?;
        if is_end {
            return Ok(());
        }
    }
}
