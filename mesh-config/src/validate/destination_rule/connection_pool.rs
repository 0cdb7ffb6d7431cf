//! Connection pools, of clients and of servers.

use super::super::checker::{At, Checker};
use super::super::common::{duration, not_negative};
use crate::api::destination_rule::{ConnectionPoolSettings, H2UpgradePolicy, HttpSettings, TcpSettings};

pub(in super::super) fn check(cx: &mut Checker<'_>, at: &At<'_>, pool: &ConnectionPoolSettings) {
    if pool.tcp.is_none() && pool.http.is_none() {
        cx.error(at, "connection pool must have at least one field");
    }
    if let Some(http) = &pool.http {
        check_http(cx, &at.field("http"), http);
    }
    if let Some(tcp) = &pool.tcp {
        check_tcp(cx, &at.field("tcp"), tcp);
    }
}

fn check_http(cx: &mut Checker<'_>, at: &At<'_>, http: &HttpSettings) {
    not_negative(
        cx,
        &at.field("http1MaxPendingRequests"),
        http.http1_max_pending_requests,
        "http1 max pending requests",
    );
    not_negative(cx, &at.field("http2MaxRequests"), http.http2_max_requests, "http2 max requests");
    let per_connection = http.max_requests_per_connection;
    not_negative(cx, &at.field("maxRequestsPerConnection"), per_connection, "max requests per connection");
    not_negative(cx, &at.field("maxRetries"), http.max_retries, "max retries");
    not_negative(cx, &at.field("maxConcurrentStreams"), http.max_concurrent_streams, "max concurrent streams");
    duration(cx, &at.field("idleTimeout"), http.idle_timeout);
    if http.h2_upgrade_policy == H2UpgradePolicy::Upgrade && http.use_client_protocol {
        let message = "use client protocol must not be true when H2UpgradePolicy is UPGRADE";
        cx.error(&at.field("useClientProtocol"), message);
    }
    if let Some(keep_alive) = &http.http2_keep_alive {
        let at = at.field("http2KeepAlive");
        cx.error_if(keep_alive.interval.is_none(), &at, "http2 keepalive interval is required");
        cx.error_if(keep_alive.timeout.is_none(), &at, "http2 keepalive timeout is required");
        duration(cx, &at.field("interval"), keep_alive.interval);
        duration(cx, &at.field("timeout"), keep_alive.timeout);
    }
}

fn check_tcp(cx: &mut Checker<'_>, at: &At<'_>, tcp: &TcpSettings) {
    not_negative(cx, &at.field("maxConnections"), tcp.max_connections, "max connections");
    duration(cx, &at.field("connectTimeout"), tcp.connect_timeout);
    duration(cx, &at.field("maxConnectionDuration"), tcp.max_connection_duration);
    // Less than a millisecond is never.
    let idle = tcp.idle_timeout.filter(|idle| idle.as_nanos() / NANOS_PER_MILLISECOND != 0);
    duration(cx, &at.field("idleTimeout"), idle);
    if let Some(keep_alive) = &tcp.tcp_keepalive {
        let at = at.field("tcpKeepalive");
        duration(cx, &at.field("time"), keep_alive.time);
        duration(cx, &at.field("interval"), keep_alive.interval);
    }
}

const NANOS_PER_MILLISECOND: i64 = 1_000_000;
