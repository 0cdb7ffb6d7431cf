//! What counts as a try, when its clocks start, and what an answer of the mesh itself looks like.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

#[path = "support/refusing.rs"]
mod refusing;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use http::Request;
use http_body_util::BodyExt as _;
use mesh_tower::{Body, Mesh, Profile, ResponseFlags, RouteInfo};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use self::refusing::Refusing;

/// Answers with the status in the path, and says which try it was.
async fn endpoint() -> SocketAddr {
    let app = Router::new().fallback(|request: axum::extract::Request| async move {
        let status = request.uri().path().rsplit('/').next().and_then(|status| status.parse().ok());
        let count = request.headers()["x-envoy-attempt-count"].to_str().unwrap().to_owned();
        tokio::time::sleep(Duration::from_millis(20)).await;
        (StatusCode::from_u16(status.unwrap_or(200)).unwrap(), count)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A mesh with one service at some endpoints, a rule and a policy.
async fn mesh(endpoints: &[SocketAddr], rule: &str, policy: &str) -> Mesh {
    let lines: String = endpoints
        .iter()
        .map(|endpoint| format!("  - {{address: {}, ports: {{http: {}}}}}\n", endpoint.ip(), endpoint.port()))
        .collect();
    let text = format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: a, namespace: default}}
spec:
  hosts: [a.example.com]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
{lines}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: a, namespace: default}}
spec: {{host: a.example.com, trafficPolicy: {{{policy}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: a, namespace: default}}
spec:
  hosts: [a.example.com]
  http: [{{name: rule, {rule}}}]
"
    );
    Mesh::builder().config_yaml("a.yaml", text).profile(Profile::Istio).seed(3).build().await.unwrap()
}

const ROUTE: &str = "route: [{destination: {host: a.example.com}}]";

/// A policy that changes nothing.
const PLAIN: &str = "loadBalancer: {simple: RANDOM}";

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: String,
    info: RouteInfo,
}

async fn send(mesh: &Mesh, request: http::request::Builder) -> Answer {
    let response = mesh.client().send(request.body(Body::empty()).unwrap()).await;
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let info = parts.extensions.get::<RouteInfo>().unwrap().clone();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body, info }
}

#[tokio::test]
async fn a_try_that_finds_no_endpoint_counts() {
    let mesh = mesh(&[], ROUTE, PLAIN).await;
    let answer = send(&mesh, Request::get("http://a.example.com/")).await;
    assert_eq!((answer.status, answer.info.attempts()), (503, 1));
    assert_eq!(answer.info.flags(), ResponseFlags::UH);
}

#[tokio::test]
async fn what_is_asked_for_over_https_never_leaves_in_plaintext() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mesh = mesh(&[], ROUTE, PLAIN).await;
    let first = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).await.unwrap();
        first[0]
    });
    let answer = send(&mesh, Request::get(format!("https://127.0.0.1:{port}/"))).await;
    assert_eq!(answer.status, 503);
    assert_eq!(first.await.unwrap(), 0x16, "a handshake");
}

#[tokio::test]
async fn a_try_that_could_not_connect_counts_for_those_after_it() {
    let rule = format!("retries: {{attempts: 5, retryOn: connect-failure}}, {ROUTE}");
    let closed = Refusing::new();
    let mesh = mesh(&[closed.address, endpoint().await], &rule, "loadBalancer: {simple: ROUND_ROBIN}").await;
    let (one, two) = (
        send(&mesh, Request::get("http://a.example.com/")).await,
        send(&mesh, Request::get("http://a.example.com/")).await,
    );
    let counts = [&one, &two].map(|answer| (answer.body.clone(), answer.info.attempts().to_string()));
    assert!(counts.iter().all(|(told, made)| told == made), "{counts:?}");
    assert!(counts.iter().any(|(told, _)| told != "1"), "{counts:?}");
}

#[tokio::test]
async fn one_slot_for_retries_serves_one_after_the_other() {
    let rule = format!("retries: {{attempts: 3, retryOn: \"5xx\", backoff: 1ms}}, {ROUTE}");
    let mesh = mesh(&[endpoint().await], &rule, "connectionPool: {http: {maxRetries: 1}}").await;
    for _ in 0..2 {
        let answer = send(&mesh, Request::get("http://a.example.com/503")).await;
        assert_eq!((answer.status, answer.info.attempts()), (503, 4));
        assert_eq!(answer.info.flags(), ResponseFlags::URX);
    }
}

#[tokio::test]
async fn an_injected_delay_takes_nothing_of_the_timeout() {
    let rule = format!("timeout: 200ms, fault: {{delay: {{fixedDelay: 300ms, percentage: {{value: 100}}}}}}, {ROUTE}");
    let mesh = mesh(&[endpoint().await], &rule, PLAIN).await;
    let answer = send(&mesh, Request::get("http://a.example.com/")).await;
    assert_eq!((answer.status, answer.info.flags()), (200, ResponseFlags::DI));
}

#[tokio::test]
async fn an_aborted_request_is_still_there_for_the_headers_of_the_answer() {
    let rule = format!(
        "fault: {{abort: {{httpStatus: 503, percentage: {{value: 100}}}}}}, \
         headers: {{response: {{set: {{x-seen: '%REQ(x-in)%'}}}}}}, {ROUTE}"
    );
    let mesh = mesh(&[endpoint().await], &rule, PLAIN).await;
    let answer = send(&mesh, Request::get("http://a.example.com/").header("x-in", "v")).await;
    assert_eq!((answer.status, answer.headers["x-seen"].to_str().unwrap()), (503, "v"));
}

#[tokio::test]
async fn no_answer_to_head_has_a_body() {
    let mesh = mesh(&[], "directResponse: {status: 200, body: {string: text}}", PLAIN).await;
    assert_eq!(send(&mesh, Request::get("http://a.example.com/")).await.body, "text");
    let answer = send(&mesh, Request::head("http://a.example.com/")).await;
    assert_eq!((answer.status, &*answer.body), (200, ""));
}

#[tokio::test]
async fn an_upgrade_is_refused_by_the_rule_that_would_have_taken_it() {
    let mesh = mesh(&[endpoint().await], ROUTE, PLAIN).await;
    let upgrade = |host: &str| Request::get(format!("http://{host}/")).header("connection", "upgrade");
    let answer = send(&mesh, upgrade("a.example.com").header("upgrade", "irc")).await;
    assert_eq!((answer.status, answer.info.route_name(), answer.info.attempts()), (403, "rule", 0));
}
