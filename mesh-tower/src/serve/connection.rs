//! One connection, from its first byte to its last.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use mesh_core::Profile;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use tower_service::Service;

use crate::Body;
use crate::BoxError;
use crate::identity::Peer;

use super::drain::Participant;
use super::limits::Limits;
use super::secure::{Begun, SecureIo, Security};
use super::service::ConnectionService;
use super::state::ConnectionState;
use super::tracked::TrackedIo;
use super::watchdog::{Finding, Watchdog};
use super::{Address, PeerAddress, ServeOptions};

/// What the connections of one listener share.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) options: ServeOptions,
    pub(super) limits: Limits,
    pub(super) security: Security,
    protocol: auto::Builder<TokioExecutor>,
}

impl Settings {
    pub(super) fn new(options: ServeOptions, profile: Profile, security: Security) -> Self {
        let limits = Limits::of(&options, profile);
        let mut protocol = auto::Builder::new(TokioExecutor::new());
        protocol
            .http1()
            .timer(TokioTimer::new())
            // It would count the time between two requests too; the watchdog tells them apart.
            .header_read_timeout(None)
            .half_close(options.half_close)
            .max_buf_size(limits.head_bytes as usize)
            .max_headers(options.max_headers);
        protocol
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(options.keepalive_interval)
            .keep_alive_timeout(options.keepalive_timeout)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(limits.head_list_bytes)
            .max_concurrent_streams(limits.streams)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(OWN_RESETS);
        Self { options, limits, security, protocol }
    }
}

/// Where a connection ends.
pub(super) struct Ends {
    pub(super) peer: Address,
    /// Ours, where it is known.
    pub(super) local: Option<SocketAddr>,
}

/// Serves one connection until it is closed, by either side or by the drain.
pub(super) async fn serve<I, S, R>(io: I, ends: Ends, app: S, mut drain: Participant, settings: Arc<Settings>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<http::Request<Body>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let Ends { peer, local } = ends;
    let begun = tokio::select! {
        biased;
        begun = settings.security.begin(io, settings.options.handshake_timeout, settings.limits.refuses_silence) => begun,
        () = drain.ended() => return,
    };
    let Begun { io, peer: tls, lasts } = match begun {
        Ok(begun) => begun,
        Err(refused) => {
            tracing::debug!(%peer, %refused, "connection closed");
            return;
        }
    };
    let state = Arc::new(ConnectionState::default());
    let io = TrackedIo::new(io, Arc::clone(&state), settings.limits.refuses_bare_feeds);
    let peer = Peer::new(PeerAddress(peer), local, tls);
    let service = ConnectionService::new(app, peer, Arc::clone(&state), Arc::clone(&settings));
    let end = lasts.zip(settings.limits.certificate_grace).map(|(lasts, grace)| lasts.saturating_add(grace));
    let mut end = pin!(end.filter(|end| *end < LONGEST).map(tokio::time::sleep));
    tokio::select! {
        biased;
        () = http(io, service, &mut drain, &state, &settings, lasts) => {}
        () = until(end.as_mut()) => {
            tracing::debug!("connection cut off: a certificate of it has not counted for long");
            end.set(None);
        }
    }

    // Now the byte stream is gone, or it is an upgraded connection in the application's hands.
    tokio::select! {
        biased;
        () = state.released() => {}
        () = drain.ended() => state.end(),
        () = until(end.as_mut()) => state.end(),
    }
}

/// Speaks HTTP until the connection is closed or upgraded.
async fn http<I, S, R>(
    io: TrackedIo<SecureIo<I>>,
    service: ConnectionService<S>,
    drain: &mut Participant,
    state: &ConnectionState,
    settings: &Settings,
    lasts: Option<Duration>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<http::Request<Body>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let mut connection = pin!(settings.protocol.serve_connection_with_upgrades(TokioIo::new(io), service));
    let mut watchdog = Watchdog::new(&settings.options, &settings.limits);
    let mut is_idle = false;
    let mut closing = Closing::No;
    // A certificate that counts for ever and a day needs no timer.
    let mut over = pin!(lasts.filter(|lasts| *lasts < LONGEST).map(tokio::time::sleep));
    loop {
        tokio::select! {
            biased;
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(error = &*error, "connection ended by an error");
                }
                return;
            }
            () = closing.next(drain) => {
                if closing == Closing::Gracefully {
                    return;
                }
                closing = Closing::Gracefully;
                connection.as_mut().graceful_shutdown();
            }
            () = until(over.as_mut()), if closing == Closing::No => {
                over.set(None);
                tracing::debug!("connection closed: the certificate of its peer counts no more");
                connection.as_mut().graceful_shutdown();
            }
            now = watchdog.tick() => match watchdog.inspect(state.activity(), now) {
                None => {}
                Some(Finding::HeadTooSlow) => {
                    tracing::debug!("connection closed: the head of a request took too long");
                    return;
                }
                Some(Finding::BodyTooSlow) => {
                    tracing::debug!("connection closed: the body of a request does not go on");
                    return;
                }
                Some(Finding::Stalled) => {
                    tracing::debug!("connection closed: an answer is not taken");
                    return;
                }
                // Who keeps an answer from being sent is not waited for twice.
                Some(Finding::Idle) if is_idle => return,
                Some(Finding::Idle) => {
                    is_idle = true;
                    connection.as_mut().graceful_shutdown();
                }
            },
        }
    }
}

/// Waits for a moment that may never come.
async fn until(moment: Pin<&mut Option<Sleep>>) {
    match moment.as_pin_mut() {
        Some(moment) => moment.await,
        None => std::future::pending().await,
    }
}

/// Timers end before longer times do.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How far the drain has come for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    Gracefully,
}

impl Closing {
    /// Waits for the next step of the drain: first to close gracefully, then to end.
    async fn next(self, drain: &mut Participant) {
        match self {
            Self::No => drain.draining().await,
            Self::Gracefully => drain.ended().await,
        }
    }
}

/// What may lie unread of one request.
const STREAM_WINDOW: u32 = 256 * 1024;

/// What may lie unsent of one answer.
const SEND_BUFFER: usize = 128 * 1024;

/// How many streams may be reset by the caller before anybody has looked at them. What is reset later is counted as
/// [`ServeOptions::max_cancelled_requests`].
const PENDING_RESETS: usize = 20;

/// How many streams of a connection, all its life, may be reset by us for what is wrong with them. Callers that do not know
/// yet how many streams they may open come to some hundreds.
const OWN_RESETS: usize = 1024;

/// What may lie unread of all requests on a connection: the memory that one caller can take. It has room
/// for many whole streams, so that a handler that does not read its request does not hold up the others.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
