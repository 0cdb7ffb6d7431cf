//! What this process is made of.

use serde_json::{Value, json};

use crate::live::Live;

/// The commit, where whoever built it said so.
const COMMIT: Option<&str> = option_env!("MESH_GIT_HASH");

pub(super) fn version(live: &Live) -> Value {
    let features = [
        ("admin", true),
        ("axum", cfg!(feature = "axum")),
        ("cli", cfg!(feature = "cli")),
        ("otlp", cfg!(feature = "otlp")),
        ("testing", cfg!(feature = "testing")),
        ("workload-api", cfg!(feature = "workload-api")),
    ];
    let features: Vec<_> = features.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    json!({
        "name": "mesh-tower",
        "version": env!("CARGO_PKG_VERSION"),
        "features": features,
        "rustc": env!("MESH_RUSTC"),
        "commit": COMMIT.filter(|commit| !commit.is_empty()),
        "process": name(live),
    })
}

/// The name of this process among others: namespace and account.
pub(super) fn name(live: &Live) -> Option<String> {
    let site = &live.compiled()?.site;
    Some(format!("{}/{}", site.namespace, site.service_account.as_deref().unwrap_or("default")))
}
