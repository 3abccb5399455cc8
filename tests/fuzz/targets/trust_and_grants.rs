//! The files that an operator writes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sinew_fuzz_bodies::trust_and_grants(bytes));
