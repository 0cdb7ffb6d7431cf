//! Documents about running upstreams.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// A ServiceEntry of namespace `default` for a short name, with endpoints at any addresses, each with a version.
pub(crate) fn service(name: &str, port: u16, endpoints: &[(&str, SocketAddr)]) -> String {
    let mut text = format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
"
    );
    if !endpoints.is_empty() {
        text.push_str("  endpoints:\n");
    }
    for (version, address) in endpoints {
        let (ip, port) = (address.ip(), address.port());
        writeln!(text, "  - {{address: {ip}, ports: {{http: {port}}}, labels: {{version: {version}}}}}").unwrap();
    }
    text
}

/// A DestinationRule of namespace `default` with a subset for each version.
pub(crate) fn subsets(host: &str, versions: &[&str]) -> String {
    let subsets: Vec<_> = versions.iter().map(|v| format!("{{name: {v}, labels: {{version: {v}}}}}")).collect();
    let subsets = subsets.join(", ");
    destination_rule(host, &format!("subsets: [{subsets}]"))
}

/// A DestinationRule of namespace `default` with a traffic policy.
pub(crate) fn policy(host: &str, policy: &str) -> String {
    destination_rule(host, &format!("trafficPolicy: {{{policy}}}"))
}

fn destination_rule(host: &str, rest: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}-own, namespace: default}}
spec: {{host: {host}, {rest}}}
"
    )
}

/// A VirtualService of namespace `default`, its rules one a line.
pub(crate) fn virtual_service(host: &str, rules: &[&str]) -> String {
    let mut text = format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {host}, namespace: default}}
spec:
  hosts: [{host}]
  http:
"
    );
    for rule in rules {
        writeln!(text, "  - {{{rule}}}").unwrap();
    }
    text
}
