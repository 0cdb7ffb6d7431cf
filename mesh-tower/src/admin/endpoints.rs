//! Clusters, their endpoints and limits as they are now.

use std::sync::Arc;

use mesh_core::cluster::TlsSpec;
use mesh_core::cluster::endpoint::EndpointState;
use serde_json::{Value, json};

use super::rates::of_sum;
use crate::cluster::ClusterHandle;
use crate::live::Live;
use crate::telemetry::{Edge, Seen};

/// The clusters whose names have the text.
fn picked<'l>(live: &'l Live, text: &'l str) -> impl Iterator<Item = &'l Arc<ClusterHandle>> {
    live.clusters().iter().filter(move |cluster| cluster.spec().name.contains(text))
}

pub(super) fn endpoints(live: &Live, seen: &Seen, host: &str) -> Value {
    picked(live, host).map(|cluster| of_cluster(cluster, seen)).collect()
}

/// Whether the policy is TLS.
pub(super) fn policy(cluster: &ClusterHandle) -> &'static str {
    match cluster.spec().tls {
        TlsSpec::Plaintext => "plaintext",
        TlsSpec::Auto(_) => "auto",
        _ => "always",
    }
}

fn of_cluster(cluster: &ClusterHandle, seen: &Seen) -> Value {
    let spec = cluster.spec();
    let rates = |endpoint: Option<String>| {
        let edge = Edge { cluster: spec.name.clone(), endpoint: endpoint.map(Into::into) };
        seen.edges.rows.get(&edge).cloned().unwrap_or_default()
    };
    let mut all = rates(None);
    let mut endpoints = Vec::new();
    for endpoint in cluster.endpoints_now() {
        let sum = rates(Some(endpoint.address().to_string()));
        all = all.with(&sum);
        endpoints.push(of_endpoint(cluster, &endpoint, &of_sum(seen, &sum)));
    }
    let gauges = cluster.gauges();
    json!({
        "cluster": spec.name,
        "external": spec.is_external,
        "tls": policy(cluster),
        "rates": of_sum(seen, &all),
        "endpoints": endpoints,
        "ejections": gauges.ejections,
        "ejections_refused": gauges.ejections_refused,
    })
}

fn of_endpoint(cluster: &ClusterHandle, endpoint: &EndpointState, rates: &Value) -> Value {
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
        "rates": rates,
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
