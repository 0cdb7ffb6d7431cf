//! A case as documents of Istio.

use serde_json::{Value, json};

use crate::case::{Case, Endpoint};

/// Where the caller is.
pub(crate) const NEAR: &str = "near/zone/rack";
const FAR: &str = "far/zone/rack";

/// Its ServiceEntry, DestinationRule and VirtualService; JSON is YAML too.
pub(crate) fn of(case: &Case) -> String {
    let document = |version: &str, kind: &str, spec: Value| {
        let kind = json!({"apiVersion": format!("networking.istio.io/{version}"), "kind": kind,
            "metadata": {"name": format!("case-{}", case.number), "namespace": "default"}, "spec": spec});
        format!("---\n{kind}\n")
    };
    let protocol = if case.http2 { "HTTP2" } else { "HTTP" };
    let service = json!({
        "hosts": [case.host()], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": 80, "name": "main", "protocol": protocol}],
        "endpoints": case.endpoints.iter().map(|endpoint| self::endpoint(case, endpoint)).collect::<Vec<_>>(),
    });
    let mut subsets: Vec<&str> = case.endpoints.iter().filter_map(|endpoint| endpoint.version).collect();
    subsets.dedup();
    let subsets: Vec<Value> = subsets.iter().map(|name| json!({"name": name, "labels": {"version": name}})).collect();
    let policy = json!({"host": case.host(), "trafficPolicy": case.policy, "subsets": subsets});
    let mut rule = case.rule.clone();
    if ["route", "redirect", "directResponse"].iter().all(|action| rule.get(action).is_none()) {
        rule["route"] = json!([{"destination": {"host": case.host()}}]);
    }
    let rule: Value =
        serde_json::from_str(&rule.to_string().replace("\"HOST\"", &format!("{:?}", case.host()))).unwrap();
    let rules = json!({"hosts": [case.host()], "http": [rule]});
    [
        document("v1", "ServiceEntry", service),
        document("v1", "DestinationRule", policy),
        document("v1", "VirtualService", rules),
    ]
    .concat()
}

fn endpoint(case: &Case, endpoint: &Endpoint) -> Value {
    let locality = if endpoint.is_far { FAR } else { NEAR };
    let mut value =
        json!({"address": case.address(endpoint.number), "ports": {"main": Case::port()}, "locality": locality});
    if let Some(weight) = endpoint.weight {
        value["weight"] = weight.into();
    }
    if let Some(version) = endpoint.version {
        value["labels"] = json!({"version": version});
    }
    value
}
