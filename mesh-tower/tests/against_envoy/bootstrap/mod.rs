//! What Istio would tell Envoy about a case: as much of it as cases use.

mod cluster;
mod rule;

use serde_json::{Value, json};

use crate::case::Case;
use crate::upstream::MARK;

/// A static configuration with one listener, in which each case is a virtual host.
pub(crate) fn of(cases: &[Case]) -> Value {
    let hosts: Vec<Value> = cases.iter().map(virtual_host).collect();
    let clusters: Vec<Value> = cases.iter().flat_map(cluster::all).collect();
    let log = format!("%REQ({MARK})% %RESPONSE_FLAGS% %UPSTREAM_REQUEST_ATTEMPT_COUNT%\n");
    let manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "main",
            "use_remote_address": false,
            "normalize_path": true,
            "stream_idle_timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "access_log": [{"name": "stdout", "typed_config": typed(
                "extensions.access_loggers.stream.v3.StdoutAccessLog",
                json!({"log_format": {"text_format_source": {"inline_string": log}}}),
            )}],
            "http_filters": [
                filter("fault", "extensions.filters.http.fault.v3.HTTPFault"),
                filter("cors", "extensions.filters.http.cors.v3.Cors"),
                filter("router", "extensions.filters.http.router.v3.Router"),
            ],
            "route_config": {
                "ignore_port_in_host_matching": true, "validate_clusters": false, "virtual_hosts": hosts,
            },
        }),
    );
    let filters = json!([{"name": "http", "typed_config": manager}]);
    json!({
        "admin": {"address": address("127.0.0.1", 0)},
        "static_resources": {
            "listeners": [{
                "name": "main", "address": address("127.0.0.1", 0), "filter_chains": [{"filters": filters}],
            }],
            "clusters": clusters,
        },
    })
}

fn virtual_host(case: &Case) -> Value {
    json!({
        "name": case.host(),
        "domains": [case.host()],
        "include_request_attempt_count": true,
        "routes": [rule::of(case)],
    })
}

pub(crate) fn filter(name: &str, kind: &str) -> Value {
    json!({"name": format!("envoy.filters.http.{name}"), "typed_config": typed(kind, json!({}))})
}

/// With the name of its message.
pub(crate) fn typed(kind: &str, mut value: Value) -> Value {
    value["@type"] = format!("type.googleapis.com/envoy.{kind}").into();
    value
}

pub(crate) fn address(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}

/// A duration as Envoy reads it: seconds.
fn duration(text: &Value) -> Value {
    let text = text.as_str().expect("a duration");
    match text.strip_suffix("ms") {
        Some(millis) => format!("{}s", millis.parse::<f64>().unwrap() / 1000.0).into(),
        None => text.into(),
    }
}

/// A percentage as Envoy draws it.
fn fraction(percentage: &Value) -> Value {
    let percent = percentage["value"].as_f64().unwrap_or_default();
    json!({"numerator": (percent * 10_000.0) as u64, "denominator": "MILLION"})
}
