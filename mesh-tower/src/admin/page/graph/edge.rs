//! What goes between this process and one neighbour.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value;

use super::super::markup::list;
use super::super::names;

/// A cluster, or who calls.
#[derive(Debug, Default)]
pub(super) struct Edge<'v> {
    /// As markup.
    pub(super) name: String,
    /// Figures; nothing where there was no request.
    pub(super) rates: Option<&'v Value>,
    pub(super) is_plaintext: bool,
    /// As markup.
    pub(super) note: Option<String>,
}

impl Edge<'_> {
    /// What of its requests failed, from 0 to 1.
    pub(super) fn errors(&self) -> f64 {
        self.rates.and_then(|rates| rates["error_share"].as_f64()).unwrap_or_default()
    }
}

fn with_requests(rates: &Value) -> Option<&Value> {
    rates["requests"].as_u64().filter(|requests| *requests > 0).map(|_| rates)
}

/// The clusters that are called or may be: first those with requests.
pub(super) fn called<'v>(graph: &'v Value, clusters: &'v Value) -> Vec<Edge<'v>> {
    let mut edges: BTreeMap<&str, Edge<'_>> = BTreeMap::new();
    for cluster in list(clusters) {
        let endpoints = list(&cluster["endpoints"]);
        if !endpoints.is_empty() {
            let is_plaintext = endpoints.iter().any(|endpoint| endpoint["tls"] == false);
            let edge = Edge { is_plaintext, note: note(endpoints), ..Edge::default() };
            edges.insert(cluster["cluster"].as_str().unwrap_or_default(), edge);
        }
    }
    for row in list(&graph["clusters"]) {
        let Some(rates) = with_requests(row) else { continue };
        let edge = edges.entry(row["cluster"].as_str().unwrap_or_default()).or_default();
        edge.rates = Some(rates);
        edge.is_plaintext |= row["tls"] == false;
    }
    sorted(edges.into_iter().map(|(name, edge)| Edge { name: names::cluster(name), ..edge }).collect())
}

fn note(endpoints: &[Value]) -> Option<String> {
    match endpoints.iter().filter(|endpoint| endpoint["health"] == "ejected").count() {
        0 => None,
        out => Some(format!("<span class=\"bad\">{out} of {} ejected</span>", endpoints.len())),
    }
}

/// Who calls this process.
pub(super) fn callers(graph: &Value) -> Vec<Edge<'_>> {
    let edge = |row| {
        let (name, rates) = (names::caller(row), with_requests(row));
        Edge { name, rates, is_plaintext: row["tls"] == false, note: None }
    };
    sorted(list(&graph["callers"]).iter().map(edge).collect())
}

/// Otherwise rows stay where they are, since they are looked at while figures change.
fn sorted(mut edges: Vec<Edge<'_>>) -> Vec<Edge<'_>> {
    edges.sort_by_key(|edge| Reverse(edge.rates.is_some()));
    edges
}
