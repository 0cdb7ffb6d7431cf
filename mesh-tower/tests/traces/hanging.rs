//! Traces and metrics to where the environment says, and a collector that hangs.
//!
//! A process cannot change its environment safely, so each test runs itself once more, in one of its own.

use std::env;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use mesh_core::telemetry::standard::BUCKETS;
use mesh_tower::telemetry::otlp::Otlp;
use mesh_tower::{Body, Mesh};
use tokio::process::Command;
use tokio::time::Instant;

use super::collector::Collector;
use super::points::Kind;
use super::world::{Upstream, ask, bind, service};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Runs the test of this name in an environment.
async fn again(test: &str, endpoint: String, more: &[(&str, &str)]) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([&format!("hanging::{test}"), "--exact", "--nocapture"]).env(ENDPOINT, endpoint);
    let child = command.envs(more.iter().copied()).kill_on_drop(true).stdin(Stdio::null()).output();
    let output = tokio::time::timeout(Duration::from_secs(60), child).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "no test of this name");
}

async fn mesh(otlp: &Otlp, upstream: SocketAddr) -> Mesh {
    let mesh = Mesh::builder().workload("shop/web").config_yaml("mesh.yaml", service("behind", upstream));
    mesh.tracer_provider(otlp.tracer_provider()).meter_provider(otlp.meter_provider()).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_says_where_spans_go() {
    if env::var_os(ENDPOINT).is_none() {
        let collector = Collector::start().await;
        let more = [
            ("OTEL_SERVICE_NAME", "from-the-environment"),
            // Then the SDK decides, whatever Istio's share is.
            ("OTEL_TRACES_SAMPLER", "always_on"),
            ("OTEL_PROPAGATORS", "b3"),
        ];
        again("the_environment_says_where_spans_go", format!("http://{}", collector.address), &more).await;
        let spans = collector.spans(5).await;
        assert!(spans.iter().all(|span| span.service == "from-the-environment"), "{spans:#?}");
        return;
    }
    let upstream = Upstream::start(&[]).await;
    let otlp = Otlp::from_environment().unwrap();
    let mesh = mesh(&otlp, upstream.address).await;
    for _ in 0..5 {
        ask(&mesh, "http://behind:9080/", &[]).await;
    }
    assert!(upstream.values("b3").iter().all(|line| line.ends_with("-1")));
    mesh.shutdown(Duration::from_secs(1)).await;
    // Spans that wait are sent before it is over.
    otlp.shut_down(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_says_where_metrics_go() {
    if env::var_os(ENDPOINT).is_none() {
        let collector = Collector::start().await;
        let more = [("OTEL_SERVICE_NAME", "counted"), ("OTEL_METRIC_EXPORT_INTERVAL", "50")];
        again("the_environment_says_where_metrics_go", format!("http://{}", collector.address), &more).await;
        let labels = [
            ("reporter", "source"),
            ("source_workload_namespace", "shop"),
            ("destination_service", "behind.shop.svc.cluster.local"),
            ("destination_service_name", "behind"),
            ("request_protocol", "http"),
            ("response_code", "200"),
            ("response_flags", "-"),
            ("connection_security_policy", "unknown"),
        ];
        let one = |name: &str, wanted: &[(&str, &str)]| match &collector.points.last(name, wanted)[..] {
            [only] => only.clone(),
            other => panic!("{name}: {other:#?}"),
        };
        let requests = one("istio_requests", &labels);
        assert_eq!((requests.value, requests.kind, requests.attributes.len()), (5.0, Kind::Counter, 25));
        assert_eq!(requests.service, "counted");
        for name in ["istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"] {
            let histogram = one(name, &labels);
            assert_eq!((histogram.value, histogram.kind), (5.0, Kind::Histogram(BUCKETS.to_vec())), "{name}");
            // A collector that writes for Prometheus puts units behind names.
            assert_eq!(histogram.unit, "");
        }
        for name in ["istio_request_messages", "istio_response_messages"] {
            let messages = one(name, &labels[..4]);
            assert_eq!((messages.value, messages.kind, messages.attributes.len()), (3.0, Kind::Counter, 20), "{name}");
        }
        assert_eq!(one("istio_build", &[("component", "proxy")]).kind, Kind::Gauge);
        return;
    }
    let (listener, address) = bind().await;
    let app = Router::new().fallback(|request: Request<axum::body::Body>| async {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let content_type = parts.headers.get("content-type").cloned().unwrap_or(HeaderValue::from_static("text/plain"));
        ([("content-type", content_type)], body)
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let otlp = Otlp::from_environment().unwrap();
    let mesh = mesh(&otlp, address).await;
    for _ in 0..5 {
        ask(&mesh, "http://behind:9080/", &[]).await;
    }
    let call = Request::post("http://behind:9090/calls/Echo").header("content-type", "application/grpc");
    let response = mesh.client().send(call.body(Body::from(vec![0_u8; 15])).unwrap()).await;
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 15);
    // Some are sent while requests go on, the last at the end.
    tokio::time::sleep(Duration::from_millis(200)).await;
    otlp.shut_down(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_holds_nobody_up() {
    let more = [("OTEL_TRACES_SAMPLER", "always_on"), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    with_one_that_hangs("a_collector_that_hangs_holds_nobody_up", &more).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_with_metrics_holds_nobody_up() {
    let more = [("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_METRIC_EXPORT_INTERVAL", "20")];
    with_one_that_hangs("a_collector_that_hangs_with_metrics_holds_nobody_up", &more).await;
}

async fn with_one_that_hangs(test: &str, more: &[(&str, &str)]) {
    const REQUESTS: u32 = 8_000;
    if env::var_os(ENDPOINT).is_none() {
        let (_silent, address) = bind().await;
        again(test, format!("http://{address}"), more).await;
        return;
    }
    let upstream = Upstream::start(&[]).await;
    let otlp = Otlp::from_environment().unwrap();
    let mesh = mesh(&otlp, upstream.address).await;
    let round = async |requests: u32| {
        let mut slowest = Duration::ZERO;
        for _ in 0..requests {
            let began = Instant::now();
            assert_eq!(ask(&mesh, "http://behind:9080/", &[]).await.status(), 200);
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    // Four times what the queue of spans holds.
    round(REQUESTS / 2).await;
    let (half, slowest) = (resident(), round(REQUESTS / 2).await);
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    // What the upstream keeps of them is there, too.
    let grown = resident().saturating_sub(half);
    assert!(grown < 24 << 20, "{grown} bytes more, with the queue full already");
    let began = Instant::now();
    assert!(otlp.shut_down(Duration::from_secs(1)).await.is_err(), "what waits cannot be sent");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

/// Bytes of memory that this process holds.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}
