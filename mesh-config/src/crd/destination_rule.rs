//! `DestinationRule`.

use super::connection_pool::{CONNECTION_POOL, SPAN};
use super::load_balancer::LOAD_BALANCER;
use super::schema::{BOOLEAN, NUMBER, Schema, TEXT, UNSIGNED, WHOLE, list, map, object, one_of};
use super::{port, selector};

pub(super) static SPEC: Schema = object(&[
    ("exportTo", list(&TEXT)),
    ("host", TEXT),
    ("subsets", list(&SUBSET)),
    ("trafficPolicy", TRAFFIC_POLICY),
    ("workloadSelector", selector::SELECTOR),
])
.required(&["host"]);

const SUBSET: Schema =
    object(&[("labels", map(&TEXT)), ("name", TEXT), ("trafficPolicy", TRAFFIC_POLICY)]).required(&["name"]);

const TRAFFIC_POLICY: Schema = object(&[
    ("connectionPool", CONNECTION_POOL),
    ("loadBalancer", LOAD_BALANCER),
    ("outlierDetection", OUTLIER_DETECTION),
    ("portLevelSettings", list(&PORT_POLICY).at_most(4096)),
    ("proxyProtocol", object(&[("version", one_of(&["V1", "V2"]))])),
    ("retryBudget", RETRY_BUDGET),
    ("tls", TLS),
    ("tunnel", TUNNEL),
]);

const PORT_POLICY: Schema = object(&[
    ("connectionPool", CONNECTION_POOL),
    ("loadBalancer", LOAD_BALANCER),
    ("outlierDetection", OUTLIER_DETECTION),
    ("port", port::SELECTOR),
    ("tls", TLS),
]);

const OUTLIER_DETECTION: Schema = object(&[
    ("baseEjectionTime", SPAN),
    ("consecutive5xxErrors", UNSIGNED.nullable()),
    ("consecutiveErrors", WHOLE),
    ("consecutiveGatewayErrors", UNSIGNED.nullable()),
    ("consecutiveLocalOriginFailures", UNSIGNED.nullable()),
    ("interval", SPAN),
    ("maxEjectionPercent", WHOLE),
    ("minHealthPercent", WHOLE),
    ("outlierDetectionHttpErrorCodes", list(&WHOLE.at_least(100).at_most(599))),
    ("splitExternalLocalOriginErrors", BOOLEAN),
]);

const RETRY_BUDGET: Schema = object(&[
    ("budgetInterval", TEXT),
    ("minRetryConcurrency", UNSIGNED),
    ("percent", NUMBER.at_least(0).at_most(100).nullable()),
]);

const TLS: Schema = object(&[
    ("caCertificates", TEXT),
    ("caCrl", TEXT),
    ("clientCertificate", TEXT),
    ("credentialName", TEXT),
    ("insecureSkipVerify", BOOLEAN.nullable()),
    ("mode", one_of(&["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"])),
    ("privateKey", TEXT),
    ("sni", TEXT),
    ("subjectAltNames", list(&TEXT)),
]);

const TUNNEL: Schema = object(&[("protocol", TEXT), ("targetHost", TEXT), ("targetPort", UNSIGNED)])
    .required(&["targetHost", "targetPort"]);
