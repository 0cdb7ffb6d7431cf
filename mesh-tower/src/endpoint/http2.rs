//! HTTP/2: many requests at once on a connection, and another one where they are too many.

use std::future::Future as _;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mesh_core::cluster::PoolSpec;

use super::connector::Socket;
use super::lease::{Lease, StreamLease};
use super::upload::Upload;
use super::{Shared, Slot, Unanswered, classify};
use crate::{Body, Error};

/// The open connections of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<Vec<Connection>>,
    /// Held while one is opened.
    pub(super) opening: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Connection {
    sender: SendRequest<Body>,
    streams: Arc<AtomicU32>,
    /// Streams that the peer allows, as its settings say.
    allowed: Arc<AtomicU32>,
    served: Arc<AtomicU32>,
    born: Instant,
    last_used: Instant,
    shared: Arc<Shared>,
}

impl Connection {
    /// Whether it may take no further request: its peer is going away, or it has served its time.
    fn is_spent(&self, spec: &PoolSpec, now: Instant) -> bool {
        let most = spec.max_requests_per_connection;
        let idle = self.streams.load(Ordering::Relaxed) == 0
            && spec.idle_timeout.is_some_and(|most| now.saturating_duration_since(self.last_used) >= most);
        idle || self.sender.is_closed()
            || (most > 0 && self.served.load(Ordering::Relaxed) >= most)
            || spec.max_connection_duration.is_some_and(|most| now.saturating_duration_since(self.born) >= most)
    }

    fn has_room(&self, spec: &PoolSpec) -> bool {
        let allowed = self.allowed.load(Ordering::Relaxed).min(spec.max_concurrent_streams);
        self.streams.load(Ordering::Relaxed) < allowed
    }

    fn stream(&mut self, now: Instant) -> Stream {
        self.last_used = now;
        self.served.fetch_add(1, Ordering::Relaxed);
        Stream { sender: self.sender.clone(), lease: StreamLease::new(&self.streams, &self.shared) }
    }
}

/// The right to send one request on a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    sender: SendRequest<Body>,
    lease: StreamLease,
}

impl Connections {
    fn list(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream on a connection that has room. Spent connections leave the list and end with their
    /// last stream.
    pub(super) fn take(&self, spec: &PoolSpec) -> Option<Stream> {
        let now = crate::clock::now();
        let mut list = self.list();
        list.retain(|connection| !connection.is_spent(spec, now));
        list.iter_mut().find(|connection| connection.has_room(spec)).map(|connection| connection.stream(now))
    }

    /// Speaks HTTP/2 on a socket and takes the first stream.
    pub(super) async fn open(&self, io: TokioIo<Socket>, slot: Slot) -> Result<Stream, Error> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let (sender, connection) = builder.handshake(io).await.map_err(classify::error_of)?;
        let allowed = Arc::new(AtomicU32::new(u32::MAX));
        let told = Arc::clone(&allowed);
        let shared = Arc::clone(slot.shared());
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = std::future::poll_fn(|cx| {
                let ended = connection.as_mut().poll(cx);
                let most = u32::try_from(connection.current_max_send_streams()).unwrap_or(u32::MAX);
                told.store(most, Ordering::Relaxed);
                ended
            });
            if let Err(error) = ended.await {
                tracing::trace!(%error, "connection ended");
            }
            drop(slot);
        });
        let now = crate::clock::now();
        let mut connection = Connection {
            sender,
            streams: Arc::default(),
            allowed,
            served: Arc::default(),
            born: now,
            last_used: now,
            shared,
        };
        let stream = connection.stream(now);
        self.list().push(connection);
        Ok(stream)
    }
}

impl Stream {
    pub(super) async fn send(mut self, mut request: Request<Body>) -> Result<(Response<Incoming>, Lease), Unanswered> {
        let version = std::mem::replace(request.version_mut(), Version::HTTP_2);
        let upload = Upload::of(&mut request);
        match self.sender.try_send_request(request).await {
            Ok(response) => Ok((response, Lease::Http2 { _stream: self.lease, _upload: upload })),
            Err(mut failed) => {
                upload.release();
                let unsent = failed.take_message().map(|mut request| {
                    *request.version_mut() = version;
                    Box::new(request)
                });
                Err(Unanswered { error: classify::error_of(failed.into_error()), unsent })
            }
        }
    }
}

/// What may lie unread of one response.
const STREAM_WINDOW: u32 = 256 * 1024;

/// What may lie unread of all responses on a connection. Wide, and Envoy's: a caller that does not read
/// must not hold up those with whom it shares the connection. Half of it, counted at 256 bytes for each
/// small piece, is also how many of those may lie unread before the connection is given up.
const CONNECTION_WINDOW: u32 = 256 * 1024 * 1024;
