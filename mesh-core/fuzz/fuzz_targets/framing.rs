//! Any bytes as requests of HTTP/1.1: how they are cut makes no difference.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_core_fuzz::framing(bytes));
