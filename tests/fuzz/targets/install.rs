//! Everything that an installation does to an artifact.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sinew_fuzz_bodies::install(bytes));
