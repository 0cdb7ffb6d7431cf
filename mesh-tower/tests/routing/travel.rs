//! What a request hands on to the calls that are made for it, seen by the service behind.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, Request};
use mesh_tower::{AddedHeader, Body, Mesh, MeshBuilder, MeshClient};
use tokio::net::TcpListener;

use crate::support::ask::{Lines, ask, send};
use crate::support::documents::{service, virtual_service};
use crate::support::upstream::{Seen, Upstream};

const BACK: &str = "http://back/";

/// A service in the middle: its handlers call the one behind through its mesh.
struct Middle {
    mesh: Mesh,
    address: SocketAddr,
    back: Upstream,
}

impl Middle {
    async fn start(rules: &[&str], set_up: impl FnOnce(MeshBuilder) -> MeshBuilder) -> Self {
        let back = Upstream::start("back").await;
        let text = service("back", 80, &[("v1", back.address)]) + &virtual_service("back", rules);
        let mesh = set_up(Mesh::builder().workload("default/middle").label("app", "middle").config_yaml("back", text));
        let mesh = mesh.build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = mesh.clone();
        let app = app(mesh.client());
        tokio::spawn(async move { served.serve(listener, app).await });
        Self { mesh, address, back }
    }

    /// What reached the service behind for one request.
    async fn seen(&self, path: &str, lines: Lines<'_>) -> Seen {
        let answer = ask(&self.mesh.client(), &format!("http://{}{path}", self.address), lines).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.back.seen().pop().unwrap()
    }
}

fn app(client: MeshClient) -> Router {
    let (plain, own, spawned, streamed) = (client.clone(), client.clone(), client.clone(), client);
    Router::new()
        .route("/plain", get(|| async move { ask(&plain, BACK, &[]).await.body }))
        .route(
            "/own",
            get(|| async move { ask(&own, BACK, &[("end-user", "own"), ("traceparent", "own")]).await.body }),
        )
        .route(
            "/spawned",
            get(|| async move { mesh_tower::spawn(async move { ask(&spawned, BACK, &[]).await.body }).await.unwrap() }),
        )
        .route(
            "/streamed",
            get(|| async move {
                // The call is made while the body is read, when the handler has long returned.
                let body = stream::once(async move { ask(&streamed, BACK, &[]).await.body });
                AxumBody::from_stream(body.map(Ok::<_, std::convert::Infallible>))
            }),
        )
}

fn carrying(builder: MeshBuilder) -> MeshBuilder {
    builder.carry_headers([HeaderName::from_static("end-user")])
}

const REQUEST: Lines<'_> = &[
    ("x-request-id", "one"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("end-user", "ann"),
    ("cookie", "mine"),
];

#[tokio::test]
async fn calls_carry_on_the_id_the_trace_and_what_is_named() {
    let middle = Middle::start(&["route: [{destination: {host: back}}]"], carrying).await;
    for path in ["/plain", "/spawned", "/streamed"] {
        let seen = middle.seen(path, REQUEST).await;
        for (name, value) in &REQUEST[..3] {
            assert_eq!(seen.header(name), *value, "{path} {name}");
        }
        assert_eq!(seen.header("cookie"), "", "{path}");
    }
    let seen = middle.seen("/own", REQUEST).await;
    assert_eq!(
        (seen.header("end-user"), seen.header("traceparent"), seen.header("x-request-id")),
        ("own", "own", "one")
    );
}

#[tokio::test]
async fn nothing_leaks_from_one_request_into_another() {
    let middle = Middle::start(&["route: [{destination: {host: back}}]"], carrying).await;
    let client = middle.mesh.client();
    let calls = (0..64_usize).map(|n| {
        let (client, address) = (client.clone(), middle.address);
        tokio::spawn(async move {
            for round in 0..8_usize {
                let path = ["/plain", "/spawned", "/streamed"][(n + round) % 3];
                let (user, id) = (format!("user-{n}"), format!("id-{n}-{round}"));
                let lines = [("end-user", user.as_str()), ("x-request-id", id.as_str())];
                // Every other request says nothing, and must not get what others said.
                let lines = if round % 2 == 0 { &lines[..] } else { &lines[1..] };
                assert_eq!(ask(&client, &format!("http://{address}{path}"), lines).await.status, 200);
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let seen = middle.back.seen();
    assert_eq!(seen.len(), 64 * 8);
    for seen in seen {
        let id = seen.header("x-request-id").to_owned();
        let mut parts = id.split('-').skip(1);
        let (n, round) = (parts.next().unwrap(), parts.next().unwrap().parse::<usize>().unwrap());
        let expected = if round % 2 == 0 { format!("user-{n}") } else { String::new() };
        assert_eq!(seen.header("end-user"), expected, "{id}");
    }
}

#[tokio::test]
async fn a_call_ends_with_the_request_that_it_is_made_for() {
    let limited = ["route: [{destination: {host: back}}]"];
    for (set_up, cut_off) in [
        ((|builder| builder) as fn(MeshBuilder) -> MeshBuilder, true),
        (|builder| builder.carry_deadline(false), false),
        (|builder| builder.profile(mesh_tower::Profile::Istio), false),
    ] {
        let middle = Middle::start(&limited, set_up).await;
        middle.back.hold();
        // The caller is no mesh: it says itself how long it waits.
        let request = Request::get(format!("http://{}/plain", middle.address))
            .header("x-envoy-expected-rq-timeout-ms", "300")
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap();
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let answer = tokio::time::timeout(Duration::from_secs(2), client.request(request)).await;
        assert_eq!(answer.is_ok(), cut_off);
        assert_eq!(middle.back.seen()[0].header("x-envoy-expected-rq-timeout-ms").is_empty(), !cut_off);
    }
}

/// A stranger's short patience takes no endpoint out, however often.
#[tokio::test]
async fn a_call_that_had_no_time_left_says_nothing_about_who_was_asked() {
    let rule = ["route: [{destination: {host: back}}], retries: {attempts: 0}"];
    let middle = Middle::start(&rule, |builder| {
        let policy = "outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}";
        builder.config_yaml("policy", crate::support::documents::policy("back", policy))
    })
    .await;
    middle.back.hold();
    for calls in 1..=3 {
        let (_, body) = stranger(&middle, "x-envoy-expected-rq-timeout-ms", "50").await;
        middle.back.has_seen(calls).await;
        assert!(!body.contains("no healthy upstream"), "{body}");
    }
    assert!(middle.mesh.gauges().clusters.iter().all(|cluster| cluster.ejected == 0));
    middle.back.let_go();
    // Only a gRPC call says by `grpc-timeout` how long it waits.
    middle.back.delay_next(Duration::from_millis(100));
    let (status, body) = stranger(&middle, "grpc-timeout", "1m").await;
    assert!(status == 200 && body.contains("back"), "{status} {body}");
}

/// Asks as somebody who is no mesh, with one header.
async fn stranger(middle: &Middle, name: &str, value: &str) -> (u16, String) {
    let request = Request::get(format!("http://{}/plain", middle.address)).header(name, value);
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let answer = client.request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn each_header_that_the_mesh_adds_can_be_left_out() {
    const ADDED: [(AddedHeader, &str); 5] = [
        (AddedHeader::RequestId, "x-request-id"),
        (AddedHeader::ForwardedProto, "x-forwarded-proto"),
        (AddedHeader::AttemptCount, "x-envoy-attempt-count"),
        (AddedHeader::ExpectedTimeout, "x-envoy-expected-rq-timeout-ms"),
        (AddedHeader::Original, "x-envoy-original-path"),
    ];
    let back = Upstream::start("back").await;
    let rule = "timeout: 5s, rewrite: {uri: /other}, route: [{destination: {host: back}}]";
    let text = service("back", 80, &[("v1", back.address)]) + &virtual_service("back", &[rule]);
    for left_out in [None, Some(0), Some(1), Some(2), Some(3), Some(4)] {
        let builder =
            Mesh::builder().workload("default/caller").label("app", "caller").config_yaml("back", text.clone());
        let builder = match left_out {
            Some(index) => builder.without_header(ADDED[index].0),
            None => builder,
        };
        let client = builder.build().await.unwrap().client();
        let request = Request::get(BACK).body(Body::empty()).unwrap();
        assert_eq!(send(&client, request).await.status, 200);
        let seen = back.seen().pop().unwrap();
        for (index, (_, name)) in ADDED.iter().enumerate() {
            assert_eq!(seen.headers.contains_key(*name), left_out != Some(index), "{left_out:?} {name}");
        }
    }
}
