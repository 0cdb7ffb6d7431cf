//! Any bytes at all: `parse` does not panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_config_fuzz::parse(bytes));
