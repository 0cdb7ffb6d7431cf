//! Envoy as a sidecar: what Istio would tell it, as much as is needed here.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::SERVER_NAME;
use crate::authority::Issued;
use crate::bootstrap::{address, filter, typed};

/// Protocols by which the mesh's connections are known.
const MESH: [&str; 5] = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

/// How a client connects: a cluster, which a path of the same name leads to.
pub(super) struct Way<'a> {
    pub(super) name: String,
    /// Protocols that are offered.
    pub(super) offered: &'a [&'a str],
    pub(super) http: Http,
    pub(super) tls: Option<Tls<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http {
    One,
    Two,
    /// As the handshake says.
    Agreed,
}

/// What a side shows and what it asks of the other.
pub(super) struct Tls<'a> {
    pub(super) version: &'a str,
    pub(super) shown: Option<&'a Issued>,
    pub(super) roots: &'a str,
    /// How names of the other side are matched, and with what.
    pub(super) expected: (&'a str, &'a str),
}

/// A client's sidecar, whose clusters all lead to one server.
pub(super) fn of_client(ways: &[Way<'_>], server: SocketAddr) -> Value {
    let route = |way: &Way<'_>| json!({"match": {"path": format!("/{}", way.name)}, "route": {"cluster": way.name}});
    let mut manager = manager(ways.iter().map(route).collect());
    // Whatever the caller says comes to the server as it is.
    manager["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY".into();
    let chains = json!([{"filters": filters(manager)}]);
    bootstrap(&json!([]), &chains, ways.iter().map(|way| cluster(way, server)).collect())
}

/// A server's sidecar, which takes mutual TLS only.
pub(super) fn of_server(tls: &Tls<'_>, application: SocketAddr) -> Value {
    let mut route = json!({"match": {"prefix": "/"}, "route": {"cluster": "application"}});
    let told = "%FILTER_CHAIN_NAME% %PROTOCOL% %DOWNSTREAM_TLS_VERSION% %REQUESTED_SERVER_NAME%";
    route["request_headers_to_add"] = json!([{"header": {"key": "x-connection", "value": told}}]);
    let mut manager = manager(vec![route]);
    manager["forward_client_cert_details"] = "APPEND_FORWARD".into();
    manager["set_current_client_cert_details"] = json!({"subject": true, "uri": true});
    let mut context = context(tls);
    context["alpn_protocols"] = json!(["h2", "http/1.1"]);
    let context = json!({"require_client_certificate": true, "common_tls_context": context});
    let chain = |name: &str, condition: Value| {
        json!({
            "name": name, "filter_chain_match": condition, "filters": filters(manager.clone()),
            "transport_socket": socket("DownstreamTlsContext", context.clone()),
        })
    };
    let mesh = json!({"transport_protocol": "tls", "application_protocols": MESH});
    let chains = json!([chain("mesh", mesh), chain("other", json!({"transport_protocol": "tls"}))]);
    let inspector = typed("extensions.filters.listener.tls_inspector.v3.TlsInspector", json!({}));
    let inspectors = json!([{"name": "envoy.filters.listener.tls_inspector", "typed_config": inspector}]);
    let plain = Way { name: "application".to_owned(), offered: &[], http: Http::One, tls: None };
    bootstrap(&inspectors, &chains, vec![cluster(&plain, application)])
}

fn bootstrap(inspectors: &Value, chains: &Value, clusters: Vec<Value>) -> Value {
    json!({
        "admin": {"address": address("127.0.0.1", 0)},
        "static_resources": {
            "listeners": [{
                "name": "main", "stat_prefix": "main", "address": address("127.0.0.1", 0),
                "listener_filters": inspectors, "filter_chains": chains,
            }],
            "clusters": clusters,
        },
    })
}

fn manager(routes: Vec<Value>) -> Value {
    typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "main",
            "http_filters": [filter("router", "extensions.filters.http.router.v3.Router")],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        }),
    )
}

fn filters(manager: Value) -> Value {
    json!([{"name": "http", "typed_config": manager}])
}

fn cluster(way: &Way<'_>, to: SocketAddr) -> Value {
    let options = match way.http {
        Http::One => json!({"explicit_http_config": {"http_protocol_options": {}}}),
        Http::Two => json!({"explicit_http_config": {"http2_protocol_options": {}}}),
        Http::Agreed => json!({"auto_config": {}}),
    };
    let endpoint = json!({"endpoint": {"address": address(&to.ip().to_string(), to.port())}});
    let mut cluster = json!({
        "name": way.name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                typed("extensions.upstreams.http.v3.HttpProtocolOptions", options),
        },
        "load_assignment": {"cluster_name": way.name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    });
    if let Some(tls) = &way.tls {
        let mut context = context(tls);
        if !way.offered.is_empty() {
            context["alpn_protocols"] = json!(way.offered);
        }
        let context = json!({"sni": SERVER_NAME, "common_tls_context": context});
        cluster["transport_socket"] = socket("UpstreamTlsContext", context);
    }
    cluster
}

fn context(tls: &Tls<'_>) -> Value {
    let (how, name) = tls.expected;
    let mut context = json!({
        "tls_params": {"tls_minimum_protocol_version": tls.version, "tls_maximum_protocol_version": tls.version},
        "validation_context": {
            "trusted_ca": {"inline_string": tls.roots},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {how: name}}],
        },
    });
    if let Some(Issued { chain, key }) = tls.shown {
        let shown = json!({"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}});
        context["tls_certificates"] = json!([shown]);
    }
    context
}

fn socket(context: &str, value: Value) -> Value {
    let context = typed(&format!("extensions.transport_sockets.tls.v3.{context}"), value);
    json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
}
