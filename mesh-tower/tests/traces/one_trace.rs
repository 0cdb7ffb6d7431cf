//! One request through three services is one trace, and no handler knows of it.

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use http::HeaderMap;
use http::uri::PathAndQuery;
use http_body::Frame;
use http_body_util::StreamBody;
use mesh_tower::Mesh;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind::{Client, Server};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::task::JoinSet;
use tonic_prost::ProstCodec;

use super::collector::{Collector, Seen, the};
use super::world::{ask, bind, serve, service};

/// Answers a call as gRPC does, with `status` in its trailers.
fn ratings(status: &'static str) -> Router {
    let call = move || async move {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
        let frames = [Frame::data(Bytes::from_static(b"\0\0\0\0\0")), Frame::trailers(trailers)];
        let body = StreamBody::new(tokio_stream::iter(frames.map(Ok::<_, std::convert::Infallible>)));
        http::Response::builder().header("content-type", "application/grpc").body(axum::body::Body::new(body)).unwrap()
    };
    Router::new().route("/shop.Ratings/Get", post(call))
}

/// Asks for ratings by gRPC. `in_a_task`: from a task that it spawns.
fn reviews(mesh: Mesh, in_a_task: bool) -> Router {
    let rated = move || {
        let client = mesh.client();
        async move {
            let call = async move {
                let mut client = tonic::client::Grpc::with_origin(client, "http://ratings:9090".parse().unwrap());
                client.ready().await.unwrap();
                let path = PathAndQuery::from_static("/shop.Ratings/Get");
                client.unary(tonic::Request::new(()), path, ProstCodec::<(), ()>::default()).await
            };
            let rated = if in_a_task { mesh_tower::spawn(call).await.unwrap() } else { call.await };
            format!("{:?}", rated.err().map(|status| status.code()))
        }
    };
    Router::new().route("/reviews/{id}", get(rated))
}

fn productpage(mesh: Mesh) -> Router {
    let page = move || async move { ask(&mesh, "http://reviews:9080/reviews/1?key=secret", &[]).await.into_body() };
    Router::new().route("/productpage", get(page))
}

/// A browser asks for the page by way of a caller that asks for a trace. Gives the spans, those of the caller first.
async fn browse(grpc_status: &'static str, in_a_task: bool) -> (String, Vec<Seen>) {
    let collector = Collector::start().await;
    let mut serving = JoinSet::new();
    let (page, reviews_at, ratings_at) = (bind().await, bind().await, bind().await);
    let start = async |name: &'static str, config: String| {
        let mesh =
            Mesh::builder().workload(&format!("shop/{name}")).label("app", name).config_yaml("mesh.yaml", config);
        mesh.tracer_provider(&collector.provider(name)).build().await.unwrap()
    };
    let caller = start("browser", service("productpage", page.1)).await;
    let meshes = [
        start("productpage", service("reviews", reviews_at.1)).await,
        start("reviews", service("ratings", ratings_at.1)).await,
        start("ratings", String::new()).await,
    ];
    serve(&mut serving, &meshes[0], page.0, productpage(meshes[0].clone()));
    serve(&mut serving, &meshes[1], reviews_at.0, reviews(meshes[1].clone(), in_a_task));
    serve(&mut serving, &meshes[2], ratings_at.0, ratings(grpc_status));
    let answer = ask(&caller, "http://productpage:9080/productpage", &[("x-client-trace-id", "77")]).await;
    assert_eq!(answer.status(), 200);
    (answer.into_body(), collector.spans(6).await)
}

/// From the first to the last: who made the span, and of what kind.
const ORDER: [(&str, opentelemetry_proto::tonic::trace::v1::span::SpanKind); 6] = [
    ("browser", Client),
    ("productpage", Server),
    ("productpage", Client),
    ("reviews", Server),
    ("reviews", Client),
    ("ratings", Server),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_through_three_services_is_one_trace_without_code_in_the_handlers() {
    for in_a_task in [false, true] {
        let (body, spans) = browse("0", in_a_task).await;
        assert_eq!(body, "None");
        let mut parent = String::new();
        for (service, kind) in ORDER {
            let span = the(&spans, service, kind);
            assert_eq!(span.parent, parent, "{service} {kind:?}: {spans:#?}");
            assert_eq!(span.trace, spans[0].trace);
            assert_eq!(span.status, StatusCode::Unset);
            assert_eq!(span.get("istio.canonical_service"), service);
            parent.clone_from(&span.id);
        }
        let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.get("guid:x-request-id")).collect();
        assert_eq!(ids.len(), 1, "one id on the whole way: {ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_say_what_the_conventions_ask_for() {
    let (_, spans) = browse("0", false).await;
    let expect = |service, kind, name: &str, attributes: &[(&str, &str)]| {
        let span = the(&spans, service, kind);
        assert_eq!(span.name, name);
        for (key, value) in attributes {
            assert_eq!(span.get(key), *value, "{key} of {span:#?}");
        }
    };
    let http = [("http.request.method", "GET"), ("http.response.status_code", "200")];
    let called = [("server.address", "reviews"), ("server.port", "9080")];
    // The query is nobody's business.
    let sent = [
        ("url.full", "http://reviews:9080/reviews/1"),
        ("network.peer.address", "127.0.0.1"),
        ("upstream_cluster.name", "outbound|9080||reviews.shop.svc.cluster.local"),
    ];
    expect("productpage", Client, "GET", &[&http[..], &called, &sent].concat());
    let taken = [
        ("url.path", "/reviews/1"),
        ("url.scheme", "http"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("istio.namespace", "shop"),
        ("istio.mesh_id", "cluster.local"),
    ];
    expect("reviews", Server, "GET", &[&http[..], &called, &taken].concat());
    let rpc = [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "shop.Ratings/Get"),
        ("rpc.response.status_code", "OK"),
        ("server.address", "ratings"),
    ];
    expect("reviews", Client, "shop.Ratings/Get", &rpc);
    expect("ratings", Server, "shop.Ratings/Get", &[&rpc[..], &[("network.protocol.version", "2")]].concat());
    assert!(spans.iter().all(|span| !format!("{span:?}").contains("secret")), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_status_in_trailers_is_an_error_of_whom_it_concerns() {
    for (status, code, of_server) in [("5", "NOT_FOUND", false), ("13", "INTERNAL", true)] {
        let (_, spans) = browse(status, false).await;
        for (service, kind, is_error) in [("reviews", Client, true), ("ratings", Server, of_server)] {
            let span = the(&spans, service, kind);
            assert_eq!(span.get("rpc.response.status_code"), code);
            assert_eq!(span.status == StatusCode::Error, is_error, "{span:#?}");
            assert_eq!(span.get("error.type"), if is_error { code } else { "" });
        }
        assert_eq!(the(&spans, "reviews", Server).status, StatusCode::Unset, "what it answered was fine");
    }
}
