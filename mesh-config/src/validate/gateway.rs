//! Gateway.

use super::checker::{At, Checker};
use super::common::{self, Scope};
use super::server_tls;
use crate::api::Gateway;
use crate::api::gateway::Server;
use crate::api::port::Port;
use crate::api::tls::{ServerTlsMode, ServerTlsSettings};
use crate::resource::Object;
use crate::value::Protocol;
use crate::value::address::{check_ip, check_unix};
use crate::value::host::is_dns_label;
use crate::value::port::check_port;

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<Gateway>) {
    let spec = At::top("spec");
    let name = object.meta.name.as_str();
    if !is_dns_label(name) && !is_generated(cx) {
        cx.error(&At::top("metadata").field("name"), format!("invalid gateway name: {name:?}"));
    }
    let servers = &object.spec.servers;
    cx.error_if(servers.is_empty(), &spec, "gateway must have at least one server");
    for (index, server) in servers.iter().enumerate() {
        let at = spec.field("servers");
        let at = at.index(index);
        check_server(cx, &at, server);
        check_port_name(cx, &at, server, &servers[..index]);
    }
}

fn check_port_name(cx: &mut Checker<'_>, at: &At<'_>, server: &Server, earlier: &[Server]) {
    let Some(port) = &server.port else { return };
    if earlier.iter().filter_map(|server| server.port.as_ref()).any(|other| other.name == port.name) {
        let message = format!("port names in servers must be unique: duplicate name {}", port.name);
        cx.error(&at.field("port").field("name"), message);
    }
    let redirects = server.tls.as_ref().is_some_and(|tls| tls.https_redirect);
    if redirects && !protocol(port).is_some_and(Protocol::is_http) {
        let tls = at.field("tls");
        cx.warn(&tls.field("httpsRedirect"), "tls.httpsRedirect should only be used with http servers");
    }
}

fn check_server(cx: &mut Checker<'_>, at: &At<'_>, server: &Server) {
    cx.error_if(server.hosts.is_empty(), at, "server config must contain at least one host");
    let scope = if is_generated(cx) { Scope::GeneratedGateway } else { Scope::Gateway };
    for (index, host) in server.hosts.iter().enumerate() {
        for problem in common::scoped_host(host, scope) {
            cx.error(&at.field("hosts").index(index), problem);
        }
    }
    let port_is_good = check_port_of(cx, at, server);
    check_bind(cx, at, server);
    if let Some(tls) = &server.tls {
        server_tls::check(cx, &at.field("tls"), tls);
    }
    if let (Some(port), true) = (&server.port, port_is_good) {
        check_protocol(cx, at, port, server.tls.as_ref());
    }
}

/// Whether the Gateway was made from one of the Kubernetes Gateway API.
fn is_generated(cx: &Checker<'_>) -> bool {
    const SEMANTICS: &str = "internal.istio.io/gateway-semantics";
    cx.meta.annotations.get(SEMANTICS).is_some_and(|semantics| semantics == "gateway")
}

/// Whether there is a port, and nothing wrong about it.
fn check_port_of(cx: &mut Checker<'_>, at: &At<'_>, server: &Server) -> bool {
    let before = cx.findings();
    let Some(port) = &server.port else {
        cx.error(at, "port is required");
        return false;
    };
    let at = at.field("port");
    if protocol(port).is_none() {
        let message = format!(
            "invalid protocol {:?}, supported protocols are HTTP, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP",
            port.protocol
        );
        cx.error(&at.field("protocol"), message);
    }
    // A unix socket has no port.
    if port.number > 0 || !server.bind.starts_with("unix://") {
        cx.check(&at.field("number"), check_port(port.number));
    }
    if port.target_port > 0 {
        cx.error(&at.field("targetPort"), "targetPort has no impact on Gateways");
    }
    if port.name.is_empty() {
        cx.error(&at, format!("port name must be set: number {} protocol {:?}", port.number, port.protocol));
    }
    !cx.has_errors_since(before)
}

fn check_bind(cx: &mut Checker<'_>, at: &At<'_>, server: &Server) {
    let Some(path) = server.bind.strip_prefix("unix://") else {
        if !server.bind.is_empty() {
            cx.check(&at.field("bind"), check_ip(&server.bind));
        }
        return;
    };
    cx.check(&at.field("bind"), check_unix(path));
    let number = server.port.as_ref().map_or(0, |port| port.number);
    if number != 0 {
        let port = at.field("port");
        cx.error(&port.field("number"), format!("port number must be 0 for unix domain socket: number {number}"));
    }
}

/// The protocol of a port at the edge, where nothing is found out by looking.
fn protocol(port: &Port) -> Option<Protocol> {
    port.protocol.parse().ok().filter(|protocol| *protocol != Protocol::Unspecified)
}

fn check_protocol(cx: &mut Checker<'_>, at: &At<'_>, port: &Port, tls: Option<&ServerTlsSettings>) {
    let protocol = protocol(port).unwrap_or_default();
    let at_tls = at.field("tls");
    match tls {
        None if protocol.is_tls() => cx.error(at, "server must have TLS settings for HTTPS/TLS protocols"),
        Some(tls) if protocol.is_http() && has_certificates(tls) => {
            cx.error(&at_tls, "server cannot have TLS settings for plain text HTTP ports");
        }
        Some(_) if !protocol.is_http() && !protocol.is_tls() => {
            cx.error(&at_tls, "server cannot have TLS settings for non HTTPS/TLS ports");
        }
        _ => {}
    }
}

/// Of a plain HTTP server only the redirect may be set.
fn has_certificates(tls: &ServerTlsSettings) -> bool {
    let passes = matches!(tls.mode, ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough);
    let files = [&tls.server_certificate, &tls.private_key, &tls.ca_certificates];
    !passes || files.iter().any(|file| !file.is_empty())
}
