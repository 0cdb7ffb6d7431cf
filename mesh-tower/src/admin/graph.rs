//! This process and its neighbours: who calls it, whom it calls, and what came of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mesh_core::cluster::endpoint::EndpointState;
use serde_json::{Value, json};

use super::rates::{joined, of_sum, of_window};
use super::{endpoints, peers};
use crate::cluster::ClusterHandle;
use crate::live::Live;
use crate::telemetry::{Edge, Rows, Seen, Sum};

pub(super) fn graph(live: &Live, seen: &Seen, host: &str) -> Value {
    let of_hosts = by_host(&seen.edges);
    let places = Places::of(live);
    let mut edges: Vec<_> = seen.edges.rows.iter().filter(|(edge, _)| edge.cluster.contains(host)).collect();
    edges.sort_unstable_by_key(|(edge, _)| (&edge.cluster, &edge.endpoint));
    let mut clusters: BTreeMap<&str, Sum> = BTreeMap::new();
    for (edge, sum) in &edges {
        let known = clusters.remove(&*edge.cluster).unwrap_or_default();
        clusters.insert(&edge.cluster, known.with(sum));
    }
    let share = |cluster: &str, sum: &Sum| {
        let all = of_hosts.get(&place_of(cluster)).copied().unwrap_or_default();
        json!({ "share": (all > 0).then(|| sum.requests as f64 / all as f64) })
    };
    let of_cluster = |(name, sum): (&&str, &Sum)| {
        let known = places.cluster(name).map(|cluster| endpoints::policy(cluster));
        let of_it = joined(named(name), joined(share(name, sum), json!({ "tls": sum.is_tls, "tls_policy": known })));
        joined(of_it, of_sum(seen, sum))
    };
    let of_edge = |(edge, sum): &(&Edge, &Sum)| {
        let of_it = joined(named(&edge.cluster), share(&edge.cluster, sum));
        joined(joined(of_it, places.edge(edge, sum)), of_sum(seen, sum))
    };
    let told = json!({
        "self": itself(live),
        "callers": peers::callers(seen),
        "callers_left_out": peers::left_out(seen),
        "callers_left_out": seen.callers.others.as_ref().map(|sum| of_sum(seen, sum)),
        "clusters": clusters.iter().map(of_cluster).collect::<Vec<_>>(),
        "edges": edges.iter().map(of_edge).collect::<Vec<_>>(),
        "edges_left_out": seen.edges.others.as_ref().map(|sum| of_sum(seen, sum)),
    });
    joined(of_window(seen), told)
}

/// Who this process is.
pub(super) fn itself(live: &Live) -> Value {
    let site = live.compiled().map(|compiled| &compiled.site);
    json!({
        "namespace": site.map(|site| &site.namespace),
        "account": site.and_then(|site| site.service_account.as_deref()),
        "labels": site.map(|site| site.labels.iter().collect::<BTreeMap<_, _>>()),
        "generation": live.version(),
    })
}

/// The edges to endpoints that were last reached without TLS.
pub(super) fn plaintext(live: &Live, seen: &Seen) -> Vec<Value> {
    let places = Places::of(live);
    let mut edges: Vec<_> = seen.edges.rows.iter().filter(|(_, sum)| sum.is_tls == Some(false)).collect();
    edges.sort_unstable_by_key(|(edge, _)| (&edge.cluster, &edge.endpoint));
    let of_edge =
        |(edge, sum): (&Edge, &Sum)| joined(joined(named(&edge.cluster), places.edge(edge, sum)), of_sum(seen, sum));
    edges.into_iter().map(of_edge).collect()
}

/// A cluster by its name and the parts of it.
fn named(cluster: &str) -> Value {
    let mut parts = cluster.split('|');
    let parts = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(_), Some(port), Some(subset), Some(host)) = parts else {
        return json!({ "cluster": cluster, "host": cluster, "port": null, "subset": null });
    };
    let subset = Some(subset).filter(|subset| !subset.is_empty());
    json!({ "cluster": cluster, "host": host, "port": port.parse::<u16>().ok(), "subset": subset })
}

/// The host and the port of a cluster: its subsets share the traffic of it.
fn place_of(cluster: &str) -> (&str, &str) {
    let mut parts = cluster.split('|').skip(1);
    match (parts.next(), parts.nth(1)) {
        (Some(port), Some(host)) => (host, port),
        _ => (cluster, ""),
    }
}

fn by_host(edges: &Rows<Edge>) -> HashMap<(&str, &str), u64> {
    let mut requests = HashMap::new();
    for (edge, sum) in &edges.rows {
        *requests.entry(place_of(&edge.cluster)).or_default() += sum.requests;
    }
    requests
}

/// Clusters and endpoints as they are now, by what they are called.
struct Places<'l> {
    clusters: HashMap<&'l str, &'l Arc<ClusterHandle>>,
    endpoints: HashMap<(&'l str, String), Arc<EndpointState>>,
}

impl<'l> Places<'l> {
    fn of(live: &'l Live) -> Self {
        let clusters: HashMap<_, _> = live.clusters().iter().map(|cluster| (&*cluster.spec().name, cluster)).collect();
        let endpoints = live.clusters().iter().flat_map(|cluster| {
            let name = &*cluster.spec().name;
            cluster.endpoints_now().into_iter().map(move |endpoint| ((name, endpoint.address().to_string()), endpoint))
        });
        Self { endpoints: endpoints.collect(), clusters }
    }

    fn cluster(&self, name: &str) -> Option<&'l Arc<ClusterHandle>> {
        self.clusters.get(name).copied()
    }

    fn edge(&self, edge: &Edge, sum: &Sum) -> Value {
        let cluster = self.cluster(&edge.cluster);
        let endpoint = edge.endpoint.as_deref().and_then(|address| {
            let name = &**self.clusters.get_key_value(&*edge.cluster)?.0;
            self.endpoints.get(&(name, address.to_owned()))
        });
        let health = endpoint.map(|endpoint| if endpoint.is_ejected() { "ejected" } else { "ok" });
        let left = cluster.zip(endpoint).and_then(|(cluster, endpoint)| cluster.ejected_for(endpoint));
        json!({
            "endpoint": edge.endpoint,
            "health": health.unwrap_or("gone"),
            "ejected_for_seconds": left.map(|left| left.as_secs_f64().ceil()),
            "tls": sum.is_tls,
            "tls_policy": cluster.map(|cluster| endpoints::policy(cluster)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_told_by_its_parts() {
        let told = named("outbound|9080|v1|reviews.shop.svc.cluster.local");
        assert_eq!((&told["host"], &told["port"]), (&"reviews.shop.svc.cluster.local".into(), &9080.into()));
        assert_eq!(told["subset"], "v1");
        assert_eq!(named("outbound|80||a")["subset"], Value::Null);
        assert_eq!(named("PassthroughCluster")["host"], "PassthroughCluster");
        assert_eq!((place_of("outbound|80|v1|a"), place_of("outbound|80||a")), (("a", "80"), ("a", "80")));
        assert_eq!(place_of("PassthroughCluster"), ("PassthroughCluster", ""));
    }
}
