//! Any bytes at all: `analyze` does not panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_config_fuzz::analyze(bytes));
