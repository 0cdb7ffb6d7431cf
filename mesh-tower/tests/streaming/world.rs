//! An upstream that streams in all ways, the mesh in front of it, and bodies to send.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::{Router, body};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_tower::serve::PeerAddress;
use mesh_tower::{Body, Gateway, Mesh, MeshClient, Profile};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

pub(crate) use crate::content::{Hash, content};
use crate::documents::service_at;

/// What the upstream has seen and made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    under_way: Arc<AtomicU32>,
    produced: Arc<AtomicU64>,
    callers: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Seen {
    /// Requests whose handlers or answers have neither ended nor been given up.
    pub(crate) fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::SeqCst)
    }

    /// Bytes that endless answers have had to make.
    pub(crate) fn produced(&self) -> u64 {
        self.produced.load(Ordering::SeqCst)
    }

    /// Connections on which requests came.
    pub(crate) fn connections(&self) -> usize {
        self.callers.lock().unwrap().len()
    }

    fn begin(&self) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self.clone())
    }
}

/// Over when dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Seen);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The same in pieces of many sizes.
pub(crate) fn pieces(content: &Bytes) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + use<> {
    let mut left = content.clone();
    let mut sizes = [1, 7, 100, 4_096, 65_536, 300_000, 3].into_iter().cycle();
    futures_util::stream::iter(std::iter::from_fn(move || {
        let size = sizes.next()?.min(left.len());
        (size > 0).then(|| Ok(Frame::data(left.split_to(size))))
    }))
}

/// A body that has what is sent to it.
pub(crate) fn channel() -> (mpsc::Sender<Result<Frame<Bytes>, Infallible>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Body::new(StreamBody::new(ReceiverStream::new(receiver))))
}

/// Small pieces that cannot be joined, since each comes after the one before has been taken.
pub(crate) fn tiny(count: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    futures_util::stream::iter(0..count).then(|n| async move {
        tokio::task::yield_now().await;
        Ok(Bytes::from(format!("{n};")))
    })
}

pub(crate) fn tiny_text(count: usize) -> String {
    (0..count).map(|n| format!("{n};")).collect()
}

async fn handle(
    State(seen): State<Seen>,
    Extension(peer): Extension<PeerAddress>,
    request: Request,
) -> Result<Response, StatusCode> {
    seen.callers.lock().unwrap().extend(peer.socket());
    let call = seen.begin();
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/echo" => Ok(echo(request, call)),
        "/hash" => hash(request).await,
        "/slow-hash" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            hash(request).await
        }
        "/early" => Ok(text("early")),
        "/refuse" => Err(StatusCode::EXPECTATION_FAILED),
        "/never" => {
            // Reading on, it sees that its caller has gone.
            request.into_body().collect().await.map_err(|_| StatusCode::BAD_REQUEST)?;
            std::future::pending().await
        }
        // Keeps the body, and never reads it.
        "/hold" => {
            let _request = request;
            std::future::pending().await
        }
        "/endless" => Ok(endless(seen, call)),
        "/tiny" => Ok(Response::new(body::Body::from_stream(tiny(TINY)))),
        "/broken" => {
            let frames = [Ok(Bytes::from_static(b"half")), Err("broken")];
            Ok(Response::new(body::Body::from_stream(futures_util::stream::iter(frames).then(|frame| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                frame
            }))))
        }
        _ => Ok(text("hello")),
    }
}

/// How many pieces `/tiny` has.
pub(crate) const TINY: usize = 20_000;

fn text(text: &'static str) -> Response {
    Response::new(text.into())
}

/// Sends each piece back as it comes, and at the end the caller's trailers with a hash of all.
fn echo(request: Request, call: UnderWay) -> Response {
    let mut all = Hash::new();
    let frames = request.into_body().into_data_stream_with_trailers();
    let echoed = frames.map(move |frame| {
        let _call = &call;
        frame.map(|piece| match piece {
            Piece::Data(data) => {
                all.feed(&data);
                Frame::data(data)
            }
            Piece::End(mut trailers) => {
                trailers.insert("x-hash", HeaderValue::from_str(&all.text()).unwrap());
                Frame::trailers(trailers)
            }
        })
    });
    let mut response = Response::new(body::Body::new(StreamBody::new(echoed)));
    response.headers_mut().insert("trailer", HeaderValue::from_static("x-asked, x-hash"));
    response
}

enum Piece {
    Data(Bytes),
    End(HeaderMap),
}

trait Pieces {
    /// The data, and then the trailers, empty ones if there are none.
    fn into_data_stream_with_trailers(self) -> impl Stream<Item = Result<Piece, axum::Error>> + Send;
}

impl Pieces for body::Body {
    fn into_data_stream_with_trailers(self) -> impl Stream<Item = Result<Piece, axum::Error>> + Send {
        futures_util::stream::unfold(Some(self), |body| async {
            let mut body = body?;
            match body.frame().await {
                None => Some((Ok(Piece::End(HeaderMap::new())), None)),
                Some(Err(error)) => Some((Err(error), None)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some((Ok(Piece::Data(data)), Some(body))),
                    Err(frame) => Some((Ok(Piece::End(frame.into_trailers().unwrap_or_default())), None)),
                },
            }
        })
    }
}

async fn hash(request: Request) -> Result<Response, StatusCode> {
    let mut all = Hash::new();
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        all.feed(frame.data_ref().map_or(&[], |data| data));
    }
    Ok(Response::new(all.text().into()))
}

fn endless(seen: Seen, call: UnderWay) -> Response {
    let chunk = Bytes::from(vec![b'x'; 16 * 1024]);
    let chunks = futures_util::stream::repeat(()).map(move |()| {
        let _call = &call;
        seen.produced.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        Ok::<_, Infallible>(chunk.clone())
    });
    Response::new(body::Body::from_stream(chunks))
}

pub(crate) struct World {
    pub(crate) mesh: Mesh,
    pub(crate) seen: Seen,
}

/// Both protocols towards the endpoint.
pub(crate) const PROTOCOLS: [&str; 2] = ["HTTP", "HTTP2"];

/// A policy that changes nothing.
pub(crate) const PLAIN: &str = "loadBalancer: {simple: RANDOM}";

/// One request at a time.
pub(crate) const ONE: &str = "connectionPool: {http: {http2MaxRequests: 1}}";

impl World {
    /// The upstream with a mesh of its own, behind a mesh that speaks `protocol` to it, with a policy and a rule for it.
    pub(crate) async fn start(protocol: &str, policy: &str, rule: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Seen::default();
        let app = Router::new().fallback(handle).with_state(seen.clone());
        tokio::spawn(async move {
            let own = Mesh::builder().workload("default/app").label("app", "app").build().await.unwrap();
            own.serve(listener, app).await
        });
        Self { mesh: mesh(protocol, port, policy, rule).await, seen }
    }

    pub(crate) fn client(&self) -> MeshClient {
        self.mesh.client()
    }

    pub(crate) async fn gateway(&self) -> (Gateway, SocketAddr) {
        let gateway = self.mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
        let address = gateway.address_of(80).unwrap();
        (gateway, address)
    }

    /// The status of a short request, and its body where that is one of ours.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        get(&self.mesh, path).await
    }

    /// Waits until a short request is answered again.
    pub(crate) async fn answers_again(&self) {
        let again = async {
            while self.get("/").await.0 != 200 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), again).await.expect("the slot is free again");
    }
}

pub(crate) async fn get(mesh: &Mesh, path: &str) -> (u16, String) {
    let request = http::Request::get(format!("http://app{path}")).body(Body::empty()).unwrap();
    let asking = async {
        let response = mesh.client().send(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.expect("an answer")
}

pub(crate) fn post(path: &str, body: Body) -> http::Request<Body> {
    http::Request::post(format!("http://app{path}"))
        .header("te", "trailers")
        .header("trailer", "x-asked")
        .body(body)
        .unwrap()
}

/// A mesh in front of an upstream at a port of this machine.
pub(crate) async fn mesh(protocol: &str, port: u16, policy: &str, rule: &str) -> Mesh {
    let text = service_at("app", (protocol, 80), port, policy, rule);
    let builder = Mesh::builder().workload("default/gateway").label("istio", "ingress").profile(Profile::Istio);
    builder.config_yaml("app.yaml", text).seed(5).build().await.unwrap()
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Waits until a count stands still, and gives it.
pub(crate) async fn settled(count: impl Fn() -> u64) -> u64 {
    let standing = async {
        let mut before = u64::MAX;
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let now = count();
            if now == before {
                return now;
            }
            before = now;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), standing).await.expect("it stands still")
}
