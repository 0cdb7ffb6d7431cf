//! Upstreams that say who they are and remember what reached them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::until;

/// An HTTP server on a port of its own. Answers 200 with its name and what it got, as JSON, unless told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    notes: Mutex<Notes>,
    held: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Notes {
    seen: Vec<Seen>,
    fails: usize,
    delays: VecDeque<Duration>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The other end of the connection: one a connection.
    pub(crate) caller: SocketAddr,
    pub(crate) method: Method,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// A header's value, empty without it.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Upstream {
    pub(crate) async fn start(name: &str) -> Self {
        let (held, _) = watch::channel(false);
        let inner = Arc::new(Inner { name: name.to_owned(), notes: Mutex::default(), held });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, inner }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.inner.notes.lock().unwrap()
    }

    /// How many requests have arrived.
    pub(crate) fn count(&self) -> usize {
        self.notes().seen.len()
    }

    /// The requests that have arrived, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.notes().seen.clone()
    }

    /// How many requests each connection has carried.
    pub(crate) fn connections(&self) -> BTreeMap<SocketAddr, usize> {
        let mut connections = BTreeMap::new();
        for seen in &self.notes().seen {
            *connections.entry(seen.caller).or_default() += 1;
        }
        connections
    }

    /// Answers this many requests to come with 503.
    pub(crate) fn fail(&self, requests: usize) {
        self.notes().fails = requests;
    }

    /// Answers the next request late.
    pub(crate) fn delay_next(&self, by: Duration) {
        self.notes().delays.push_back(by);
    }

    /// Answers nothing until it is let go.
    pub(crate) fn hold(&self) {
        self.inner.held.send_replace(true);
    }

    /// Answers what is held, and all that follows.
    pub(crate) fn let_go(&self) {
        self.inner.held.send_replace(false);
    }

    /// Waits until this many requests have arrived.
    pub(crate) async fn has_seen(&self, requests: usize) {
        until(&format!("{requests} requests at {}", self.inner.name), || self.count() >= requests).await;
    }
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let seen = Seen { caller, method: head.method, path: head.uri.to_string(), headers: head.headers, body };
    let echo = serde_json::json!({ "name": inner.name, "method": seen.method.as_str(), "path": seen.path,
        "host": seen.header("host"), "attempt": seen.header("x-envoy-attempt-count") });
    let (fails, delay) = {
        let mut notes = inner.notes.lock().unwrap();
        notes.seen.push(seen);
        let fails = notes.fails > 0;
        notes.fails = notes.fails.saturating_sub(1);
        (fails, notes.delays.pop_front())
    };
    tokio::time::sleep(delay.unwrap_or_default()).await;
    inner.held.subscribe().wait_for(|held| !held).await.unwrap();
    let status = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(echo)).into_response()
}
