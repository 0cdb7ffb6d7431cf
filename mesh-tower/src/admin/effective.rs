//! The policy that counts for a host, each part of it with where it was said.

use mesh_config::value::host::resolve_short_name;
use mesh_core::cluster::ClusterKey;
use mesh_core::explain::Destination;
use mesh_core::route::Route;
use serde_json::{Value, json};

use crate::live::Live;

/// Everything about a host; nothing where no service has it. A short name is one of this workload's namespace.
pub(super) fn effective(live: &Live, host: &str) -> Option<Value> {
    let site = &live.compiled()?.site;
    let host = resolve_short_name(&host.to_ascii_lowercase(), &site.namespace, &site.cluster_domain);
    let clusters: Vec<_> = live.destinations(&host).iter().map(of_cluster).collect();
    let rules = rules(live, &host);
    (!clusters.is_empty()).then(|| json!({ "host": host, "clusters": clusters, "rules": rules }))
}

fn of_cluster((key, destination): &(ClusterKey, Destination)) -> Value {
    let (port, subset) = match key {
        ClusterKey::Outbound { port, subset, .. } => (Some(port), Some(&**subset).filter(|subset| !subset.is_empty())),
        _ => (None, None),
    };
    json!({
        "cluster": destination.cluster,
        "port": port,
        "subset": subset,
        "subset_defined": destination.subset,
        "source": destination.source,
        "policy": destination.policy,
        "endpoints": destination.endpoints,
    })
}

/// The rules that send requests to the host.
fn rules(live: &Live, host: &str) -> Vec<Value> {
    let ending = format!("|{host}");
    let mut rules: Vec<Value> = Vec::new();
    for (route, _) in live.snapshot().references().filter(|(_, cluster)| cluster.name.ends_with(&ending)) {
        let rule = of_rule(live, route);
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules
}

fn of_rule(live: &Live, route: &Route) -> Value {
    let place = live.compiled().and_then(|compiled| {
        let kind = mesh_config::Kind::VirtualService;
        let id = mesh_config::ResourceId::new(kind, &*route.origin.namespace, &*route.origin.name);
        let origin = &compiled.set.get(&id).filter(|_| route.origin.kind == kind.as_str())?.origin;
        let field = route.origin.rule.map_or_else(|| "spec".to_owned(), |rule| format!("spec.http[{rule}]"));
        let at = origin.of_field(&mesh_config::FieldPath::from(&*field));
        Some(format!("{}:{}", at.file, at.line))
    });
    json!({
        "name": route.name,
        "rule": route.origin.to_string(),
        "at": place,
        "timeout_ms": route.timeout.map(|timeout| timeout.as_millis()),
        "tries": 1 + route.retry.as_ref().map_or(0, |retry| retry.attempts),
        "fault": route.fault.is_some(),
    })
}
