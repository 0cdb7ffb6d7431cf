//! Any bytes as the first ones of a connection: what is decided about them stays decided.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_core_fuzz::opening(bytes));
