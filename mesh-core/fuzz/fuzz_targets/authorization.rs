//! Any policy and any request: a second, naive reading decides the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_core_fuzz::authorization(bytes));
