//! What servers of Gateways serve, and which share a port.

use std::collections::BTreeMap;
use std::path::Path;

use mesh_config::api::gateway::{Gateway, Server};
use mesh_core::compile::gateway_servers::{Serving, merge, passes_through};
use serde_json::{Value, json};

use crate::world::{objects, read};
use crate::{differs, table};

pub(crate) fn gateways(_: &Path, case: &Value) -> Option<String> {
    if table(case) == "MergeGateways" {
        return merged(case);
    }
    let server: Server = read(&case["input"]["server"]);
    let serving = Serving::of(&server);
    let found = match table(case) {
        "IsTLSServer" => serving.is_tls(),
        "IsHTTPServer" => serving.is_http(),
        "IsHTTPSServerWithTLSTermination" => serving == Serving::Https,
        "IsTCPServerWithTLSTermination" => serving == Serving::TlsEnded,
        "IsPassThroughServer" => server.tls.as_ref().is_some_and(passes_through),
        other => return Some(format!("unknown table {other}")),
    };
    differs(Some(found), case["expect"]["expected"].as_bool())
}

fn merged(case: &Value) -> Option<String> {
    let gateways = objects::<Gateway>(&case["input"]["gwConfig"]);
    let merged = merge(&gateways);
    let servers: Vec<_> = merged.ports.iter().flat_map(|port| &port.servers).collect();
    let mut for_route: BTreeMap<String, usize> = BTreeMap::new();
    for name in servers.iter().filter_map(|server| server.route_name()) {
        *for_route.entry(name).or_default() += 1;
    }
    let found = json!({
        "mergedServersNum": merged.ports.len(),
        "serverNum": servers.len(),
        "serversForRouteNum": for_route,
        // Each server that was looked at counts, served or not.
        "gatewaysNum": servers.len() + merged.refused.len(),
    });
    differs(&found, &case["expect"])
}
