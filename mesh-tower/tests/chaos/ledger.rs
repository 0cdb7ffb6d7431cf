//! An endpoint that notes what reaches it: the judge of what was lost, repeated or changed on the way.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mesh_tower::Body;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::content::Hash;

/// Names a request.
pub(crate) const ID: &str = "x-id";

/// What a request is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) after: Duration,
    /// Instead of the request's id and hash.
    pub(crate) body: Option<Bytes>,
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::status(200)
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: HeaderMap::new(), after: Duration::ZERO, body: None }
    }

    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    pub(crate) fn body(self, body: Bytes) -> Self {
        Self { body: Some(body), ..self }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The endpoint.
    pub(crate) at: SocketAddr,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

/// What became of the requests of one id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) method: Method,
    /// How often one began.
    pub(crate) begun: usize,
    /// The hashes of those that came to their end.
    pub(crate) hashes: Vec<String>,
    /// Copies of it, which nobody waits for.
    pub(crate) copies: usize,
    /// The hashes of those that came to their end.
    pub(crate) copied: Vec<String>,
}

type Script = Box<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// What was noted by all endpoints of one scenario; they end when it is dropped.
#[derive(Clone)]
pub(crate) struct Ledger {
    inner: Arc<Inner>,
    /// Not part of what they share, or they would keep each other alive.
    servers: Arc<Mutex<JoinSet<()>>>,
}

struct Inner {
    entries: Mutex<HashMap<String, Entry>>,
    script: Script,
}

impl Ledger {
    pub(crate) fn new(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self { inner: Arc::new(Inner { entries: Mutex::default(), script: Box::new(script) }), servers: Arc::default() }
    }

    /// One that answers 200 to all.
    pub(crate) fn good() -> Self {
        Self::new(|_| Reply::ok())
    }

    /// Another endpoint.
    pub(crate) async fn endpoint(&self) -> SocketAddr {
        self.endpoint_at([127, 0, 0, 1]).await
    }

    /// Another endpoint, on an address of one's own.
    pub(crate) async fn endpoint_at(&self, ip: [u8; 4]) -> SocketAddr {
        let listener = TcpListener::bind(SocketAddr::from((ip, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::clone(&self.inner);
        self.servers.lock().unwrap().spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        let _ = stream.set_nodelay(true);
                        let at = stream.local_addr().unwrap_or(address);
                        let inner = Arc::clone(&inner);
                        connections.spawn(async move {
                            let service = service_fn(|request| answer(Arc::clone(&inner), at, request));
                            let server = auto::Builder::new(TokioExecutor::new());
                            // That connections break is what this is about.
                            let _broken = server.serve_connection(TokioIo::new(stream), service).await;
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        address
    }

    pub(crate) fn entries(&self) -> HashMap<String, Entry> {
        self.inner.entries.lock().unwrap().clone()
    }

    /// The same without a copy.
    pub(crate) fn with_entries<T>(&self, look: impl FnOnce(&HashMap<String, Entry>) -> T) -> T {
        look(&self.inner.entries.lock().unwrap())
    }

    /// What is known of one id.
    pub(crate) fn entry(&self, id: &str) -> Entry {
        self.inner.entries.lock().unwrap().get(id).cloned().unwrap_or_default()
    }

    /// How many requests have begun, copies left out.
    pub(crate) fn arrivals(&self) -> usize {
        self.inner.entries.lock().unwrap().values().map(|entry| entry.begun).sum()
    }

    pub(crate) fn copies(&self) -> usize {
        self.inner.entries.lock().unwrap().values().map(|entry| entry.copies).sum()
    }

    /// Notes by hand what reached an application that is no endpoint of the ledger's: it begins, and has come to its end.
    pub(crate) fn note(&self, id: &str, method: &Method, content: &[u8]) {
        self.inner.begin(id, method, false);
        self.inner.end(id, &Hash::of(content), false);
    }
}

impl Inner {
    fn begin(&self, id: &str, method: &Method, is_copy: bool) {
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.entry(id.to_owned()).or_default();
        entry.method = method.clone();
        *if is_copy { &mut entry.copies } else { &mut entry.begun } += 1;
    }

    fn end(&self, id: &str, hash: &str, is_copy: bool) {
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.get_mut(id).unwrap();
        let hashes = if is_copy { &mut entry.copied } else { &mut entry.hashes };
        // Nearly always the only one, of very many.
        hashes.reserve_exact(1);
        hashes.push(hash.to_owned());
    }
}

async fn answer(inner: Arc<Inner>, at: SocketAddr, request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let (parts, mut body) = request.into_parts();
    let id = parts.headers.get(ID).map_or("", |id| id.to_str().unwrap()).to_owned();
    let is_copy = parts.headers.contains_key("x-mesh-mirrored");
    inner.begin(&id, &parts.method, is_copy);
    let seen = Seen { at, path: parts.uri.path().to_owned(), headers: parts.headers };
    let mut hash = Hash::new();
    while let Some(frame) = body.frame().await {
        hash.feed(frame?.data_ref().map_or(&[], |data| data));
    }
    let hash = hash.text();
    inner.end(&id, &hash, is_copy);
    let reply = (inner.script)(&seen);
    if !reply.after.is_zero() {
        tokio::time::sleep(reply.after).await;
    }
    let mut response = Response::new(match reply.body {
        Some(body) => Body::full(body),
        None => Body::from(format!("{id} {hash}")),
    });
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap();
    response.headers_mut().extend(reply.headers);
    Ok(response)
}
