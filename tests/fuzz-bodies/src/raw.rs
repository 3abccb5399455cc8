//! Plugins made by hand: a core module, wrapped into a component by the WIT package and given a manifest. A toolchain would
//! never write what these do.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;
use sinew_plugin_host::MANIFEST_SECTION;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, PackageId, Resolve, WorldId};

/// Folder of the WIT package that plugins are built against.
pub const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/0.1");

/// A component of a world (`skill`, `recovery`) around a core module.
///
/// # Panics
/// If the module does not fit the world.
#[must_use]
pub fn component(world: &str, module: &[u8]) -> Vec<u8> {
    try_component(world, module).expect("the module fits the world")
}

/// A component of a world around a core module.
///
/// # Errors
/// Why the module does not fit the world.
pub fn try_component(world: &str, module: &[u8]) -> Result<Vec<u8>, String> {
    let (resolve, world) = resolved(world);
    wrapped(resolve, world, module.to_vec())
}

/// A core module with every import and export of a world: the shape that [`component`] takes.
#[must_use]
pub fn shape(world: &str) -> Vec<u8> {
    let (resolve, world) = resolved(world);
    let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    dummy_module(resolve, world, abi)
}

/// A component that imports everything that a world has, and traps in every export.
///
/// # Panics
/// If there is no such world.
#[must_use]
pub fn imports_everything(world: &str) -> Vec<u8> {
    component(world, &shape(world))
}

/// A component with a manifest at its end.
#[must_use]
pub fn with_manifest(component: Vec<u8>, manifest: &Value) -> Vec<u8> {
    with_manifest_of(component, manifest.to_string().as_bytes())
}

/// A component with these bytes where its manifest has to be.
pub(crate) fn with_manifest_of(mut component: Vec<u8>, text: &[u8]) -> Vec<u8> {
    CustomSection {
        name: MANIFEST_SECTION.into(),
        data: text.into(),
    }
    .append_to_component(&mut component);
    component
}

/// A world of the package, which is read once.
pub(crate) fn resolved(world: &str) -> (&'static Resolve, WorldId) {
    static PACKAGE: OnceLock<(Resolve, PackageId)> = OnceLock::new();
    let (resolve, package) = PACKAGE.get_or_init(|| {
        let mut resolve = Resolve::default();
        let (package, _) = (resolve.push_dir(Path::new(WIT))).expect("the package is sound");
        (resolve, package)
    });
    let world = (resolve.select_world(&[*package], Some(world))).expect("it has this world");
    (resolve, world)
}

fn wrapped(resolve: &Resolve, world: WorldId, mut module: Vec<u8>) -> Result<Vec<u8>, String> {
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)
        .and_then(|()| ComponentEncoder::default().module(&module))
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| format!("{error:#}"))
}
