//! The messages of gRPC calls, of tonic's client and tonic's server with a mesh in each.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_tower::{Body, Mesh, MeshBuilder, MeshClient};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;

use super::common_grpc::client::EchoClient;
use super::common_grpc::server::EchoServer;
use super::common_grpc::{Text, documents, text, times};
use super::{REQUESTS, Scrape};

const ASKED: &str = "istio_request_messages_total";
const ANSWERED: &str = "istio_response_messages_total";

/// `web` calls `echo`, and both are counted.
struct Calls {
    client: EchoClient<MeshClient>,
    mesh: Mesh,
    at_web: Scrape,
    at_echo: Scrape,
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Calls {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(more: impl Fn(MeshBuilder) -> MeshBuilder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (at_web, at_echo) = (Scrape::new(), Scrape::new());
        let echo = Mesh::builder().workload("default/echo").label("app", "echo").label("version", "v1");
        let echo = more(echo.meter_provider(&at_echo.provider).exchange_metadata(true)).build().await.unwrap();
        let mut serving = JoinSet::new();
        let routes = tonic::service::Routes::new(EchoServer::default());
        serving.spawn(async move { echo.serve(listener, routes).await.unwrap() });
        let web = Mesh::builder().workload("default/web").label("app", "web");
        let web = web.config_yaml("echo.yaml", documents("GRPC", address.port())).exchange_metadata(true);
        let mesh = more(web.meter_provider(&at_web.provider)).build().await.unwrap();
        let client = EchoClient::with_origin(mesh.client(), "http://echo:9000".parse().unwrap());
        Self { client, mesh, at_web, at_echo, address, _serving: serving }
    }

    /// Waits until both sides have counted so many.
    async fn until(&self, asked: u32, answered: u32) {
        for scrape in [&self.at_web, &self.at_echo] {
            scrape.until(ASKED, &[], asked.into()).await;
            scrape.until(ANSWERED, &[], answered.into()).await;
        }
    }
}

/// Rules of the documents take only what says what it wants.
fn wanted<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("x-want", MetadataValue::from_static("answer"));
    request
}

#[tokio::test]
async fn messages_of_all_kinds_of_calls_are_counted_on_both_sides() {
    let mut calls = Calls::start().await;
    calls.client.say(wanted(text("one for one"))).await.unwrap();
    calls.until(1, 1).await;
    let many = calls.client.repeat(wanted(times("one for many", 300))).await.unwrap().into_inner();
    assert_eq!(many.count().await, 300);
    calls.until(2, 301).await;
    // Longer than frames of HTTP/2, so that messages begin anywhere.
    let long = tokio_stream::iter((0..20).map(|_| text("x".repeat(40_000))));
    calls.client.join(wanted(long)).await.unwrap();
    calls.until(22, 302).await;
    let chat = calls.client.chat(wanted(tokio_stream::iter((0..50).map(|n| text(n.to_string()))))).await.unwrap();
    assert_eq!(chat.into_inner().count().await, 50);
    calls.until(72, 352).await;
}

#[tokio::test]
async fn messages_are_counted_while_the_call_goes_on() {
    let mut calls = Calls::start().await;
    let (say, said) = mpsc::channel(1);
    let mut answers = calls.client.chat(wanted(ReceiverStream::<Text>::new(said))).await.unwrap().into_inner();
    for n in 1..4 {
        say.send(text("still there?")).await.unwrap();
        answers.next().await.unwrap().unwrap();
        calls.until(n, n).await;
    }
    assert_eq!(calls.at_web.value(REQUESTS, &[]), 0.0, "the call goes on");
    drop(answers);
    calls.at_web.until(REQUESTS, &[], 1.0).await;
    calls.until(3, 3).await;
}

#[tokio::test]
async fn messages_have_the_labels_of_who_calls_whom_and_none_of_the_outcome() {
    let mut calls = Calls::start().await;
    calls.client.say(wanted(text("hello"))).await.unwrap();
    calls.client.say(wanted(text("fail"))).await.unwrap_err();
    calls.until(2, 1).await;
    let both = [
        ("source_workload", "web"),
        ("source_workload_namespace", "default"),
        ("destination_workload", "echo"),
        ("destination_version", "v1"),
        ("destination_service", "echo.default.svc.cluster.local"),
        ("destination_service_name", "echo"),
        ("destination_service_namespace", "default"),
    ];
    for (scrape, reporter) in [(&calls.at_web, "source"), (&calls.at_echo, "destination")] {
        for name in [ASKED, ANSWERED] {
            let lines = scrape.lines(name, &[&both[..], &[("reporter", reporter)]].concat());
            assert_eq!((lines.len(), scrape.lines(name, &[]).len()), (1, 1), "{}", scrape.text());
            let labels: Vec<_> = lines[0].split(['{', ',']).filter_map(|label| label.split_once('=')).collect();
            assert_eq!(labels.iter().filter(|(name, _)| !name.starts_with("otel_scope")).count(), 20, "{lines:?}");
        }
        assert_eq!(scrape.lines(REQUESTS, &[("request_protocol", "grpc"), ("response_code", "200")]).len(), 2);
    }
}

/// Sends pieces of a body and reads the answer.
async fn pieces(mesh: &Mesh, url: String, content_type: &str, pieces: &[&'static [u8]]) -> http::StatusCode {
    let frames: Vec<_> =
        pieces.iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece)))).collect();
    let body = match &pieces {
        [whole] => Body::from(Bytes::from_static(whole)),
        _ => Body::new(StreamBody::new(tokio_stream::iter(frames))),
    };
    let request = Request::post(url).version(http::Version::HTTP_2).header("content-type", content_type);
    let response = mesh.client().send(request.header("x-want", "answer").body(body).unwrap()).await;
    let status = response.status();
    let _cut = response.into_body().collect().await;
    status
}

#[tokio::test]
async fn a_message_may_come_in_any_pieces_and_needs_only_to_begin() {
    let calls = Calls::start().await;
    let url = || "http://echo:9000/echo.v1.Echo/Join".to_owned();
    // An empty one, one of two bytes that says it is compressed, cut everywhere, and the first byte of a third.
    pieces(&calls.mesh, url(), "application/grpc", &[b"\0\0", b"\0\0\0\x01\0\0", b"", b"\0\x02\x0a", b"\0\0"]).await;
    calls.at_web.until(ASKED, &[], 3.0).await;
    // All there at once.
    pieces(&calls.mesh, url(), "application/grpc+proto", &[b"\0\0\0\0\0\0\0\0\0\0"]).await;
    calls.at_web.until(ASKED, &[], 5.0).await;
}

#[tokio::test]
async fn what_is_not_grpc_has_no_messages() {
    let calls = Calls::start().await;
    let url = format!("http://{}/anything", calls.address);
    pieces(&calls.mesh, url.clone(), "application/grpc-web", &[b"\0\0\0\0\0"]).await;
    pieces(&calls.mesh, url, "text/plain", &[b"\0\0\0", b"\0\0"]).await;
    calls.at_web.until(REQUESTS, &[], 2.0).await;
    for scrape in [&calls.at_web, &calls.at_echo] {
        assert!(scrape.lines(ASKED, &[]).is_empty() && scrape.lines(ANSWERED, &[]).is_empty(), "{}", scrape.text());
    }
}

#[tokio::test]
async fn telemetry_resources_act_on_messages() {
    let telemetry = "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: messages, namespace: default}
spec:
  metrics:
  - overrides:
    - {match: {metric: GRPC_REQUEST_MESSAGES}, disabled: true}
    - {match: {metric: GRPC_RESPONSE_MESSAGES}, tagOverrides: {source_app: {operation: REMOVE}}}
    providers: [{name: prometheus}]
";
    let mut calls = Calls::with(|builder| builder.config_yaml("telemetry.yaml", telemetry)).await;
    calls.client.say(wanted(text("hello"))).await.unwrap();
    calls.until(0, 1).await;
    for scrape in [&calls.at_web, &calls.at_echo] {
        assert!(scrape.lines(ASKED, &[]).is_empty(), "{}", scrape.text());
        assert!(!scrape.lines(ANSWERED, &[])[0].contains("source_app"), "{}", scrape.text());
    }
}
