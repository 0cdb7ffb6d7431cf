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
/// The defaults are safe on the open internet, and leave honest callers alone. Every limit is in force unless it is switched
/// off here, and none of them needs a timer of one's own. Where the default depends on the profile, `Profile::Safe` is
/// stricter than Envoy with Istio's settings, which `Profile::Istio` does as:
///
/// | limit | unit, range | `Safe` | `Istio` |
/// |---|---|---|---|
/// | [`handshake_timeout`](Self::handshake_timeout) | time | 10 s, silence ends it | 10 s, silence is plaintext |
/// | [`header_timeout`](Self::header_timeout) | time, or none | 30 s, from the beginning | 30 s, from the first byte |
/// | [`idle_timeout`](Self::idle_timeout) | time, or none | 1 h | 1 h |
/// | [`stall_timeout`](Self::stall_timeout) | time, or none | 5 min | none |
/// | [`body_timeout`](Self::body_timeout) | time, or none | 5 min | none |
/// | [`certificate_grace`](Self::certificate_grace) | time, or none | 1 h | none |
/// | [`max_header_bytes`](Self::max_header_bytes) | bytes, 8,192 to 2^24 | 61,440; HTTP/2: 16,384 | 61,440 |
/// | [`max_headers`](Self::max_headers) | lines | 100 | 100 |
/// | [`max_request_bytes`](Self::max_request_bytes) | bytes, or none | none | none |
/// | [`max_concurrent_streams`](Self::max_concurrent_streams) | streams of a connection, from 1 | 200 | 1,024 |
/// | [`max_cancelled_requests`](Self::max_cancelled_requests) | requests of a connection, or none | 500 | 500 |
///
/// Floods of frames need no limit of ours: a PING and a change of SETTINGS is answered before the next one is read, and
/// a connection ends that sends more than 5 frames for one head (or a quarter more than it has to), 20 streams that it
/// resets before they are looked at, or many thousand frames with next to no content.
#[derive(Clone)]
pub struct ServeOptions {
    pub(super) handshake_timeout: Duration,
    pub(crate) workload_port: Option<u16>,
    pub(super) header_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    /// The outer one is there if it was said.
    pub(super) stall_timeout: Option<Option<Duration>>,
    /// The outer one is there if it was said.
    pub(super) body_timeout: Option<Option<Duration>>,
    /// The outer one is there if it was said.
    pub(super) certificate_grace: Option<Option<Duration>>,
    pub(super) max_header_bytes: Option<u32>,
    pub(super) max_headers: usize,
    pub(super) max_request_bytes: Option<u64>,
    pub(super) max_concurrent_streams: Option<u32>,
    pub(super) max_cancelled_requests: Option<u32>,
    pub(super) keepalive_interval: Option<Duration>,
    pub(super) keepalive_timeout: Duration,
    pub(super) accept_http_10: bool,
    pub(super) refuse_underscores: bool,
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
            stall_timeout: None,
            body_timeout: None,
            certificate_grace: None,
            max_header_bytes: None,
            max_headers: 100,
            max_request_bytes: None,
            max_concurrent_streams: None,
            max_cancelled_requests: Some(500),
            keepalive_interval: None,
            keepalive_timeout: Duration::from_secs(20),
            accept_http_10: false,
            refuse_underscores: false,
            half_close: false,
            seen_address: None,
            extend: Vec::new(),
        }
    }

    /// How long a connection may take from its first moment to the end of its TLS handshake; 10 s unless set. It is closed
    /// then, with nothing said.
    ///
    /// Where both TLS and plaintext are taken (`PERMISSIVE`), it is also how long the first byte may take. Who has sent
    /// nothing by then is let go with `Profile::Safe`; with `Profile::Istio` it counts as a caller without TLS, as with
    /// Envoy, whose listener filters go on after their timeout.
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

    /// How long the head of a request may take from its first byte (HTTP/2: the frames of a head); 30 s unless set, `None`
    /// for no limit. Acts up to a quarter of this time late. The connection is closed without an
    /// answer.
    ///
    /// With `Profile::Safe` the first head of a connection may take that long from the beginning, as with most servers of
    /// the web: a connection that says nothing costs its caller nothing, and us a file descriptor. Envoy, and so
    /// `Profile::Istio`, counts such a one as idle. An HTTP/2 connection that has begun may wait for its first request.
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

    /// How long a connection may stand whose caller takes nothing of an answer that is there for it (a window that it
    /// keeps shut, or a socket that it does not read), while nothing else moves on the connection either; it is cut off
    /// then. 5 min unless set with `Profile::Safe`, as Envoy's `stream_idle_timeout`; none with `Profile::Istio`, as Istio
    /// switches that one off. `None` for no limit. Acts up to a quarter of the shortest of these times late. An
    /// application that has nothing to say yet may take as long as it likes.
    #[must_use]
    pub fn stall_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.stall_timeout = Some(timeout.into());
        self
    }

    /// How long a caller may pause within the body of a request, while there is nothing left to read of what it
    /// sent. On HTTP/1 the connection is cut off then, and the application gets an error in place of the rest. 5 min unless set with
    /// `Profile::Safe`, as Envoy's `stream_idle_timeout`; none with `Profile::Istio`, as Istio switches that one off. `None`
    /// for no limit.
    ///
    /// On HTTP/2 it is the stream alone that ends: the application gets the error, while it waits for the rest and has answered
    /// nothing yet. Streams of gRPC, and those whose answer has begun, may be silent for as long as they like.
    #[must_use]
    pub fn body_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.body_timeout = Some(timeout.into());
        self
    }

    /// How long what is under way on a connection may last after its caller's certificate counts no more. New
    /// requests are not taken from that moment on; what has begun, a stream or a connection that was upgraded, is cut off
    /// when this is over. 1 h unless set with `Profile::Safe`; none with `Profile::Istio`, as Envoy looks at certificates
    /// when a connection begins and never again. `None` for no limit.
    #[must_use]
    pub fn certificate_grace(mut self, grace: impl Into<Option<Duration>>) -> Self {
        self.certificate_grace = Some(grace.into());
        self
    }

    /// The size of a request head: bytes on the wire for HTTP/1; for HTTP/2 names and values unpacked, and 32 bytes for
    /// each line. At least 8 KiB, at most 16 MiB. A larger one is answered 431.
    ///
    /// Unless set it is 60 KiB, as Envoy's `max_request_headers_kb`; with `Profile::Safe` 16 KiB on HTTP/2, where one byte
    /// sent can stand for thousands kept, for each of many streams.
    #[must_use]
    pub fn max_header_bytes(mut self, bytes: u32) -> Self {
        self.max_header_bytes = Some(bytes.clamp(8 * 1024, 16 * 1024 * 1024));
        self
    }

    /// The number of header lines of a request, each `cookie` of HTTP/2 counted; 100 unless set, as Envoy's
    /// `max_headers_count`. More are answered 431.
    #[must_use]
    pub fn max_headers(mut self, count: usize) -> Self {
        self.max_headers = count;
        self
    }

    /// The size of a request body in bytes; no limit unless set, as in Istio. What says that it is larger is answered
    /// 413 before the application hears of it; what turns out to be larger breaks off with an error, of which the source is
    /// [`http_body_util::LengthLimitError`] (axum's extractors answer it with 413).
    ///
    /// There is no default, since a body is not kept: of one that nobody reads no more than 256 KiB come in.
    #[must_use]
    pub fn max_request_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_request_bytes = bytes.into();
        self
    }

    /// How many streams a caller may have open on an HTTP/2 connection, at least 1. 200 unless set with `Profile::Safe`:
    /// what one caller can hold at once. 1,024 with `Profile::Istio`, as with Envoy. More are refused, and may be tried
    /// again.
    #[must_use]
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.max_concurrent_streams = Some(streams.max(1));
        self
    }

    /// After how many requests an HTTP/2 connection is cut off of which the caller has cancelled at least half, each
    /// within a second and before it was answered; 500 unless set, `None` for no limit. As Envoy's
    /// `overload.premature_reset_total_stream_count`: to cancel is cheaper than to begin what is cancelled.
    #[must_use]
    pub fn max_cancelled_requests(mut self, requests: impl Into<Option<u32>>) -> Self {
        self.max_cancelled_requests = requests.into();
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

    /// Whether a request with a header name that has an underscore in it is answered 400, as an Envoy at the edge does
    /// (`headers_with_underscores_action`). Unless set it is taken, as by Istio; an application that reads headers as CGI
    /// does cannot tell `x_user` from `x-user`.
    #[must_use]
    pub fn refuse_underscores(mut self, refuse: bool) -> Self {
        self.refuse_underscores = refuse;
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
            .field("stall_timeout", &self.stall_timeout)
            .field("body_timeout", &self.body_timeout)
            .field("certificate_grace", &self.certificate_grace)
            .field("max_header_bytes", &self.max_header_bytes)
            .field("max_headers", &self.max_headers)
            .field("max_request_bytes", &self.max_request_bytes)
            .field("max_concurrent_streams", &self.max_concurrent_streams)
            .field("max_cancelled_requests", &self.max_cancelled_requests)
            .field("keepalive_interval", &self.keepalive_interval)
            .field("keepalive_timeout", &self.keepalive_timeout)
            .field("accept_http_10", &self.accept_http_10)
            .field("refuse_underscores", &self.refuse_underscores)
            .field("half_close", &self.half_close)
            .field("seen_address", &self.seen_address)
            .field("extensions", &self.extend.len())
            .finish()
    }
}
