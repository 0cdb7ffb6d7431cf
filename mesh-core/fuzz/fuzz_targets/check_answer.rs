//! Any bytes as what a service says of a request: it is an answer or none.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_core_fuzz::check_answer(bytes));
