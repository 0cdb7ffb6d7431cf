//! Any bytes as the name of a workload: it is one identity or none.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_core_fuzz::spiffe_id(bytes));
