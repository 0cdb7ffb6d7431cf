//! Why the mesh itself answered, and what the caller is told: the one table.

use std::fmt;

use http::StatusCode;

use crate::ResponseFlags;

/// A decision or an accident that ends a request without a usable upstream response.
///
/// Each variant says whose fault it is. Status, body and flags are those that Envoy uses for the
/// same event; a gRPC caller gets `200` with [`grpc_code`](Self::grpc_code) instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The caller's: an `AuthorizationPolicy` does not let it in. 403; which policy is in the log alone.
    AccessDenied,
    /// The configuration's: the mesh does not know the host and may not pass it through
    /// (`REGISTRY_ONLY`). 502.
    Blocked,
    /// The endpoint's: TCP or TLS could not be established. 503 UF.
    ConnectFailed,
    /// The endpoint's: no connection within `connectTimeout`. 503 UF.
    ConnectTimeout,
    /// The endpoint's: it closed the connection before a response. 503 UC.
    ConnectionTerminated,
    /// The configuration's: a fault rule aborted the request. Status as configured, FI.
    FaultAbort(StatusCode),
    /// The configuration's: a fault rule aborted the request with a gRPC status. FI.
    FaultAbortGrpc(i32),
    /// The caller's: the path cannot be brought into one form. 400.
    InvalidPath,
    /// Ours: the stream to the endpoint was reset by this side. 503 LR.
    LocalReset,
    /// The caller's: the request has no usable authority or is otherwise malformed. 400.
    MalformedRequest,
    /// The configuration's: the destination names a host, port or subset that does not exist. 503 NC.
    NoCluster,
    /// The destination's: it has no endpoint, or every one is ejected. 503 UH.
    NoHealthyUpstream,
    /// The configuration's: no virtual host or no route takes the request. 404 NR.
    NoRoute,
    /// Ours: not every source of the configuration has delivered yet, so nobody knows who may be let in. 503; Envoy does not
    /// listen before.
    NotReady,
    /// The destination's: a limit of its connection pool is reached. 503 UO.
    Overflow(Limit),
    /// The caller's: the path does not begin with a slash, such as that of `OPTIONS *`. 404.
    PathRejected,
    /// The endpoint's: one try took longer than `perTryTimeout`. 504 UT.
    PerTryTimeout,
    /// The endpoint's: what it sent is not HTTP. 502 UPE.
    ProtocolError,
    /// The endpoint's: it refused the HTTP/2 stream before processing it. 503 UR.
    RefusedStream,
    /// The destination's: the whole request took longer than the route's `timeout`. 504 UT.
    RequestTimeout,
    /// The endpoint's: it reset the HTTP/2 stream. 503 UR.
    ResetByUpstream,
    /// Ours: the configuration or the request asks for TLS to the endpoint that cannot be begun (no certificate, a
    /// file that cannot be read), and plaintext is never sent instead. 503 UF; not tried again, and no fault of the
    /// endpoint's.
    TlsNotServed,
    /// The caller's: an upgrade other than WebSocket. 403.
    UpgradeRefused,
}

/// Which limit of a connection pool was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// `connectionPool.tcp.maxConnections`
    Connections,
    /// `connectionPool.http.http1MaxPendingRequests`
    PendingRequests,
    /// `connectionPool.http.http2MaxRequests`
    Requests,
    /// `connectionPool.http.maxRetries` or the retry budget
    Retries,
}

impl Limit {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Connections, Self::PendingRequests, Self::Requests, Self::Retries];

    /// The field of the DestinationRule that sets it.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Connections => "connectionPool.tcp.maxConnections",
            Self::PendingRequests => "connectionPool.http.http1MaxPendingRequests",
            Self::Requests => "connectionPool.http.http2MaxRequests",
            Self::Retries => "connectionPool.http.maxRetries",
        }
    }
}

impl Failure {
    /// The response flags Envoy logs for it.
    pub const fn flags(self) -> ResponseFlags {
        match self {
            Self::AccessDenied
            | Self::Blocked
            | Self::InvalidPath
            | Self::MalformedRequest
            | Self::NotReady
            | Self::PathRejected
            | Self::UpgradeRefused => ResponseFlags::NONE,
            Self::ConnectFailed | Self::ConnectTimeout | Self::TlsNotServed => ResponseFlags::UF,
            Self::ConnectionTerminated => ResponseFlags::UC,
            Self::FaultAbort(_) | Self::FaultAbortGrpc(_) => ResponseFlags::FI,
            Self::LocalReset => ResponseFlags::LR,
            Self::NoCluster => ResponseFlags::NC,
            Self::NoHealthyUpstream => ResponseFlags::UH,
            Self::NoRoute => ResponseFlags::NR,
            Self::Overflow(_) => ResponseFlags::UO,
            Self::PerTryTimeout | Self::RequestTimeout => ResponseFlags::UT,
            Self::ProtocolError => ResponseFlags::UPE,
            Self::RefusedStream | Self::ResetByUpstream => ResponseFlags::UR,
        }
    }

    /// The HTTP status a caller that does not speak gRPC gets.
    pub const fn http_status(self) -> StatusCode {
        match self {
            Self::Blocked | Self::ProtocolError => StatusCode::BAD_GATEWAY,
            Self::FaultAbort(status) => status,
            // Envoy answers plain HTTP with 200 and the fault's body.
            Self::FaultAbortGrpc(_) => StatusCode::OK,
            Self::InvalidPath | Self::MalformedRequest => StatusCode::BAD_REQUEST,
            Self::NoRoute | Self::PathRejected => StatusCode::NOT_FOUND,
            Self::PerTryTimeout | Self::RequestTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::AccessDenied | Self::UpgradeRefused => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The `grpc-status` a gRPC caller gets.
    pub fn grpc_code(self) -> i32 {
        match self {
            Self::FaultAbortGrpc(code) => code,
            other => grpc_code_of(other.http_status()),
        }
    }

    /// Why the stream ended, in Envoy's words; `None` where no stream was involved.
    pub const fn reset_reason(self) -> Option<&'static str> {
        Some(match self {
            Self::ConnectFailed | Self::TlsNotServed => "remote connection failure",
            Self::ConnectTimeout => "connection timeout",
            Self::ConnectionTerminated => "connection termination",
            Self::LocalReset => "local reset",
            Self::Overflow(_) => "overflow",
            Self::ProtocolError => "protocol error",
            Self::RefusedStream => "remote refused stream reset",
            Self::ResetByUpstream => "remote reset",
            _ => return None,
        })
    }

    /// The body of the local reply, empty where Envoy's is. `retried`: an earlier try was made.
    pub fn body(self, retried: bool) -> String {
        if let Some(reason) = self.reset_reason() {
            let how = if retried { "retried and the latest reset reason" } else { "reset reason" };
            return format!("upstream connect error or disconnect/reset before headers. {how}: {reason}");
        }
        match self {
            Self::AccessDenied => "RBAC: access denied",
            Self::FaultAbort(_) | Self::FaultAbortGrpc(_) => "fault filter abort",
            Self::NoHealthyUpstream => "no healthy upstream",
            Self::PerTryTimeout | Self::RequestTimeout => "upstream request timeout",
            _ => "",
        }
        .into()
    }

    /// Envoy's response code detail for it.
    pub const fn details(self) -> &'static str {
        match self {
            Self::AccessDenied => "rbac_access_denied",
            Self::Blocked => "direct_response",
            Self::ConnectFailed | Self::TlsNotServed => {
                "upstream_reset_before_response_started{remote_connection_failure}"
            }
            Self::ConnectTimeout => "upstream_reset_before_response_started{connection_timeout}",
            Self::ConnectionTerminated => "upstream_reset_before_response_started{connection_termination}",
            Self::FaultAbort(_) | Self::FaultAbortGrpc(_) => "fault_filter_abort",
            Self::InvalidPath => "path_normalization_failed",
            Self::LocalReset => "upstream_reset_before_response_started{local_reset}",
            Self::MalformedRequest => "missing_host_header",
            Self::NoCluster => "cluster_not_found",
            Self::NoHealthyUpstream => "no_healthy_upstream",
            Self::NoRoute => "route_not_found",
            Self::NotReady => "configuration_not_ready",
            Self::Overflow(_) => "upstream_reset_before_response_started{overflow}",
            Self::PathRejected => "absolute_path_rejected",
            Self::PerTryTimeout => "upstream_per_try_timeout",
            Self::ProtocolError => "upstream_reset_before_response_started{protocol_error}",
            Self::RefusedStream => "upstream_reset_before_response_started{remote_refused_stream_reset}",
            Self::RequestTimeout => "response_timeout",
            Self::ResetByUpstream => "upstream_reset_before_response_started{remote_reset}",
            Self::UpgradeRefused => "upgrade_failed",
        }
    }

    /// Whether the event happened between us and an endpoint (as opposed to before one was tried).
    pub const fn is_upstream(self) -> bool {
        matches!(
            self,
            Self::ConnectFailed
                | Self::ConnectTimeout
                | Self::ConnectionTerminated
                | Self::LocalReset
                | Self::PerTryTimeout
                | Self::ProtocolError
                | Self::RefusedStream
                | Self::ResetByUpstream
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied => f.write_str("a policy does not let the caller in"),
            Self::Blocked => f.write_str("the host is not in the registry and may not be passed through"),
            Self::ConnectFailed => f.write_str("connecting to the endpoint failed"),
            Self::ConnectTimeout => f.write_str("connecting to the endpoint took longer than connectTimeout"),
            Self::ConnectionTerminated => f.write_str("the endpoint closed the connection before it answered"),
            Self::FaultAbort(status) => write!(f, "a fault rule aborted the request with {}", status.as_u16()),
            Self::FaultAbortGrpc(code) => write!(f, "a fault rule aborted the request with gRPC status {code}"),
            Self::InvalidPath => f.write_str("the path cannot be brought into one form"),
            Self::LocalReset => f.write_str("the stream was reset by this side"),
            Self::MalformedRequest => f.write_str("the request is malformed or names no authority"),
            Self::NoCluster => f.write_str("the destination's host, port or subset does not exist"),
            Self::NoHealthyUpstream => f.write_str("the destination has no healthy endpoint"),
            Self::NoRoute => f.write_str("no virtual host or route matches"),
            Self::NotReady => f.write_str("not every source of the configuration has delivered yet"),
            Self::Overflow(limit) => write!(f, "{} is reached", limit.field()),
            Self::PathRejected => f.write_str("the path does not begin with a slash"),
            Self::PerTryTimeout => f.write_str("the try took longer than perTryTimeout"),
            Self::ProtocolError => f.write_str("the endpoint's answer is not HTTP"),
            Self::RefusedStream => f.write_str("the endpoint refused the stream"),
            Self::RequestTimeout => f.write_str("the request took longer than the route's timeout"),
            Self::ResetByUpstream => f.write_str("the endpoint reset the stream"),
            Self::TlsNotServed => {
                f.write_str("TLS cannot be made as it is asked for, and plaintext is not sent instead")
            }
            Self::UpgradeRefused => f.write_str("only WebSocket upgrades are passed on"),
        }
    }
}

impl std::error::Error for Failure {}

/// The gRPC status that stands for an HTTP status in a reply the mesh makes itself.
pub fn grpc_code_of(status: StatusCode) -> i32 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_answers_as_envoy_does() {
        let rows: &[(Failure, u16, i32, &str, &str)] = &[
            (Failure::NoRoute, 404, 12, "NR", ""),
            (Failure::NoCluster, 503, 14, "NC", ""),
            (Failure::NoHealthyUpstream, 503, 14, "UH", "no healthy upstream"),
            (Failure::RequestTimeout, 504, 14, "UT", "upstream request timeout"),
            (Failure::PerTryTimeout, 504, 14, "UT", "upstream request timeout"),
            (
                Failure::Overflow(Limit::Requests),
                503,
                14,
                "UO",
                "upstream connect error or disconnect/reset before headers. reset reason: overflow",
            ),
            (
                Failure::ConnectFailed,
                503,
                14,
                "UF",
                "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
            ),
            (Failure::FaultAbort(StatusCode::IM_A_TEAPOT), 418, 2, "FI", "fault filter abort"),
            (Failure::FaultAbortGrpc(8), 200, 8, "FI", "fault filter abort"),
            (Failure::AccessDenied, 403, 7, "-", "RBAC: access denied"),
            (Failure::Blocked, 502, 14, "-", ""),
            (Failure::InvalidPath, 400, 13, "-", ""),
            (Failure::NotReady, 503, 14, "-", ""),
            (Failure::PathRejected, 404, 12, "-", ""),
        ];
        for (failure, status, grpc, flags, body) in rows {
            assert_eq!(failure.http_status().as_u16(), *status, "{failure:?}");
            assert_eq!(failure.grpc_code(), *grpc, "{failure:?}");
            assert_eq!(failure.flags().to_string(), *flags, "{failure:?}");
            assert_eq!(failure.body(false), *body, "{failure:?}");
        }
    }

    #[test]
    fn a_retried_reset_says_so() {
        assert_eq!(
            Failure::ConnectionTerminated.body(true),
            "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: \
             connection termination"
        );
    }
}
