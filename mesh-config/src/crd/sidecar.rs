//! `Sidecar`.

use super::connection_pool::CONNECTION_POOL;
use super::port::{DESTINATION, SIDECAR_PORT};
use super::schema::{Schema, TEXT, list, object, one_of};
use super::selector::WORKLOAD_SELECTOR;
use super::server_tls::SERVER_TLS;

pub(super) static SPEC: Schema = object(&[
    ("egress", list(&EGRESS)),
    ("inboundConnectionPool", CONNECTION_POOL),
    ("ingress", list(&INGRESS)),
    (
        "outboundTrafficPolicy",
        object(&[("egressProxy", DESTINATION), ("mode", one_of(&["REGISTRY_ONLY", "ALLOW_ANY"]))]),
    ),
    ("workloadSelector", WORKLOAD_SELECTOR),
]);

const CAPTURE_MODE: Schema = one_of(&["DEFAULT", "IPTABLES", "NONE"]);

const EGRESS: Schema =
    object(&[("bind", TEXT), ("captureMode", CAPTURE_MODE), ("hosts", list(&TEXT)), ("port", SIDECAR_PORT)])
        .required(&["hosts"]);

const INGRESS: Schema = object(&[
    ("bind", TEXT),
    ("captureMode", CAPTURE_MODE),
    ("connectionPool", CONNECTION_POOL),
    ("defaultEndpoint", TEXT),
    ("port", SIDECAR_PORT),
    ("tls", SERVER_TLS),
])
.required(&["port"]);
