//! gRPC through the mesh, from tonic and from Python, and WebSocket through client and gateway.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests say what they expect"
)]

use std::path::PathBuf;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use bookinfo::ledger::Ledger;
use bookinfo::ratings::ratings_client::RatingsClient;
use bookinfo::ratings::{GetRatingRequest, RateRequest, WatchRatingsRequest};
use bookinfo::roles::ratings;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use mesh_tower::{Body, Mesh, Profile};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

/// Documents for one service at `port` of this machine, reached by the gateway as `NAME.example.com`.
fn documents(name: &str, protocol: &str, port: u16) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  resolution: STATIC
  ports: [{{number: 9080, name: main, protocol: {protocol}}}]
  endpoints: [{{address: 127.0.0.1, ports: {{main: {port}}}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: gateway, namespace: default}}
spec:
  selector: {{istio: ingress}}
  servers: [{{port: {{number: 80, name: main, protocol: {protocol}}}, hosts: ['*.example.com']}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}, {name}.example.com]
  gateways: [mesh, gateway]
  http:
  - match: [{{headers: {{x-fault: {{exact: abort}}}}}}]
    fault: {{abort: {{grpcStatus: RESOURCE_EXHAUSTED, percentage: {{value: 100}}}}}}
    route: [{{destination: {{host: {name}}}}}]
  - match: [{{headers: {{x-fault: {{exact: timeout}}}}}}]
    timeout: 1ms
    route: [{{destination: {{host: nobody.example}}}}]
  - match: [{{headers: {{x-fault: {{exact: missing}}}}}}]
    route: [{{destination: {{host: {name}, subset: none}}}}]
  - match: [{{headers: {{x-fault: {{exact: none}}}}}}]
    directResponse: {{status: 404}}
  - route: [{{destination: {{host: {name}}}}}]
"
    )
}

async fn mesh(text: String) -> Mesh {
    let builder = Mesh::builder().workload("default/gateway").label("istio", "ingress").profile(Profile::Istio);
    builder.config_yaml("documents.yaml", text).build().await.unwrap()
}

/// A mesh with ratings behind it, served by a mesh of their own.
async fn with_ratings() -> Mesh {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let own = Mesh::builder().workload("default/ratings").label("app", "ratings").build().await.unwrap();
        ratings::serve(&own, listener, Ledger::default(), "v1".to_owned()).await
    });
    mesh(documents("ratings", "GRPC", port)).await
}

/// Marks each call, as applications do.
#[derive(Clone)]
struct Marked(&'static str);

impl tonic::service::Interceptor for Marked {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("x-fault", MetadataValue::from_static(self.0));
        Ok(request)
    }
}

fn client(
    mesh: &Mesh,
    fault: &'static str,
) -> RatingsClient<tonic::service::interceptor::InterceptedService<mesh_tower::MeshClient, Marked>> {
    let transport = tonic::service::interceptor::InterceptedService::new(mesh.client(), Marked(fault));
    RatingsClient::with_origin(transport, "http://ratings:9080".parse().unwrap())
}

fn book() -> GetRatingRequest {
    GetRatingRequest { product_id: "1".to_owned() }
}

#[tokio::test]
async fn a_generated_client_with_an_interceptor_calls_and_streams() {
    let mesh = with_ratings().await;
    let mut client = client(&mesh, "no");
    assert_eq!(client.get_rating(book()).await.unwrap().into_inner().version, "v1");
    let watch = WatchRatingsRequest { product_id: "1".to_owned(), messages: 100 };
    let messages: Vec<_> = client.watch_ratings(watch).await.unwrap().into_inner().collect().await;
    assert!(messages.len() == 100 && messages.iter().all(Result::is_ok));
    let stars = tokio_stream::iter([1, 3, 5]).map(|stars| RateRequest { stars });
    let mut averages = client.rate_stream(stars).await.unwrap().into_inner();
    let mut last = None;
    while let Some(average) = averages.message().await.unwrap() {
        last = Some((average.received, average.stars));
    }
    assert_eq!(last, Some((3, 3.0)));
}

#[tokio::test]
async fn what_the_mesh_answers_arrives_as_a_grpc_code() {
    let mesh = with_ratings().await;
    for (fault, code) in [
        ("abort", Code::ResourceExhausted),
        ("timeout", Code::Unavailable),
        ("missing", Code::Unavailable),
        ("none", Code::Unimplemented),
    ] {
        let status = client(&mesh, fault).get_rating(book()).await.unwrap_err();
        assert_eq!(status.code(), code, "{fault}: {status}");
    }
}

/// Python with grpcio: what CI prepared, or a virtual environment beside the build.
fn python() -> Option<PathBuf> {
    let prepared = std::env::var_os("MESH_PYTHON").map(PathBuf::from);
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/ci/python/bin/python");
    let found = prepared.clone().unwrap_or(own);
    match found.exists() {
        true => Some(found),
        false if prepared.is_some() => panic!("{} is not there", found.display()),
        false => {
            println!("skipped: no Python with grpcio; `.ci/prepare target/ci` makes one");
            None
        }
    }
}

/// Without generated code: a message of one string field is a tag, a length and the text.
const PYTHON: &str = r#"
import sys, grpc
def text(value): return b"\x0a" + bytes([len(value)]) + value
raw = dict(request_serializer=lambda b: b, response_deserializer=lambda b: b)
service = "/bookinfo.ratings.v1.Ratings/"
with grpc.insecure_channel(sys.argv[1], options=[("grpc.default_authority", "ratings.example.com")]) as channel:
    rating = channel.unary_unary(service + "GetRating", **raw)(text(b"1"), timeout=10)
    assert b"v1" in rating, rating
    watched = list(channel.unary_stream(service + "WatchRatings", **raw)(text(b"1") + b"\x10\x05", timeout=10))
    assert len(watched) == 5, watched
    rated = list(channel.stream_stream(service + "RateStream", **raw)(iter([b"\x08\x02", b"\x08\x04"]), timeout=10))
    assert len(rated) == 2, rated
    for fault, code in (("abort", "RESOURCE_EXHAUSTED"), ("missing", "UNAVAILABLE"), ("none", "UNIMPLEMENTED")):
        try:
            channel.unary_unary(service + "GetRating", **raw)(text(b"1"), timeout=10, metadata=[("x-fault", fault)])
            assert False, fault
        except grpc.RpcError as error:
            assert error.code().name == code, (fault, error)
print("all as asked")
"#;

#[tokio::test]
async fn a_python_client_reaches_ratings_through_the_gateway() {
    let Some(python) = python() else { return };
    let mesh = with_ratings().await;
    let gateway = mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
    let address = gateway.address_of(80).unwrap().to_string();
    let output = tokio::process::Command::new(python).args(["-c", PYTHON, &address]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("all as asked"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// A mesh with a WebSocket echo behind it, served by a mesh of its own.
async fn with_echo() -> Mesh {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = |upgrade: WebSocketUpgrade| async move {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        })
    };
    let app = Router::new().route("/echo", axum::routing::any(echo));
    tokio::spawn(async move {
        let own = Mesh::builder().workload("default/echo").label("app", "echo").build().await.unwrap();
        own.serve(listener, app).await
    });
    mesh(documents("echo", "HTTP", port)).await
}

async fn plays<S>(mut socket: WebSocketStream<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    for n in 0..1_000 {
        let text = format!("message {n}");
        socket.send(Message::text(text.clone())).await.unwrap();
        let answer = loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Text(answer) => break answer,
                _ => continue,
            }
        };
        assert_eq!(answer.as_str(), text);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn a_websocket_echoes_through_the_client() {
    let mesh = with_echo().await;
    let request = http::Request::get("http://echo:9080/echo")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Body::empty())
        .unwrap();
    let mut response = mesh.client().send(request).await;
    assert_eq!(response.status(), 101);
    let upgraded = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    plays(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await).await;
}

#[tokio::test]
async fn a_websocket_echoes_through_the_gateway() {
    let mesh = with_echo().await;
    let gateway = mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
    let stream = tokio::net::TcpStream::connect(gateway.address_of(80).unwrap()).await.unwrap();
    let (socket, response) = tokio_tungstenite::client_async("ws://echo.example.com/echo", stream).await.unwrap();
    assert_eq!(response.status(), 101);
    plays(socket).await;
}
