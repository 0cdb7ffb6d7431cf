//! An application that tells what it sees, and callers who read it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use http::StatusCode;
use mesh_tower::Mesh;
use mesh_tower::identity::Peer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::{Framing, Wire};
use crate::world;

/// Requests that have come to an application.
#[derive(Clone, Debug, Default)]
pub(super) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn app(count: Count) -> Router {
    Router::new().fallback(move |request: http::Request<axum::body::Body>| async move {
        count.0.fetch_add(1, Ordering::Relaxed);
        axum::Json(seen(&request))
    })
}

/// What the headers say, and what the connection proves.
fn seen<B>(request: &http::Request<B>) -> Value {
    let lines = |name: &str| {
        let lines = request.headers().get_all(name).iter().map(|line| line.to_str().unwrap());
        lines.collect::<Vec<_>>().join(",")
    };
    let peer = request.extensions().get::<Peer>();
    json!({
        "version": format!("{:?}", request.version()),
        "forwarded": lines("x-forwarded-client-cert"),
        // What a sidecar before the application says of the connection.
        "sidecar": lines("x-connection"),
        "principal": peer.and_then(Peer::principal),
        "namespace": peer.and_then(Peer::namespace),
        "account": peer.and_then(Peer::service_account),
        "server_name": peer.and_then(Peer::server_name),
    })
}

/// Serves it by a mesh.
pub(super) async fn by_mesh(mesh: &Mesh) -> (SocketAddr, Count) {
    let (listener, count) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Count::default());
    let address = listener.local_addr().unwrap();
    let (mesh, app) = (mesh.clone(), app(count.clone()));
    tokio::spawn(async move { mesh.serve(listener, app).await });
    (address, count)
}

/// Serves it in plaintext, for a sidecar.
pub(super) async fn behind_sidecar() -> (SocketAddr, Count) {
    let (listener, count) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Count::default());
    let address = listener.local_addr().unwrap();
    let app = app(count.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, count)
}

/// What became of a request: the status, and the text if it is not what the application saw.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn seen(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }
}

/// Sends a request through an Envoy.
pub(super) async fn through(envoy: SocketAddr, path: &str, forged: Option<&str>) -> Answer {
    let mut wire = Wire::new(TcpStream::connect(envoy).await.unwrap());
    let forged = forged.map(|value| format!("x-forwarded-client-cert: {value}\r\n")).unwrap_or_default();
    let head = format!("GET /{path} HTTP/1.1\r\nhost: server.default.svc.cluster.local\r\n{forged}\r\n");
    wire.write(head.as_bytes()).await.unwrap();
    let head = wire.head().await.unwrap().expect("an answer");
    let status = head.start.split(' ').nth(1).unwrap().parse().unwrap();
    let (body, _) = wire.body(Framing::of(&head.headers, Framing::Length(0))).await.unwrap();
    Answer { status, text: String::from_utf8(body).unwrap() }
}

/// Sends a request by a client of a mesh.
pub(super) async fn ask(mesh: &Mesh) -> Answer {
    let (status, text) = world::ask(mesh, world::SERVICE).await;
    Answer { status, text }
}
