//! Any bytes as a path: a safe mesh has one form of it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_core_fuzz::path(bytes));
