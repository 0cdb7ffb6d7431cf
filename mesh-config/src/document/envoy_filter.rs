//! The fields of an EnvoyFilter.
//!
//! A mesh in process has no Envoy to patch, so the object is skipped. Istio's webhook refuses one with a field that does
//! not exist or of the wrong type all the same, and so it is looked at here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// An EnvoyFilter as far as its shape goes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "only that it can be read is of interest")]
pub(super) struct EnvoyFilter {
    workload_selector: Option<WorkloadSelector>,
    target_refs: Vec<TargetRef>,
    config_patches: Vec<ConfigPatch>,
    priority: i32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(dead_code, reason = "see above")]
struct WorkloadSelector {
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(dead_code, reason = "see above")]
struct TargetRef {
    group: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct ConfigPatch {
    apply_to: Option<String>,
    r#match: Option<Match>,
    patch: Option<Patch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct Match {
    context: Option<String>,
    proxy: Option<Proxy>,
    listener: Option<Listener>,
    route_configuration: Option<RouteConfiguration>,
    cluster: Option<Cluster>,
    waypoint: Option<Waypoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct Proxy {
    proxy_version: Option<String>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct Listener {
    port_number: Option<u32>,
    port_name: Option<String>,
    filter_chain: Option<FilterChain>,
    listener_filter: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct FilterChain {
    name: Option<String>,
    sni: Option<String>,
    transport_protocol: Option<String>,
    application_protocols: Option<String>,
    filter: Option<Filter>,
    destination_port: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct Filter {
    name: Option<String>,
    sub_filter: Option<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(dead_code, reason = "see above")]
struct Named {
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct RouteConfiguration {
    port_number: Option<u32>,
    port_name: Option<String>,
    gateway: Option<String>,
    vhost: Option<VirtualHost>,
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct VirtualHost {
    name: Option<String>,
    domain_name: Option<String>,
    route: Option<Route>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(dead_code, reason = "see above")]
struct Route {
    name: Option<String>,
    action: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct Cluster {
    port_number: Option<u32>,
    service: Option<String>,
    subset: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct Waypoint {
    port_number: Option<u32>,
    filter: Option<Filter>,
    route: Option<Route>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(dead_code, reason = "see above")]
struct Patch {
    operation: Option<String>,
    /// A part of Envoy's own configuration.
    value: Option<Value>,
    filter_class: Option<String>,
}
