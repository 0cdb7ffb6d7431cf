//! Traces and metrics to where the environment says, and a collector that hangs.
//!
//! A process cannot change its environment safely, so each test runs itself once more, in one of its own.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use mesh_tower::Mesh;
use mesh_tower::telemetry::otlp::Otlp;
use tokio::process::Command;
use tokio::time::Instant;

use super::collector::Collector;
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

async fn mesh(otlp: &Otlp, upstream: &Upstream) -> Mesh {
    let mesh = Mesh::builder().workload("shop/web").config_yaml("mesh.yaml", service("behind", upstream.address));
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
    let mesh = mesh(&otlp, &upstream).await;
    for _ in 0..5 {
        ask(&mesh, "http://behind:9080/", &[]).await;
    }
    assert!(upstream.values("b3").iter().all(|line| line.ends_with("-1")));
    mesh.shutdown(Duration::from_secs(1)).await;
    // Spans that wait are sent before it is over.
    otlp.shut_down(Duration::from_secs(5)).await.unwrap_or_else(|error| assert!(!error.to_string().contains("trace")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_holds_nobody_up() {
    const REQUESTS: u32 = 8_000;
    if env::var_os(ENDPOINT).is_none() {
        let (_silent, address) = bind().await;
        let more = [("OTEL_TRACES_SAMPLER", "always_on"), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
        again("a_collector_that_hangs_holds_nobody_up", format!("http://{address}"), &more).await;
        return;
    }
    let upstream = Upstream::start(&[]).await;
    let otlp = Otlp::from_environment().unwrap();
    let mesh = mesh(&otlp, &upstream).await;
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
