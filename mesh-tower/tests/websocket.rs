//! WebSockets through the client and through a gateway, and what else asks for another protocol.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod documents;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message as Sent, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use mesh_tower::{Body, Gateway, Mesh, Profile, RouteInfo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// What the echo has seen.
#[derive(Clone, Debug, Default)]
struct Seen {
    requests: Arc<AtomicU32>,
    open: Arc<AtomicU32>,
    /// The codes with which callers closed.
    closed: Arc<Mutex<Vec<Option<u16>>>>,
}

impl Seen {
    fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }

    fn open(&self) -> u32 {
        self.open.load(Ordering::SeqCst)
    }
}

/// Sends everything back. `bye` makes it close, `gone` makes it break off.
async fn echo(mut socket: WebSocket, seen: Seen) {
    seen.open.fetch_add(1, Ordering::SeqCst);
    while let Some(Ok(message)) = socket.recv().await {
        match &message {
            Sent::Close(frame) => seen.closed.lock().unwrap().push(frame.as_ref().map(|frame| frame.code)),
            Sent::Text(text) if text.as_str() == "bye" => {
                let frame = CloseFrame { code: 4001, reason: "as told".into() };
                socket.send(Sent::Close(Some(frame))).await.unwrap();
            }
            Sent::Text(text) if text.as_str() == "gone" => break,
            Sent::Text(_) | Sent::Binary(_) => socket.send(message).await.unwrap(),
            _ => {}
        }
    }
    seen.open.fetch_sub(1, Ordering::SeqCst);
}

fn app(seen: &Seen) -> Router {
    let upgrades = seen.clone();
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        upgrades.requests.fetch_add(1, Ordering::SeqCst);
        upgrade.protocols(["chat.v2", "chat.v1"]).on_upgrade(|socket| echo(socket, upgrades))
    };
    let counted = |status: StatusCode| {
        let seen = seen.clone();
        move || async move {
            seen.requests.fetch_add(1, Ordering::SeqCst);
            (status, "plain")
        }
    };
    Router::new()
        .route("/echo", axum::routing::any(upgrade))
        .route("/forbidden", axum::routing::get(counted(StatusCode::UNAUTHORIZED)))
        .fallback(counted(StatusCode::OK))
}

struct World {
    mesh: Mesh,
    seen: Seen,
}

impl World {
    /// The echo with a mesh of its own, behind a mesh with `policy` for it and `rule` for requests to it.
    async fn start(policy: &str, rule: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Seen::default();
        let app = app(&seen);
        tokio::spawn(async move {
            let own = Mesh::builder().workload("default/echo").label("app", "echo").build().await.unwrap();
            own.serve(listener, app).await
        });
        let builder = Mesh::builder().workload("default/gateway").label("istio", "ingress").profile(Profile::Istio);
        let mesh = builder
            .config_yaml("echo.yaml", documents::service_at("echo", ("HTTP", 9080), port, policy, rule))
            .build()
            .await
            .unwrap();
        Self { mesh, seen }
    }

    async fn plain() -> Self {
        Self::start("loadBalancer: {simple: RANDOM}", "name: echo").await
    }

    async fn gateway(&self) -> (Gateway, SocketAddr) {
        let gateway = self.mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
        let address = gateway.address_of(80).unwrap();
        (gateway, address)
    }

    /// A WebSocket through the client.
    async fn open(&self) -> WebSocketStream<TokioIo<Upgraded>> {
        let mut response = self.mesh.client().send(upgrade("websocket", "/echo")).await;
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], derive_accept_key(KEY.as_bytes()));
        let upgraded = hyper::upgrade::on(&mut response).await.unwrap();
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
    }

    /// The status of a plain request.
    async fn get(&self) -> u16 {
        let request = http::Request::get("http://echo:9080/").body(Body::empty()).unwrap();
        let response = self.mesh.client().send(request).await;
        let status = response.status().as_u16();
        response.into_body().collect().await.unwrap();
        status
    }
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn upgrade(to: &str, path: &str) -> http::Request<Body> {
    http::Request::get(format!("http://echo:9080{path}"))
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", to)
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
        .body(Body::empty())
        .unwrap()
}

/// A WebSocket through a gateway, opened by a client that knows nothing of meshes.
async fn dial(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async("ws://echo.example.com/echo", stream).await.unwrap().0
}

/// The next message that is about content.
async fn next<S>(socket: &mut WebSocketStream<S>) -> Message
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let receiving = async {
        loop {
            match socket.next().await.expect("the socket is open").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), receiving).await.expect("a message")
}

async fn ask<S>(socket: &mut WebSocketStream<S>, message: Message)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.send(message.clone()).await.unwrap();
    assert_eq!(next(socket).await, message);
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A thousand messages there and back, then a large one, then a proper end.
async fn plays<S>(mut socket: WebSocketStream<S>, seen: &Seen)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for n in 0..1_000 {
        ask(&mut socket, Message::text(format!("message {n}"))).await;
    }
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    ask(&mut socket, Message::binary(large)).await;
    // Many on their way at once.
    for n in 0..200 {
        socket.send(Message::text(n.to_string())).await.unwrap();
    }
    for n in 0..200 {
        assert_eq!(next(&mut socket).await, Message::text(n.to_string()));
    }
    socket.close(None).await.unwrap();
    assert!(matches!(next(&mut socket).await, Message::Close(_)));
    assert!(socket.next().await.is_none(), "the connection ends");
    eventually("the echo's side is closed", || seen.open() == 0).await;
    assert_eq!(*seen.closed.lock().unwrap(), [None]);
}

#[tokio::test]
async fn an_echo_plays_through_the_client() {
    let world = World::plain().await;
    plays(world.open().await, &world.seen).await;
}

#[tokio::test]
async fn an_echo_plays_through_the_gateway() {
    let world = World::plain().await;
    let (_gateway, address) = world.gateway().await;
    plays(dial(address).await, &world.seen).await;
}

#[tokio::test]
async fn a_close_of_the_endpoint_arrives_with_its_code() {
    async fn closes<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
        socket.send(Message::text("bye")).await.unwrap();
        let Message::Close(Some(frame)) = next(&mut socket).await else { panic!("it closes") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "as told"));
        // The answer to the close goes out here, and then nothing comes any more.
        assert!(socket.next().await.is_none());
    }
    let world = World::plain().await;
    let (_gateway, address) = world.gateway().await;
    closes(world.open().await).await;
    closes(dial(address).await).await;
    eventually("both are closed", || world.seen.open() == 0).await;
}

#[tokio::test]
async fn a_caller_that_is_gone_ends_the_endpoints_side() {
    let world = World::plain().await;
    let (_gateway, address) = world.gateway().await;
    let (mut here, mut there) = (world.open().await, dial(address).await);
    ask(&mut here, Message::text("x")).await;
    ask(&mut there, Message::text("x")).await;
    assert_eq!(world.seen.open(), 2);
    drop(here);
    eventually("the client's is closed", || world.seen.open() == 1).await;
    drop(there);
    eventually("the gateway's is closed", || world.seen.open() == 0).await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_ends_the_callers_side() {
    async fn breaks<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
        socket.send(Message::text("gone")).await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(5), socket.next()).await.expect("an end");
        assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    }
    let world = World::plain().await;
    let (_gateway, address) = world.gateway().await;
    breaks(world.open().await).await;
    breaks(dial(address).await).await;
}

#[tokio::test]
async fn a_protocol_of_the_socket_is_agreed_on_between_the_ends() {
    let world = World::plain().await;
    let (_gateway, address) = world.gateway().await;
    let mut request = "ws://echo.example.com/echo".into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "chat.v1, other".parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
    ask(&mut socket, Message::text("x")).await;
}

#[tokio::test]
async fn any_other_upgrade_is_forbidden_and_never_sent_on() {
    let world = World::plain().await;
    let (_gateway, address) = world.gateway().await;
    for to in ["irc/6.9", "TLS/1.0", "websocket, irc", "spdy/3.1"] {
        let response = world.mesh.client().send(upgrade(to, "/echo")).await;
        let info = response.extensions().get::<RouteInfo>().unwrap();
        assert_eq!((response.status(), info.details(), info.attempts()), (StatusCode::FORBIDDEN, "upgrade_failed", 0));
        let head = format!(
            "GET /echo HTTP/1.1\r\nhost: echo.example.com\r\nconnection: close, upgrade\r\nupgrade: {to}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{to}: {answer}");
    }
    assert_eq!(world.seen.requests(), 0);
    // The upgrade to HTTP/2 is not refused but passed over, as is one that `connection` does not name.
    let response = world.mesh.client().send(upgrade("h2c", "/")).await;
    assert_eq!(response.status(), 200);
    let mut request = upgrade("irc", "/");
    request.headers_mut().remove("connection");
    assert_eq!(world.mesh.client().send(request).await.status(), 200);
}

#[tokio::test]
async fn an_answer_other_than_101_passes_through_and_its_connection_goes_on() {
    let world = World::start("connectionPool: {tcp: {maxConnections: 1}}", "name: echo").await;
    for _ in 0..3 {
        let response = world.mesh.client().send(upgrade("websocket", "/forbidden")).await;
        assert_eq!(response.status(), 401);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "plain");
    }
    assert_eq!(world.get().await, 200);
}

#[tokio::test]
async fn the_timeout_of_a_rule_ends_with_the_101() {
    let world = World::start("loadBalancer: {simple: RANDOM}", "timeout: 200ms").await;
    let (_gateway, address) = world.gateway().await;
    let (mut here, mut there) = (world.open().await, dial(address).await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    ask(&mut here, Message::text("still there")).await;
    ask(&mut there, Message::text("still there")).await;
}

#[tokio::test]
async fn an_open_socket_counts_as_a_request_until_it_is_closed() {
    let world = World::start("connectionPool: {http: {http2MaxRequests: 1}}", "name: echo").await;
    let (_gateway, address) = world.gateway().await;
    let mut here = world.open().await;
    ask(&mut here, Message::text("x")).await;
    assert_eq!(world.get().await, 503);
    drop(here);
    answers_again(&world).await;
    let mut there = dial(address).await;
    ask(&mut there, Message::text("x")).await;
    assert_eq!(world.get().await, 503);
    drop(there);
    answers_again(&world).await;
}

async fn answers_again(world: &World) {
    let again = async {
        while world.get().await != 200 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("the slot is free again");
}

#[tokio::test]
async fn an_open_socket_counts_as_a_connection_until_it_is_closed() {
    let world = World::start("connectionPool: {tcp: {maxConnections: 1}}", "name: echo").await;
    let mut socket = world.open().await;
    ask(&mut socket, Message::text("x")).await;
    let waiting = world.get();
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "there is no second connection");
    drop(socket);
    let late = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    assert_eq!(late.expect("the connection is free"), 200);
}

#[tokio::test]
async fn shutting_down_ends_what_is_still_open() {
    let world = World::plain().await;
    let (_gateway, address) = world.gateway().await;
    let mut socket = dial(address).await;
    ask(&mut socket, Message::text("x")).await;
    world.mesh.shutdown(Duration::from_millis(100)).await;
    let end = tokio::time::timeout(Duration::from_secs(5), socket.next()).await.expect("an end");
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    eventually("the endpoint's side ends too", || world.seen.open() == 0).await;
}
