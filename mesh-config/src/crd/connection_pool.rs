//! `connectionPool`.

use super::rule::DURATION;
use super::schema::{BOOLEAN, Schema, TEXT, UNSIGNED, WHOLE, object, one_of};

pub(super) const SPAN: Schema = TEXT.rules(&[DURATION]);

pub(super) const CONNECTION_POOL: Schema = object(&[("http", HTTP), ("tcp", TCP)]);

const HTTP: Schema = object(&[
    ("h2UpgradePolicy", one_of(&["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"])),
    ("http1MaxPendingRequests", WHOLE),
    ("http2KeepAlive", object(&[("interval", SPAN), ("timeout", SPAN)])),
    ("http2MaxRequests", WHOLE),
    ("idleTimeout", SPAN),
    ("maxConcurrentStreams", WHOLE),
    ("maxRequestsPerConnection", WHOLE),
    ("maxRetries", WHOLE),
    ("useClientProtocol", BOOLEAN),
]);

const TCP: Schema = object(&[
    ("connectTimeout", SPAN),
    // May be `0s`, which is none.
    ("idleTimeout", TEXT),
    ("maxConnectionDuration", SPAN),
    ("maxConnections", WHOLE),
    ("tcpKeepalive", object(&[("interval", SPAN), ("probes", UNSIGNED), ("time", SPAN)])),
]);
