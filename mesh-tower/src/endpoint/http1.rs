//! HTTP/1.1: one request at a time on a connection.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::{self, Either};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use mesh_core::Failure;
use mesh_core::cluster::PoolSpec;
use pin_project::pin_project;
use tokio::task::AbortHandle;

use super::connector::{Broken, Socket};
use super::kept::Kept;
use super::lease::Lease;
use super::pool::Pool;
use super::reaper::Life;
use super::upload::Upload;
use super::{Answer, Unanswered, host_of, reaper};
use crate::Body;

/// A connection without a request.
#[derive(Debug)]
pub(super) struct Free {
    sender: SendRequest<Body>,
    task: Task,
    kept: Arc<Kept>,
    life: Life,
    served: u32,
    /// Whether it was kept, or served before: then its peer may have closed it meanwhile.
    used: bool,
    /// Whether the last request was short, and so has been written by the time its answer is here.
    short: bool,
}

/// A connection that waits for a request.
#[derive(Debug)]
pub(super) struct Idle {
    free: Free,
    since: Instant,
}

impl Idle {
    pub(super) fn due(&self, spec: &PoolSpec) -> Option<Instant> {
        reaper::due(spec, self.free.life, Some(self.since))
    }
}

/// The best of the free connections: the last that is ready, or else the last that will be in a moment.
pub(super) fn take(idle: &mut Vec<Idle>) -> Option<Free> {
    while let Some(last) = idle.pop() {
        if last.free.sender.is_ready() {
            return Some(last.free);
        }
        if last.free.sender.is_closed() {
            continue;
        }
        let Some(ready) = idle.iter().rposition(|other| other.free.sender.is_ready()) else {
            return Some(last.free);
        };
        let ready = idle.remove(ready);
        idle.push(last);
        return Some(ready.free);
    }
    None
}

/// Puts a connection on the stack.
pub(super) fn keep(idle: &mut Vec<Idle>, mut free: Free, since: Instant) {
    // Those that were closed by their peers lie at the bottom, where nobody would come upon them.
    let closed = idle.iter().take_while(|idle| idle.free.sender.is_closed()).count();
    idle.drain(..closed);
    free.used = true;
    idle.push(Idle { free, since });
}

/// Speaks HTTP/1.1 on a socket.
pub(super) async fn handshake(io: TokioIo<Socket>, life: Life) -> Result<Free, Broken> {
    let kept = Arc::clone(io.inner().kept());
    let (sender, connection) = http1::Builder::new().handshake(io).await?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::trace!(%error, "connection ended");
        }
    });
    let task = Task(Some(task.abort_handle()));
    Ok(Free { sender, task, kept, life, served: 0, used: false, short: true })
}

/// What drives a connection; ends with it. Left alone it would go on writing a request whose answer was
/// given up, for as long as its peer does not read.
#[derive(Debug)]
struct Task(Option<AbortHandle>);

impl Task {
    /// Lets it come to its own end.
    fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Free {
    pub(super) fn life(&self) -> Life {
        self.life
    }

    /// Whether it has served somebody, or has been waiting.
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    /// Whether it may take another request.
    pub(super) fn is_good(&self, spec: &PoolSpec, now: Instant) -> bool {
        let worn = spec.max_requests_per_connection > 0 && self.served >= spec.max_requests_per_connection;
        !self.life.is_over(spec, now) && !worn && !self.sender.is_closed()
    }

    pub(super) fn lease(self, pool: &Arc<Pool>) -> Connection {
        Connection { free: Some(self), ending: None, clean: true, kept_alive: true, pool: Arc::clone(pool) }
    }
}

/// A connection and its right to carry one request.
///
/// Dropped before its request is sent, or after the answer was read, it goes back to the pool; dropped
/// in between it closes.
#[derive(Debug)]
pub(crate) struct Connection {
    /// `Some` until it is taken apart.
    free: Option<Free>,
    /// What drives it to its end, where nobody can send on it any more.
    ending: Option<Task>,
    clean: bool,
    /// Whether the peer keeps it open after this answer.
    kept_alive: bool,
    pool: Arc<Pool>,
}

/// Up to this length a request is written at once.
const SHORT: u64 = 16 * 1024;

/// How long a request may go on being written after its answer was read. Envoy gives it no time at
/// all; here the connection's task may just not have got round to noticing that it is done.
const WRITTEN_WITHIN: Duration = Duration::from_millis(100);

impl Connection {
    /// The connection without the right to use it, if it was not used.
    pub(super) fn into_free(mut self) -> Option<Free> {
        self.free.take_if(|_| self.clean)
    }

    /// Our end of it.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.free.as_ref()?.kept.local
    }

    /// The last response was read, but the connection's task may not have seen that yet.
    pub(super) async fn settled(&mut self) -> bool {
        match &mut self.free {
            Some(free) if free.served == 0 || free.sender.is_ready() => true,
            Some(free) => free.sender.ready().await.is_ok(),
            None => false,
        }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Hands a request to the connection.
    pub(super) fn send(mut self, mut request: Request<Body>) -> impl Future<Output = Answer> {
        let Some(free) = &mut self.free else { return Either::Left(future::ready(Err(Failure::LocalReset.into()))) };
        self.clean = false;
        let may_be_closed = free.used;
        free.served += 1;
        free.used = true;
        free.short = is_short(request.body());
        let may_switch = request.headers().contains_key(UPGRADE);
        let head = to_origin_form(&mut request);
        announce_body(&mut request);
        let upload = Upload::asking(&mut request);
        let answer = free.sender.try_send_request(request);
        let rest = Some(Sent { connection: self, upload, head, may_be_closed, may_switch });
        Either::Right(Answering { answer, rest })
    }

    /// Whether the connection takes no request any more. If not, whoever waits is woken when that changes.
    fn is_closed(&mut self, cx: &mut Context<'_>) -> bool {
        self.free.as_mut().is_some_and(|free| matches!(free.sender.poll_ready(cx), Poll::Ready(Err(_))))
    }

    /// Gives up the right to send, not the connection: what is under way goes on.
    fn let_go(&mut self) {
        self.ending = self.free.take().map(|free| free.task);
    }

    /// From here on nothing is said in HTTP any more.
    fn switch(mut self, response: Response<Incoming>, may_switch: bool) -> Answer {
        match self.free.take() {
            Some(free) if may_switch => {
                free.task.detach();
                Ok((response, Lease::Upgraded(free.kept)))
            }
            _ => Err(Failure::ProtocolError.into()),
        }
    }

    /// The response has been read to its end.
    pub(super) fn finish(mut self) {
        let Some(free) = self.free.take_if(|_| self.kept_alive) else { return };
        if free.short || free.sender.is_ready() {
            self.pool.give_http1(free);
        } else if !free.sender.is_closed() {
            self.pool.spawn(finish_later(free, Arc::clone(&self.pool)));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(free) = self.free.take_if(|_| self.clean) {
            self.pool.give_http1(free);
        }
    }
}

/// What is kept of a request until its answer is here.
struct Sent {
    connection: Connection,
    upload: Upload,
    head: Absolute,
    may_be_closed: bool,
    may_switch: bool,
}

/// A request on its way.
///
/// A request that is handed over in the very moment in which its connection closes may lie where nobody looks any more. It
/// comes back, unsent, only when nobody can hand over requests either.
#[pin_project]
struct Answering<F> {
    #[pin]
    answer: F,
    rest: Option<Sent>,
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>>,
{
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut this = self.project();
        let mut answer = this.answer.as_mut().poll(cx);
        if let (Poll::Pending, Some(sent)) = (&answer, this.rest.as_mut())
            && sent.connection.is_closed(cx)
        {
            sent.connection.let_go();
            answer = this.answer.poll(cx);
        }
        let answer = ready!(answer);
        match this.rest.take() {
            Some(sent) => Poll::Ready(sent.answered(answer)),
            // Polled after it was ready.
            None => Poll::Pending,
        }
    }
}

impl Sent {
    fn answered(mut self, answer: Result<Response<Incoming>, TrySendError<Request<Body>>>) -> Answer {
        match answer {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                self.connection.switch(response, self.may_switch)
            }
            Ok(response) => {
                self.connection.kept_alive = is_kept_alive(&response);
                Ok((response, Lease::Http1 { connection: self.connection, upload: self.upload }))
            }
            Err(mut failed) => {
                self.upload.release();
                let unsent = failed.take_message().map(|request| self.head.restore(request));
                Err(Unanswered::new(failed.into_error(), unsent, self.may_be_closed))
            }
        }
    }
}

/// Waits for the end of a request whose answer is complete, and cuts it off if there is none in sight.
async fn finish_later(mut free: Free, pool: Arc<Pool>) {
    match tokio::time::timeout(WRITTEN_WITHIN, free.sender.ready()).await {
        Ok(Ok(())) => pool.give_http1(free),
        // Closed, or to be closed.
        Ok(Err(_)) | Err(_) => drop(free),
    }
}

fn is_short(body: &Body) -> bool {
    use http_body::Body as _;
    body.is_full() && body.size_hint().lower() <= SHORT
}

/// Whether the peer keeps the connection open after this response.
fn is_kept_alive(response: &Response<Incoming>) -> bool {
    let said = |option: &str| {
        let values = response.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|said| said.trim().eq_ignore_ascii_case(option))
    };
    if response.version() == Version::HTTP_10 { said("keep-alive") } else { !said("close") }
}

/// What of a request's head changes on the way out.
struct Absolute(Uri, Version);

impl Absolute {
    fn restore(self, mut request: Request<Body>) -> Request<Body> {
        request.headers_mut().remove(HOST);
        request.headers_mut().remove(TRANSFER_ENCODING);
        *request.uri_mut() = self.0;
        *request.version_mut() = self.1;
        request
    }
}

/// An endpoint gets the path alone, and the authority as `host`.
fn to_origin_form(request: &mut Request<Body>) -> Absolute {
    let uri = std::mem::take(request.uri_mut());
    if let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::from_str(host_of(authority))
    {
        request.headers_mut().insert(HOST, host);
    }
    if request.method() == Method::OPTIONS && uri.path_and_query().is_none() {
        *request.uri_mut() = Uri::from_static("*");
    } else {
        *request.uri_mut() = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    }
    let version = std::mem::replace(request.version_mut(), Version::HTTP_11);
    Absolute(uri, version)
}

/// Says of the body of a GET that it is there: hyper would leave out one of unknown length.
fn announce_body(request: &mut Request<Body>) {
    use http_body::Body as _;
    let is_left_out = matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.body().is_end_stream()
        && request.body().size_hint().exact().is_none()
        && !request.headers().contains_key(CONTENT_LENGTH);
    if is_left_out {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_becomes_the_host_and_the_path_the_target() {
        let mut request = Request::get("http://user@reviews:9080/1?q=2").body(Body::empty()).unwrap();
        let head = to_origin_form(&mut request);
        assert_eq!(request.uri(), "/1?q=2");
        assert_eq!(request.headers()["host"], "reviews:9080");
        let request = head.restore(request);
        assert_eq!(request.uri(), "http://user@reviews:9080/1?q=2");
        assert!(request.headers().is_empty());
    }

    #[test]
    fn a_get_says_that_it_has_a_body_where_nothing_else_tells_its_length() {
        let streaming = || {
            let frames = [Ok::<_, std::convert::Infallible>(http_body::Frame::data("x".into()))];
            Body::new(http_body_util::StreamBody::new(tokio_stream::iter(frames)))
        };
        let announced = |request: http::request::Builder, body: Body| {
            let mut request = request.body(body).unwrap();
            announce_body(&mut request);
            request.headers().contains_key(TRANSFER_ENCODING)
        };
        assert!(announced(Request::get("/"), streaming()));
        assert!(!announced(Request::get("/").header("content-length", "1"), streaming()));
        assert!(!announced(Request::get("/"), Body::empty()) && !announced(Request::get("/"), Body::from("x")));
        assert!(!announced(Request::post("/"), streaming()), "hyper does it itself");
    }

    #[test]
    fn only_what_is_in_memory_and_small_counts_as_short() {
        assert!(is_short(&Body::empty()));
        assert!(is_short(&Body::from("x")));
        assert!(!is_short(&Body::from(vec![0; 1 << 20])));
        assert!(!is_short(&Body::new(http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>,
        >()))));
    }
}
