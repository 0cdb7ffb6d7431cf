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
pub(super) struct EnvoyFilter {
    workload_selector: Option<WorkloadSelector>,
    target_refs: Option<Vec<TargetRef>>,
    config_patches: Option<Vec<ConfigPatch>>,
    priority: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WorkloadSelector {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TargetRef {
    group: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigPatch {
    apply_to: Option<String>,
    r#match: Option<Match>,
    patch: Option<Patch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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
struct Proxy {
    proxy_version: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Listener {
    port_number: Option<u32>,
    port_name: Option<String>,
    filter_chain: Option<FilterChain>,
    listener_filter: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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
struct Filter {
    name: Option<String>,
    sub_filter: Option<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RouteConfiguration {
    port_number: Option<u32>,
    port_name: Option<String>,
    gateway: Option<String>,
    vhost: Option<VirtualHost>,
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VirtualHost {
    name: Option<String>,
    domain_name: Option<String>,
    route: Option<Route>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Route {
    name: Option<String>,
    action: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Cluster {
    port_number: Option<u32>,
    service: Option<String>,
    subset: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Waypoint {
    port_number: Option<u32>,
    filter: Option<Filter>,
    route: Option<Route>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Patch {
    operation: Option<String>,
    /// A part of Envoy's own configuration.
    value: Option<Value>,
    filter_class: Option<String>,
}
