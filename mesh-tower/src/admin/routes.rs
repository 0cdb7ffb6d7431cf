//! The rules, as requests meet them.

use mesh_config::{Kind, Resource, ResourceId};
use mesh_core::route::{Action, Route, RuleOrigin};
use mesh_core::snapshot::TableId;
use serde_json::{Value, json};

use super::rates::of_sum;
use crate::explained::Compiled;
use crate::live::Live;
use crate::telemetry::{Rule, Seen};

/// The virtual hosts of every listener whose names have the text.
pub(super) fn routes(live: &Live, seen: &Seen, host: &str) -> Value {
    let snapshot = live.snapshot();
    let mut listeners: Vec<(String, TableId)> = Vec::new();
    let mut ports: Vec<_> = snapshot.mesh_ports().collect();
    ports.sort_unstable();
    listeners.extend(ports.iter().filter_map(|port| Some((format!("mesh:{port}"), snapshot.mesh_table(*port)?))));
    for server in snapshot.gateway_servers() {
        let tls = server.tls.iter().map(|tls| tls.table);
        listeners.extend(tls.chain([server.table]).map(|table| (format!("gateway:{}", server.port), table)));
    }
    listeners.iter().flat_map(|(listener, table)| of_table((live, seen), listener, *table, host)).collect()
}

fn of_table((live, seen): (&Live, &Seen), listener: &str, table: TableId, host: &str) -> Vec<Value> {
    let snapshot = live.snapshot();
    let mut hosts: Vec<(&str, Vec<String>, &[Route])> = Vec::new();
    for (domain, vhost) in snapshot.domains(table) {
        let (name, routes) = snapshot.vhost(vhost);
        match hosts.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, domains, _)) => domains.push(domain),
            None => hosts.push((name, vec![domain], routes)),
        }
    }
    hosts.sort_unstable_by_key(|(name, ..)| *name);
    let picked = hosts.into_iter().filter(|(name, ..)| name.contains(host));
    let described = |(name, mut domains, routes): (&str, Vec<String>, &[Route])| {
        domains.sort_unstable();
        let routes: Vec<_> = routes.iter().map(|route| of_route((live, seen), name, route)).collect();
        json!({ "listener": listener, "host": name, "domains": domains, "routes": routes })
    };
    picked.map(described).collect()
}

fn of_route((live, seen): (&Live, &Seen), host: &str, route: &Route) -> Value {
    let rule = Rule { host: Some(host.into()), name: route.name.clone(), origin: route.origin.clone() };
    let sum = seen.rules.rows.get(&rule).cloned().unwrap_or_default();
    json!({
        "name": route.name,
        "rule": route.origin.to_string(),
        "match": live.compiled().and_then(|compiled| conditions(compiled, &route.origin)),
        "to": targets(&route.action),
        "timeout_ms": route.timeout.map(|timeout| timeout.as_millis()),
        "tries": 1 + route.retry.as_ref().map_or(0, |retry| retry.attempts),
        "fault": route.fault.is_some(),
        "rates": of_sum(seen, &sum),
        "mirrors": route.mirrors.iter().map(|mirror| &*mirror.cluster.name).collect::<Vec<_>>(),
    })
}

fn targets(action: &Action) -> Value {
    match action {
        Action::Forward(forward) => forward
            .split
            .iter()
            .map(|to| json!({ "cluster": to.cluster.name, "weight": to.weight, "known": to.cluster.id.is_some() }))
            .collect(),
        Action::Redirect(_) => json!("redirect"),
        Action::DirectResponse(_) => json!("direct response"),
        Action::Passthrough(_) => json!("where the request says"),
        Action::Blocked => json!("nowhere: 502"),
    }
}

/// The conditions of the rule as they are written; nothing where there are none.
fn conditions(compiled: &Compiled, origin: &RuleOrigin) -> Option<Value> {
    if origin.kind != "VirtualService" {
        return None;
    }
    let id = ResourceId::new(Kind::VirtualService, &*origin.namespace, &*origin.name);
    let Resource::VirtualService(service) = &compiled.set.get(&id)?.resource else { return None };
    let rule = service.spec.http.get(usize::try_from(origin.rule?).ok()?)?;
    serde_json::to_value(rule).ok()?.get_mut("match").map(Value::take)
}
