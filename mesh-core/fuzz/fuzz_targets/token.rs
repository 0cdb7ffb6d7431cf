//! Any bytes as a token, and as the headers and query that may hold one: it is taken or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_core_fuzz::token(bytes));
