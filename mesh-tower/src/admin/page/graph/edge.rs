//! What goes between this process and one neighbour.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::markup::list;
use super::super::names;

/// A cluster, or who calls.
#[derive(Debug, Default)]
pub(super) struct Edge {
    /// As markup.
    pub(super) name: String,
    pub(super) requests: u64,
    rps: f64,
    /// Of the requests to the same host and port.
    pub(super) share: Option<f64>,
    /// What of its requests failed, from 0 to 1.
    pub(super) errors: f64,
    /// That of the slowest endpoint.
    p95_ms: Option<f64>,
    pub(super) is_plaintext: bool,
    /// As markup.
    pub(super) note: Option<String>,
}

impl Edge {
    fn add(&mut self, rates: &Value) {
        let requests = rates["requests"].as_u64().unwrap_or_default();
        let failed =
            self.errors * weight(self.requests) + rates["error_share"].as_f64().unwrap_or_default() * weight(requests);
        self.requests += requests;
        self.errors = if self.requests == 0 { 0.0 } else { failed / weight(self.requests) };
        self.rps += rates["rps"].as_f64().unwrap_or_default();
        if let Some(share) = rates["share"].as_f64() {
            self.share = Some(self.share.unwrap_or_default() + share);
        }
        if let Some(p95) = rates["p95_ms"].as_f64() {
            self.p95_ms = Some(self.p95_ms.map_or(p95, |known| known.max(p95)));
        }
    }

    /// In the form of everything that has figures.
    pub(super) fn rates(&self) -> Value {
        json!({ "requests": self.requests, "rps": self.rps, "p95_ms": self.p95_ms })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
fn weight(requests: u64) -> f64 {
    requests as f64
}

/// The clusters that are called or may be, the busiest first.
pub(super) fn called(graph: &Value, clusters: &Value) -> Vec<Edge> {
    let mut edges: BTreeMap<&str, Edge> = BTreeMap::new();
    for cluster in list(clusters) {
        let endpoints = list(&cluster["endpoints"]);
        if !endpoints.is_empty() {
            let is_plaintext = endpoints.iter().any(|endpoint| endpoint["tls"] == false);
            let edge = Edge { is_plaintext, note: note(endpoints), ..Edge::default() };
            edges.insert(cluster["cluster"].as_str().unwrap_or_default(), edge);
        }
    }
    for rates in list(&graph["edges"]) {
        let edge = edges.entry(rates["cluster"].as_str().unwrap_or_default()).or_default();
        edge.add(rates);
        edge.is_plaintext |= rates["tls"] == false;
    }
    let named = edges.into_iter().map(|(name, edge)| Edge { name: names::cluster(name), ..edge });
    sorted(named.collect())
}

fn note(endpoints: &[Value]) -> Option<String> {
    match endpoints.iter().filter(|endpoint| endpoint["health"] == "ejected").count() {
        0 => None,
        out => Some(format!("<span class=\"bad\">{out} of {} ejected</span>", endpoints.len())),
    }
}

/// Who calls this process, the busiest first.
pub(super) fn callers(graph: &Value) -> Vec<Edge> {
    let edge = |rates: &Value| {
        let mut edge = Edge { name: names::caller(rates), is_plaintext: rates["tls"] == false, ..Edge::default() };
        edge.add(rates);
        edge
    };
    sorted(list(&graph["callers"]).iter().map(edge).collect())
}

/// Stable, so that rows without requests do not change their places.
fn sorted(mut edges: Vec<Edge>) -> Vec<Edge> {
    edges.sort_by_key(|edge| std::cmp::Reverse(edge.requests > 0));
    edges
}
