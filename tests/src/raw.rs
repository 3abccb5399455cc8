//! Plugins made by hand: a core module, wrapped into a component by the WIT package and given a manifest. A toolchain would
//! never write what these do.

use std::path::Path;

use serde_json::Value;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

/// Folder of the WIT package that plugins are built against.
pub const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/0.1");

/// A component of a world (`skill`, `recovery`) around a core module.
///
/// # Panics
/// If the module does not fit the world.
#[must_use]
pub fn component(world: &str, module: &[u8]) -> Vec<u8> {
    let (resolve, world) = resolved(world);
    wrapped(&resolve, world, module.to_vec())
}

/// A component that imports everything that a world has, and traps in every export.
///
/// # Panics
/// If there is no such world.
#[must_use]
pub fn imports_everything(world: &str) -> Vec<u8> {
    let (resolve, world) = resolved(world);
    let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    let module = dummy_module(&resolve, world, abi);
    wrapped(&resolve, world, module)
}

/// A component with a manifest at its end.
#[must_use]
pub fn with_manifest(mut component: Vec<u8>, manifest: &Value) -> Vec<u8> {
    let data = manifest.to_string();
    CustomSection {
        name: "sinew:manifest".into(),
        data: data.as_bytes().into(),
    }
    .append_to_component(&mut component);
    component
}

fn resolved(world: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let (package, _) = (resolve.push_dir(Path::new(WIT))).expect("the package is sound");
    let world = (resolve.select_world(&[package], Some(world))).expect("it has this world");
    (resolve, world)
}

fn wrapped(resolve: &Resolve, world: WorldId, mut module: Vec<u8>) -> Vec<u8> {
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)
        .expect("a module takes a section");
    ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .expect("the module fits the world")
}
