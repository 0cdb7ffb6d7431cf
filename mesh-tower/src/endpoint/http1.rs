//! HTTP/1.1: one request at a time on a connection, free ones on a stack.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use mesh_core::cluster::PoolSpec;
use tokio::task::AbortHandle;

use super::connector::Socket;
use super::lease::Lease;
use super::occupied::{Kept, Occupied};
use super::upload::Upload;
use super::{Shared, Slot, Unanswered, classify};
use crate::{Body, Error};

/// Connections that wait for a request; the one used last comes first, so that the others can age.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn stack(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free connection that is still good.
    pub(super) async fn take(&self, spec: &PoolSpec) -> Option<Connection> {
        loop {
            let Waiting { mut connection, since } = self.stack().pop()?;
            let now = crate::clock::now();
            let idle = now.saturating_duration_since(since);
            if connection.sender.is_closed()
                || spec.idle_timeout.is_some_and(|most| idle >= most)
                || connection.is_worn(spec, now)
            {
                continue;
            }
            if connection.is_settled().await {
                return Some(connection);
            }
        }
    }
}

/// A connection and its right to carry one request.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    idle: Weak<Idle>,
    task: Task,
    kept: Arc<Kept>,
    shared: Arc<Shared>,
    born: Instant,
    served: u32,
    idle_timeout: Option<Duration>,
}

/// Speaks HTTP/1.1 on a socket. The connection's place is free again when the socket closes.
pub(super) async fn handshake(
    io: TokioIo<Socket>,
    slot: Slot,
    idle: &Arc<Idle>,
    idle_timeout: Option<Duration>,
) -> Result<Connection, Error> {
    let shared = Arc::clone(slot.shared());
    let (io, kept) = Occupied::new(io.into_inner(), slot);
    let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(io)).await.map_err(classify::error_of)?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::trace!(%error, "connection ended");
        }
    });
    let (task, born) = (Task(Some(task.abort_handle())), crate::clock::now());
    Ok(Connection { sender, idle: Arc::downgrade(idle), task, kept, shared, born, served: 0, idle_timeout })
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

impl Connection {
    fn is_worn(&self, spec: &PoolSpec, now: Instant) -> bool {
        let old = spec.max_connection_duration.is_some_and(|most| now.saturating_duration_since(self.born) >= most);
        old || (spec.max_requests_per_connection > 0 && self.served >= spec.max_requests_per_connection)
    }

    /// Waits for the end of the last exchange: its response was read, but the connection's task may not
    /// have seen that yet. One that still writes is of no use: its peer answered without reading.
    async fn is_settled(&mut self) -> bool {
        let ready = self.sender.is_ready();
        ready || matches!(tokio::time::timeout(SETTLING, self.sender.ready()).await, Ok(Ok(())))
    }

    /// Whether it has served a request: only then may the peer have just closed it.
    pub(super) fn is_reused(&self) -> bool {
        self.served > 0
    }

    pub(super) async fn send(mut self, request: Request<Body>) -> Result<(Response<Incoming>, Lease), Unanswered> {
        let (mut request, head) = to_origin_form(request);
        let upload = Upload::asking(&mut request);
        let reused = self.is_reused();
        self.served += 1;
        match self.sender.try_send_request(request).await {
            // Nothing more is said in HTTP here.
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                self.task.detach();
                Ok((response, Lease::Upgraded(self.kept)))
            }
            Ok(response) => Ok((response, Lease::Http1 { connection: self, upload })),
            Err(mut failed) => {
                upload.release();
                let unsent = failed.take_message().filter(|_| reused).map(|request| Box::new(head.restore(request)));
                Err(Unanswered { error: classify::error_of(failed.into_error()), unsent })
            }
        }
    }

    /// Puts a connection whose response was read back on the stack.
    pub(super) fn give_back(self) {
        let Some(idle) = self.idle.upgrade() else { return };
        if self.sender.is_closed() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let now = crate::clock::now();
        let idle_timeout = self.idle_timeout;
        let mut stack = idle.stack();
        // The oldest lies at the bottom, where nobody would come upon it.
        if let Some(most) = idle_timeout {
            let old = stack.iter().take_while(|waiting| now.saturating_duration_since(waiting.since) >= most).count();
            stack.drain(..old);
        }
        stack.push(Waiting { connection: self, since: now });
        drop(stack);
        shared.freed.notify_one();
    }
}

/// How long a connection may take to be ready for its next request.
const SETTLING: Duration = Duration::from_millis(100);

/// What of a request's head changes on the way out.
struct Absolute(Uri, Version);

impl Absolute {
    fn restore(self, mut request: Request<Body>) -> Request<Body> {
        request.headers_mut().remove(HOST);
        *request.uri_mut() = self.0;
        *request.version_mut() = self.1;
        request
    }
}

/// An endpoint gets the path alone, and the authority as `host`.
fn to_origin_form(mut request: Request<Body>) -> (Request<Body>, Absolute) {
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
    (request, Absolute(uri, version))
}

/// The authority without user information, which has no place in `host`.
fn host_of(authority: &Authority) -> &str {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_becomes_the_host_and_the_path_the_target() {
        let request = Request::get("http://user@reviews:9080/1?q=2").body(Body::empty()).unwrap();
        let (request, head) = to_origin_form(request);
        assert_eq!(request.uri(), "/1?q=2");
        assert_eq!(request.headers()["host"], "reviews:9080");
        let request = head.restore(request);
        assert_eq!(request.uri(), "http://user@reviews:9080/1?q=2");
        assert!(request.headers().is_empty());
    }
}
