//! Any bytes as the head of a request: it is refused, or has one host and nothing of its connection.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_core_fuzz::head(bytes));
