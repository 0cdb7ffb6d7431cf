//! What has to hold for every request and every policy: of paths, of authorization, of headers.
//!
//! `MESH_PROPERTIES` says how many inputs each property is asked about (some thousands by default, so that every change
//! pays for them), `MESH_PROPERTY_SEED` where the random ones of loops begin. What is promised is shown by
//!
//! ```sh
//! MESH_PROPERTIES=1000000 cargo test --release -p mesh-core --test properties
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod exceptions;
mod header_bytes;
mod identities;
mod paths;
mod restrictions;
mod world;

use std::env;

use proptest::prelude::ProptestConfig;

/// A number of the environment.
fn number<N: std::str::FromStr>(name: &str, default: N) -> N {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// So many inputs, unless the environment says otherwise.
fn cases(default: u32) -> ProptestConfig {
    let cases = number("MESH_PROPERTIES", default);
    // What is left out by an assumption is not counted, and may be most of it.
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_global_rejects: cases.saturating_mul(8),
        ..Default::default()
    }
}
