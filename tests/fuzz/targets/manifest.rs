//! What a plugin says about itself, and the schemas in it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sinew_fuzz_bodies::manifest(bytes));
