//! Clusters, their endpoints and limits as they are now.

use std::sync::Arc;

use mesh_core::cluster::TlsSpec;
use mesh_core::cluster::endpoint::EndpointState;
use serde_json::{Value, json};

use crate::cluster::ClusterHandle;
use crate::live::Live;

/// The clusters whose names have the text.
fn picked<'l>(live: &'l Live, text: &'l str) -> impl Iterator<Item = &'l Arc<ClusterHandle>> {
    live.clusters().iter().filter(move |cluster| cluster.spec().name.contains(text))
}

pub(super) fn endpoints(live: &Live, host: &str) -> Value {
    picked(live, host).map(|cluster| of_cluster(cluster)).collect()
}

fn of_cluster(cluster: &ClusterHandle) -> Value {
    let spec = cluster.spec();
    let endpoints: Vec<_> = cluster.endpoints_now().iter().map(|endpoint| of_endpoint(cluster, endpoint)).collect();
    let gauges = cluster.gauges();
    json!({
        "cluster": spec.name,
        "external": spec.is_external,
        "tls": match spec.tls {
            TlsSpec::Plaintext => "plaintext",
            TlsSpec::Auto(_) => "auto",
            _ => "always",
        },
        "endpoints": endpoints,
        "ejections": gauges.ejections,
        "ejections_refused": gauges.ejections_refused,
    })
}

fn of_endpoint(cluster: &ClusterHandle, endpoint: &EndpointState) -> Value {
    let spec = endpoint.spec();
    let ejected_for = cluster.ejected_for(endpoint).map(|left| left.as_secs_f64().ceil());
    json!({
        "address": endpoint.address().to_string(),
        "health": if endpoint.is_ejected() { "ejected" } else { "ok" },
        "ejected_for_seconds": ejected_for,
        "active": endpoint.active(),
        "weight": spec.weight,
        "locality": spec.locality.to_string(),
        "labels": spec.labels,
        "tls": cluster.tls(endpoint, false).is_some(),
    })
}

pub(super) fn limits(live: &Live, host: &str) -> Value {
    picked(live, host).map(|cluster| limits_of(cluster)).collect()
}

fn limits_of(cluster: &ClusterHandle) -> Value {
    let (gauges, limits) = (cluster.gauges(), cluster.spec().limits);
    let line = |used: u32, most: u32, refused: u64| {
        let most = Some(most).filter(|most| *most < u32::MAX);
        json!({ "used": used, "most": most, "refused": refused })
    };
    json!({
        "cluster": gauges.name,
        "connections": line(gauges.connections, limits.connections, gauges.refused.connections),
        "pending_requests":
            line(gauges.pending_requests, limits.pending_requests, gauges.refused.pending_requests),
        "requests": line(gauges.requests, limits.requests, gauges.refused.requests),
        "retries": line(gauges.retries, limits.retries, gauges.refused.retries),
        "retry_budget": cluster.budget().is_limited().then(|| cluster.budget().to_string()),
        "skipped_retries": gauges.skipped_retries,
    })
}
