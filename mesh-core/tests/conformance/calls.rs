//! Simulated calls: which listener takes a call, and where it goes.

use std::path::Path;

use mesh_config::api::MeshConfig;
use mesh_core::Compiled;
use mesh_core::authn::MtlsMode;
use mesh_core::gateway_tls::server_for;
use mesh_core::snapshot::TableId;
use serde_json::Value;

use crate::differs;
use crate::world::{Answer, ask, compiled, files, site};

pub(crate) fn calls(folder: &Path, case: &Value) -> Option<String> {
    let compiled = compiled(&files(folder, case), &MeshConfig::default(), &site(case));
    let at_gateway = case["proxy"]["type"] == "router";
    case["expect"]["calls"].as_array()?.iter().find_map(|call| {
        let (result, call, name) = (&call["result"], &call["call"], &call["name"]);
        let difference = match not_in_process(at_gateway, call) {
            Some(why) => Some(why.to_owned()),
            None if call["mode"] == "inbound" => taken(&compiled, call, result),
            None => compare(&compiled, table(&compiled, at_gateway, call), call, result),
        };
        difference.map(|difference| format!("{name}: {difference}"))
    })
}

fn not_in_process(at_gateway: bool, call: &Value) -> Option<&'static str> {
    let is_plain = matches!(call["tls"].as_str(), None | Some("plaintext"));
    if call["mode"] == "inbound" {
        // Whether a connection is taken can be asked; what a sidecar knows of the application's ports cannot.
        let is_told = is_plain && call["tls"].is_string() || call["tls"] == "mtls";
        return (!is_told).then_some("an inbound listener");
    }
    if !(is_plain || at_gateway && call["tls"] == "tls") || (!at_gateway && call["sni"].is_string()) {
        return Some("TLS");
    }
    (at_gateway && call["protocol"] == "tcp").then_some("TCP at a gateway")
}

fn port(call: &Value) -> u16 {
    call["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(80)
}

fn table(compiled: &Compiled, at_gateway: bool, call: &Value) -> Option<TableId> {
    let port = port(call);
    if at_gateway && call["tls"] == "tls" {
        let name = call["sni"].as_str().or(call["host"].as_str());
        let servers = compiled.snapshot.gateway_servers().iter().filter(|server| server.port == port);
        return servers.flat_map(|server| server_for(&server.tls, name)).map(|server| server.table).next();
    }
    match at_gateway {
        true => compiled.snapshot.gateway_servers().iter().find(|server| server.port == port).map(|it| it.table),
        false => compiled.snapshot.mesh_table(port),
    }
}

/// A call to an address is one whose authority is the address.
fn authority(call: &Value) -> String {
    let named = call["host"].as_str().or(call["address"].as_str()).unwrap_or_default();
    if named.contains(':') { format!("[{named}]") } else { named.to_owned() }
}

/// Whether a workload takes a connection, by its PeerAuthentications.
fn taken(compiled: &Compiled, call: &Value, result: &Value) -> Option<String> {
    let mode = compiled.snapshot.peer_modes().at(port(call));
    let found = match (call["tls"] == "mtls", mode) {
        // The beginning of a handshake is no request.
        (true, MtlsMode::Disable) => Some("ErrProtocolError"),
        (true, _) | (false, MtlsMode::Disable | MtlsMode::Permissive) => None,
        (false, MtlsMode::Strict) => Some("ErrNoFilterChain"),
    };
    differs(found, result["error"].as_str())
}

fn compare(compiled: &Compiled, table: Option<TableId>, call: &Value, result: &Value) -> Option<String> {
    let authority = authority(call);
    if let Some(expected) = result["virtual_host"].as_str().filter(|name| !name.starts_with("blackhole")) {
        let found = table.and_then(|table| compiled.snapshot.vhost_of(table, &authority));
        if found != Some(expected) {
            return differs(found, Some(expected));
        }
    }
    let found = ask(compiled, table, port(call), &authority, call["path"].as_str().unwrap_or("/"));
    match (result["error"].as_str(), result["cluster"].as_str()) {
        (Some("ErrNoListener"), _) => differs(found, Answer::NoListener),
        (Some("ErrNoVirtualHost" | "ErrNoRoute"), _) => differs(found, Answer::NoRoute),
        (Some("ErrTLSRedirect"), _) => differs(found, Answer::RedirectToHttps),
        (Some(other), _) => Some(format!("nothing in process is {other}: {found:?}")),
        (None, Some(cluster)) => differs(found, Answer::Cluster(cluster.to_owned())),
        (None, None) => None,
    }
}
