//! HTTP/2: many requests at once on a connection.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::task::AtomicWaker;
use http::{HeaderMap, Request, Version};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_core::Failure;
use mesh_core::cluster::PoolSpec;
use pin_project::pin_project;

use super::connector::{Broken, Socket};
use super::lease::{Lease, StreamLease};
use super::pool::Pool;
use super::reaper::Life;
use super::upload::Upload;
use super::{Answer, PoolOptions, Unanswered, reaper};
use crate::Body;
use crate::request_id::X_REQUEST_ID;

/// A connection that takes requests.
#[derive(Debug)]
pub(super) struct Shared {
    id: u64,
    sender: SendRequest<Body>,
    /// Streams that the peer allows, as its settings say.
    allowed: Arc<AtomicU32>,
    streams: u32,
    served: u32,
    life: Life,
    /// Our end of the connection.
    local: Option<SocketAddr>,
    /// Since when there is no stream.
    idle_since: Option<Instant>,
}

/// The right to send one request on a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    sender: SendRequest<Body>,
    /// Whether others came before: then the peer may have gone away meanwhile.
    used: bool,
    lease: StreamLease,
}

/// Takes the connections that are closed off the list.
pub(super) fn take_closed(list: &mut Vec<Shared>) -> Vec<Shared> {
    list.extract_if(.., |shared| shared.sender.is_closed()).collect()
}

/// A stream on the first connection that has room. A connection that may take no more leaves the
/// list, and ends with its last stream.
pub(super) fn take(list: &mut Vec<Shared>, spec: &PoolSpec, pool: &Arc<Pool>) -> Option<Stream> {
    list.retain(|shared| !shared.sender.is_closed());
    let at = list.iter().position(|shared| shared.has_room(spec))?;
    let shared = list.get_mut(at)?;
    let used = shared.served > 0;
    shared.streams += 1;
    shared.served += 1;
    shared.idle_since = None;
    let stream = Stream { sender: shared.sender.clone(), used, lease: StreamLease::new(pool, shared.id) };
    if spec.max_requests_per_connection > 0 && shared.served >= spec.max_requests_per_connection {
        list.remove(at);
    }
    Some(stream)
}

impl Shared {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// Our end of it.
    pub(super) const fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.idle_since
    }

    pub(super) fn allowed(&self) -> u32 {
        self.allowed.load(Ordering::Relaxed)
    }

    fn has_room(&self, spec: &PoolSpec) -> bool {
        self.streams < self.allowed().min(spec.max_concurrent_streams)
    }

    /// One stream less. With the last one it is idle: says how long it may last, and since when it is.
    pub(super) fn stream_ended(&mut self) -> Option<(Life, Instant)> {
        self.streams -= 1;
        if self.streams > 0 {
            return None;
        }
        let now = crate::clock::now();
        self.idle_since = Some(now);
        Some((self.life, now))
    }

    pub(super) fn due(&self, spec: &PoolSpec) -> Option<Instant> {
        reaper::due(spec, self.life, self.idle_since)
    }
}

/// The largest head of a response, as Envoy's limit.
const MAX_HEADERS: u32 = 60 * 1024;

/// What may lie unread of one response.
const STREAM_WINDOW: u32 = 256 * 1024;

/// What may lie unread of all responses on a connection. Wide, and Envoy's: a caller that does not read
/// must not hold up those with whom it shares the connection. Half of it, counted at 256 bytes for each
/// small piece, is also how many of those may lie unread before the connection is given up.
const CONNECTION_WINDOW: u32 = 256 * 1024 * 1024;

/// How many streams that were given up are remembered, for a second: answers that are under way when their callers lose
/// interest are passed over. What comes for others is refused, each time; of that only so much is put up with in the
/// life of a connection, and then all that is under way on it fails.
const GIVEN_UP: usize = 4_096;

/// See [`GIVEN_UP`].
const LATE_FRAMES: usize = 65_536;

/// Speaks HTTP/2 on a socket and waits for the settings of the peer, so that nobody opens a stream
/// that it would refuse.
pub(super) async fn handshake(
    io: TokioIo<Socket>,
    id: u64,
    life: Life,
    options: &PoolOptions,
    pool: &Arc<Pool>,
) -> Result<Shared, Broken> {
    let progress = Arc::new(AtomicWaker::new());
    let executor = Executor { progress: Arc::clone(&progress), is_watched: Arc::default() };
    let mut builder = http2::Builder::new(executor);
    // What is allowed before the peer has said anything; it overwrites this.
    builder
        .initial_max_send_streams(0)
        .max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_reset_streams(GIVEN_UP)
        .max_local_error_reset_streams(LATE_FRAMES);
    if let Some(pings) = &options.pool.pings {
        builder.timer(TokioTimer::new()).keep_alive_while_idle(true);
        builder.keep_alive_interval(pings.interval).keep_alive_timeout(pings.timeout);
    }
    let local = io.inner().kept().local;
    let (sender, connection) = builder.handshake(io).await?;
    let mut connection = Box::pin(connection);
    let allowed = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&allowed);
    let mut drive = move |cx: &mut Context<'_>| {
        let ended = connection.as_mut().poll(cx);
        let most = u32::try_from(connection.current_max_send_streams()).unwrap_or(u32::MAX);
        told.store(most, Ordering::Relaxed);
        ended
    };
    let settings = poll_fn(|cx| {
        progress.register(cx.waker());
        match drive(cx) {
            Poll::Ready(ended) => {
                Poll::Ready(Err(ended.err().map_or(Broken::from(Failure::ConnectionTerminated), Broken::from)))
            }
            Poll::Pending if allowed.load(Ordering::Relaxed) > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(options.connect_timeout, settings).await.map_err(|_| Failure::ConnectTimeout)??;
    let pool = Arc::clone(pool);
    tokio::spawn(async move {
        if let Err(error) = poll_fn(drive).await {
            tracing::trace!(%error, "connection ended");
        }
        // A request that was handed over in that very moment comes back when nobody can hand over one any more.
        pool.forget_closed();
    });
    Ok(Shared { id, sender, allowed, streams: 0, served: 0, life, local, idle_since: Some(crate::clock::now()) })
}

impl Stream {
    /// Our end of the connection, while that takes more streams.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.lease.local()
    }

    /// Hands a request to the connection.
    pub(super) fn send(self, mut request: Request<Body>) -> impl Future<Output = Answer> {
        let version = std::mem::replace(request.version_mut(), Version::HTTP_2);
        let upload = Upload::of(&mut request);
        never_index(request.headers_mut());
        let Self { mut sender, used, lease } = self;
        // Not kept until the answer: see `forget_closed`.
        let answer = sender.try_send_request(request);
        answer.map(move |answer| match answer {
            Ok(response) => Ok((response, Lease::Http2 { _stream: lease, upload })),
            Err(mut failed) => {
                upload.release();
                let unsent = failed.take_message().map(|mut request| {
                    *request.version_mut() = version;
                    request
                });
                Err(Unanswered::new(failed.into_error(), unsent, used))
            }
        })
    }
}

/// Keeps a value that no other request will have out of the compression table, where it would push out
/// those that come again, and be compared with all before it.
fn never_index(headers: &mut HeaderMap) {
    if let Some(id) = headers.get_mut(X_REQUEST_ID) {
        id.set_sensitive(true);
    }
}

/// Runs what hyper wants to run beside the connection. The first of that is the one that reads: it
/// tells `progress` that there may be something new.
#[derive(Clone)]
struct Executor {
    progress: Arc<AtomicWaker>,
    is_watched: Arc<AtomicBool>,
}

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        if self.is_watched.swap(true, Ordering::Relaxed) {
            tokio::spawn(task);
        } else {
            tokio::spawn(Watched { task, progress: Arc::clone(&self.progress) });
        }
    }
}

#[pin_project]
struct Watched<F> {
    #[pin]
    task: F,
    progress: Arc<AtomicWaker>,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let polled = this.task.poll(cx);
        this.progress.wake();
        polled
    }
}
