//! Calls that a guest makes, with arguments that no toolchain would write.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sinew_fuzz_bodies::wit_boundary(bytes));
