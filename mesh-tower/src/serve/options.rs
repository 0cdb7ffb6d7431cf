//! How connections are served.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;

use super::PeerAddress;

type Extend = dyn Fn(&PeerAddress, &mut Extensions) + Send + Sync;

/// Limits and switches of the connections that a server accepts.
///
/// The defaults are Envoy's where it has one, and otherwise leave honest callers alone.
#[derive(Clone)]
pub struct ServeOptions {
    pub(super) handshake_timeout: Duration,
    pub(crate) workload_port: Option<u16>,
    pub(super) header_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) max_header_bytes: u32,
    pub(super) max_headers: usize,
    pub(super) max_concurrent_streams: u32,
    pub(super) keepalive_interval: Option<Duration>,
    pub(super) keepalive_timeout: Duration,
    pub(super) accept_http_10: bool,
    pub(super) half_close: bool,
    pub(super) seen_address: Option<SocketAddr>,
    pub(super) extend: Vec<Arc<Extend>>,
}

impl ServeOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            workload_port: None,
            header_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(3600)),
            max_header_bytes: 60 * 1024,
            max_headers: 100,
            max_concurrent_streams: 1024,
            keepalive_interval: None,
            keepalive_timeout: Duration::from_secs(20),
            accept_http_10: false,
            half_close: false,
            seen_address: None,
            extend: Vec::new(),
        }
    }

    /// How long a TLS handshake may take, 10 s unless set; and how long it may take until the first byte shows whether there
    /// is one, where both are taken: who has sent nothing by then counts as a caller without TLS.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// The port of the workload that this listener is, for policies that name ports; the port that is listened at unless
    /// set.
    #[must_use]
    pub fn workload_port(mut self, port: u16) -> Self {
        self.workload_port = Some(port);
        self
    }

    /// How long the head of an HTTP/1 request may take from its first byte; 30 s unless set, `None`
    /// for no limit. Acts up to a quarter of this time late. The connection is closed without an
    /// answer.
    #[must_use]
    pub fn header_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.header_timeout = timeout.into();
        self
    }

    /// How long a connection may have no request under way before it is closed (HTTP/2: with
    /// GOAWAY); one hour unless set, as Envoy's `idle_timeout`, `None` for no limit.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = timeout.into();
        self
    }

    /// The size of a request head, at least 8 KiB; 60 KiB unless set, as Envoy's
    /// `max_request_headers_kb`. A larger one is answered 431.
    #[must_use]
    pub fn max_header_bytes(mut self, bytes: u32) -> Self {
        self.max_header_bytes = bytes.max(8 * 1024);
        self
    }

    /// The number of header lines of an HTTP/1 request; 100 unless set, as Envoy's
    /// `max_headers_count`. More are answered 431.
    #[must_use]
    pub fn max_headers(mut self, count: usize) -> Self {
        self.max_headers = count;
        self
    }

    /// How many streams a caller may have open on an HTTP/2 connection; 1024 unless set.
    #[must_use]
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.max_concurrent_streams = streams;
        self
    }

    /// Sends an HTTP/2 PING every `interval` and closes the connection when it is not answered
    /// within `timeout`. Off unless set.
    #[must_use]
    pub fn http2_keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keepalive_interval = Some(interval);
        self.keepalive_timeout = timeout;
        self
    }

    /// Whether HTTP/1.0 requests reach the application. Unless set they are answered
    /// `426 Upgrade Required`, as Istio does.
    #[must_use]
    pub fn accept_http_10(mut self, accept: bool) -> Self {
        self.accept_http_10 = accept;
        self
    }

    /// Whether an HTTP/1 caller may close its sending side and still wait for the response. Unless
    /// set, that counts as going away, as with Envoy: the request under way is cancelled.
    #[must_use]
    pub fn half_close(mut self, allow: bool) -> Self {
        self.half_close = allow;
        self
    }

    /// The address and port that policies see as ours (`destination.ip`, `destination.port`, `ports`), where they are not
    /// those of the listener: behind a port mapping. An address of `0.0.0.0` is none.
    #[must_use]
    pub fn policy_address(mut self, address: SocketAddr) -> Self {
        self.seen_address = Some(address);
        self
    }

    pub(crate) fn seen_address(&self) -> Option<SocketAddr> {
        self.seen_address
    }

    /// Puts what `make` gives for the caller's address into the extensions of every request.
    #[must_use]
    pub fn extension<T>(mut self, make: impl Fn(&PeerAddress) -> T + Send + Sync + 'static) -> Self
    where
        T: Clone + Send + Sync + 'static,
    {
        self.extend.push(Arc::new(move |peer, extensions| {
            extensions.insert(make(peer));
        }));
        self
    }
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("handshake_timeout", &self.handshake_timeout)
            .field("workload_port", &self.workload_port)
            .field("header_timeout", &self.header_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_header_bytes", &self.max_header_bytes)
            .field("max_headers", &self.max_headers)
            .field("max_concurrent_streams", &self.max_concurrent_streams)
            .field("keepalive_interval", &self.keepalive_interval)
            .field("keepalive_timeout", &self.keepalive_timeout)
            .field("accept_http_10", &self.accept_http_10)
            .field("half_close", &self.half_close)
            .field("seen_address", &self.seen_address)
            .field("extensions", &self.extend.len())
            .finish()
    }
}
