//! Guests out of core modules that wasm-smith makes: all that the host has to import, and all that it has to export, around
//! arbitrary code.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use sinew_fuzz_bodies::raw::shape;
use wasm_smith::{Config, Module};

const WORLDS: [&str; 2] = ["skill", "recovery"];
/// Bytes that say what happens around the guest.
const EVENTS_BYTES: usize = 6;

/// What a module of a world may import, and what it has to export: it imports some, so that there is less to compile.
fn shapes() -> &'static [Vec<u8>; 2] {
    static SHAPES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    SHAPES.get_or_init(|| WORLDS.map(shape))
}

fn module(world: usize, bytes: &[u8]) -> Result<Vec<u8>> {
    let shape = &shapes()[world];
    let config = Config {
        available_imports: Some(shape.clone()),
        exports: Some(shape.clone()),
        // What is compiled for each import is most of the work.
        max_imports: 8,
        max_funcs: 6,
        max_instructions: 120,
        max_memories: 1,
        max_memory32_bytes: 4 << 20,
        memory64_enabled: false,
        shared_everything_threads_enabled: false,
        threads_enabled: false,
        gc_enabled: false,
        exceptions_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        custom_descriptors_enabled: false,
        relaxed_simd_enabled: false,
        ..Config::default()
    };
    Module::new(config, &mut Unstructured::new(bytes)).map(|module| module.to_bytes())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let (events, rest) = rest.split_at(rest.len().min(EVENTS_BYTES));
    let world = usize::from(first % 2);
    if let Ok(module) = module(world, rest) {
        sinew_fuzz_bodies::guest(WORLDS[world], events, &module);
    }
});
