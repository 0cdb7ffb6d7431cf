use mesh_config::{ConfigSet, parse};

use super::*;

/// The ports of servers written as `protocol port host bind mode`, each in a Gateway of its own, and what was refused.
fn merged(servers: &[&str]) -> (Vec<(u16, usize)>, Vec<String>) {
    let documents: Vec<String> = servers.iter().enumerate().map(|(n, server)| gateway(n, server)).collect();
    let (documents, report) = parse("test.yaml", &documents.join("---\n"));
    assert!(!report.has_errors(), "{report}");
    let (set, _) = ConfigSet::from_documents(documents);
    let merged = merge(set.gateways());
    let ports = merged.ports.iter().map(|port| (port.port, port.servers.len())).collect();
    (ports, merged.refused.into_iter().map(|refused| refused.why).collect())
}

fn gateway(n: usize, server: &str) -> String {
    let words: Vec<&str> = server.split(' ').collect();
    let bind = words.get(3).filter(|bind| **bind != "-").map_or(String::new(), |bind| format!("bind: {bind}, "));
    let tls = words.get(4).map_or(String::new(), |mode| format!("tls: {{mode: {mode}}}, "));
    let (protocol, port, host) = (words[0], words[1], words[2]);
    format!(
        "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: g{n}, namespace: ns}}
spec: {{servers: [{{{bind}{tls}port: {{number: {port}, name: p, protocol: {protocol}}}, hosts: ['{host}']}}]}}
"
    )
}

#[test]
fn servers_of_http_share_a_port_and_others_do_not() {
    assert_eq!(merged(&["HTTP 80 a", "GRPC 80 b", "HTTP 81 a"]), (vec![(80, 2), (81, 1)], vec![]));
    let refused = vec!["port 80 already serves TCP".to_owned()];
    assert_eq!(merged(&["TCP 80 a", "TCP 80 a"]), (vec![(80, 1)], refused.clone()));
    assert_eq!(merged(&["TCP 80 a", "HTTP 80 a"]), (vec![(80, 1)], refused));
    assert_eq!(merged(&["HTTP 80 a", "HTTPS 80 a - SIMPLE"]).1, ["port 80 already serves HTTP"]);
}

#[test]
fn servers_with_tls_share_a_port_if_their_hosts_differ() {
    assert_eq!(merged(&["HTTPS 443 a - SIMPLE", "HTTPS 443 b - SIMPLE"]), (vec![(443, 2)], vec![]));
    assert_eq!(merged(&["HTTPS 443 a - SIMPLE", "TLS 443 b - PASSTHROUGH"]).0, [(443, 1), (443, 1)]);
    assert_eq!(merged(&["HTTPS 443 a - SIMPLE", "TLS 443 ns/a - PASSTHROUGH"]).1.len(), 0);
    let twice = ["another server of port 443 already has a"];
    assert_eq!(merged(&["HTTPS 443 a - SIMPLE", "HTTPS 443 */a - SIMPLE"]).1, twice);
    assert_eq!(merged(&["HTTPS 443 a - SIMPLE", "HTTP 443 b"]).1, ["port 443 already serves TLS"]);
}

#[test]
fn servers_at_different_addresses_are_not_in_each_others_way() {
    assert_eq!(merged(&["TCP 80 a 10.0.0.1", "TCP 80 a 10.0.0.2"]), (vec![(80, 1), (80, 1)], vec![]));
    assert_eq!(merged(&["HTTP 80 a 10.0.0.1", "TCP 80 a 10.0.0.2"]).1.len(), 0);
    assert_eq!(merged(&["HTTPS 443 a 10.0.0.1 SIMPLE", "HTTPS 443 a 10.0.0.2 SIMPLE"]).1.len(), 0);
}

#[test]
fn route_tables_are_named_as_in_istio() {
    let text = ["HTTP 80 a", "HTTP 80 a 10.0.0.1", "HTTPS 443 a - SIMPLE", "TLS 444 a - SIMPLE"];
    let documents: Vec<String> = text.iter().enumerate().map(|(n, server)| gateway(n, server)).collect();
    let (documents, _) = parse("test.yaml", &documents.join("---\n"));
    let (set, _) = ConfigSet::from_documents(documents);
    let merged = merge(set.gateways());
    let names = merged.ports.iter().map(|port| port.servers[0].route_name().unwrap_or_default());
    assert_eq!(names.collect::<Vec<_>>(), ["http.80", "http.80.10.0.0.1", "https.443.p.g2.ns", ""]);
}
