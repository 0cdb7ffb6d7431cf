//! Simulated calls: which listener takes a call, and where it goes.

use std::path::Path;

use mesh_config::api::MeshConfig;
use mesh_core::Compiled;
use serde_json::Value;

use crate::differs;
use crate::world::{Answer, ask, compiled, files, site};

pub(crate) fn calls(folder: &Path, case: &Value) -> Option<String> {
    let compiled = compiled(&files(folder, case), &MeshConfig::default(), &site(case));
    let at_gateway = case["proxy"]["type"] == "router";
    case["expect"]["calls"].as_array()?.iter().find_map(|call| {
        let found = answer(&compiled, at_gateway, &call["call"]);
        let difference = match found {
            Ok(found) => compare(&compiled, &found, &call["call"], &call["result"]),
            Err(why) => Some(why.to_owned()),
        };
        difference.map(|difference| format!("{}: {difference}", call["name"]))
    })
}

/// What becomes of a call that can be made in process.
fn answer(compiled: &Compiled, at_gateway: bool, call: &Value) -> Result<Answer, &'static str> {
    if call["mode"] == "inbound" {
        return Err("an inbound listener");
    }
    if !matches!(call["tls"].as_str(), None | Some("plaintext")) || call["sni"].is_string() {
        return Err("TLS");
    }
    let port = port(call);
    let path = call["path"].as_str().unwrap_or("/");
    // A call to an address is one whose authority is the address.
    let authority = call["host"].as_str().or(call["address"].as_str()).unwrap_or_default();
    let authority = if authority.contains(':') { format!("[{authority}]") } else { authority.to_owned() };
    let table = match at_gateway {
        true if call["protocol"] == "tcp" => return Err("TCP at a gateway"),
        true => compiled.snapshot.gateway_servers().iter().find(|server| server.port == port).map(|it| it.table),
        false => compiled.snapshot.mesh_table(port),
    };
    Ok(ask(compiled, table, port, &authority, path))
}

fn port(call: &Value) -> u16 {
    call["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(80)
}

fn compare(compiled: &Compiled, found: &Answer, call: &Value, result: &Value) -> Option<String> {
    if let Some(expected) = result["virtual_host"].as_str().filter(|name| !name.starts_with("blackhole")) {
        let host = call["host"].as_str().unwrap_or_default();
        let server = compiled.snapshot.gateway_servers().iter().find(|server| server.port == port(call))?;
        let found = compiled.snapshot.vhost_of(server.table, host);
        if found != Some(expected) {
            return differs(found, Some(expected));
        }
    }
    match result["error"].as_str() {
        Some("ErrNoListener") => differs(found, &Answer::NoListener),
        Some("ErrNoVirtualHost" | "ErrNoRoute") => differs(found, &Answer::NoRoute),
        Some("ErrTLSRedirect") => differs(found, &Answer::RedirectToHttps),
        Some(other) => Some(format!("nothing in process is {other}: {found:?}")),
        None => {
            let cluster = result["cluster"].as_str()?;
            differs(found, &Answer::Cluster(cluster.to_owned()))
        }
    }
}
