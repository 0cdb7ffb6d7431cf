//! The names of OpenTelemetry's semantic conventions, 1.42, and Istio's own tags.

use http::{Method, Version};
use opentelemetry::{KeyValue, Value};

pub(super) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";

pub(super) const CLIENT_ADDRESS: &str = "client.address";
pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const METHOD: &str = "http.request.method";
pub(super) const METHOD_ORIGINAL: &str = "http.request.method_original";
pub(super) const PEER_ADDRESS: &str = "network.peer.address";
pub(super) const PEER_PORT: &str = "network.peer.port";
pub(super) const PROTOCOL_VERSION: &str = "network.protocol.version";
pub(super) const RESEND_COUNT: &str = "http.request.resend_count";
pub(super) const RPC_METHOD: &str = "rpc.method";
pub(super) const RPC_STATUS: &str = "rpc.response.status_code";
pub(super) const RPC_SYSTEM: &str = "rpc.system.name";
pub(super) const SCHEME: &str = "url.scheme";
pub(super) const SERVER_ADDRESS: &str = "server.address";
pub(super) const SERVER_PORT: &str = "server.port";
pub(super) const STATUS: &str = "http.response.status_code";
pub(super) const URL_FULL: &str = "url.full";
pub(super) const URL_PATH: &str = "url.path";
pub(super) const USER_AGENT: &str = "user_agent.original";

pub(super) const CANONICAL_REVISION: &str = "istio.canonical_revision";
pub(super) const CANONICAL_SERVICE: &str = "istio.canonical_service";
pub(super) const CLUSTER: &str = "upstream_cluster.name";
pub(super) const FLAGS: &str = "response_flags";
pub(super) const ISTIO_NAMESPACE: &str = "istio.namespace";
pub(super) const ISTIO_MESH_ID: &str = "istio.mesh_id";
/// Of ours: which rule of an AuthorizationPolicy has decided, as Envoy names rules.
pub(super) const POLICY: &str = "istio.policy";
pub(super) const REQUEST_ID: &str = "guid:x-request-id";

pub(super) fn pair(key: &'static str, value: impl Into<Value>) -> KeyValue {
    KeyValue::new(key, value)
}

/// A method that everybody knows; others would make names without end.
pub(super) fn known_method(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

pub(super) const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// What a gRPC status is called.
pub(super) const fn grpc_name(status: u8) -> &'static str {
    match status {
        0 => "OK",
        1 => "CANCELLED",
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND",
        6 => "ALREADY_EXISTS",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        9 => "FAILED_PRECONDITION",
        10 => "ABORTED",
        11 => "OUT_OF_RANGE",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        16 => "UNAUTHENTICATED",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_semantic_conventions::{SCHEMA_URL, attribute};

    use super::*;

    #[test]
    fn names_are_those_of_the_conventions() {
        assert_eq!(SCHEMA, SCHEMA_URL);
        for (ours, theirs) in [
            (CLIENT_ADDRESS, attribute::CLIENT_ADDRESS),
            (ERROR_TYPE, attribute::ERROR_TYPE),
            (METHOD, attribute::HTTP_REQUEST_METHOD),
            (METHOD_ORIGINAL, attribute::HTTP_REQUEST_METHOD_ORIGINAL),
            (PEER_ADDRESS, attribute::NETWORK_PEER_ADDRESS),
            (PEER_PORT, attribute::NETWORK_PEER_PORT),
            (PROTOCOL_VERSION, attribute::NETWORK_PROTOCOL_VERSION),
            (RESEND_COUNT, attribute::HTTP_REQUEST_RESEND_COUNT),
            (RPC_METHOD, attribute::RPC_METHOD),
            (RPC_STATUS, attribute::RPC_RESPONSE_STATUS_CODE),
            (RPC_SYSTEM, attribute::RPC_SYSTEM_NAME),
            (SCHEME, attribute::URL_SCHEME),
            (SERVER_ADDRESS, attribute::SERVER_ADDRESS),
            (SERVER_PORT, attribute::SERVER_PORT),
            (STATUS, attribute::HTTP_RESPONSE_STATUS_CODE),
            (URL_FULL, attribute::URL_FULL),
            (URL_PATH, attribute::URL_PATH),
            (USER_AGENT, attribute::USER_AGENT_ORIGINAL),
        ] {
            assert_eq!(ours, theirs);
        }
    }
}
