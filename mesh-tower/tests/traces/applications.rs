//! Applications that have spans of their own.

use axum::Router;
use axum::routing::get;
use mesh_tower::Mesh;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind::{Client, Internal, Server};
use tokio::task::JoinSet;
use tracing::Instrument as _;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::collector::{Collector, the};
use super::world::{Upstream, ask, bind, serve, service};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_by_tracing_opentelemetry_are_parents_of_calls_and_children_of_requests() {
    let (collector, upstream) = (Collector::start().await, Upstream::start(&[]).await);
    let provider = collector.provider("web");
    let (listener, address) = bind().await;
    let mesh = Mesh::builder().workload("shop/web").config_yaml("mesh.yaml", service("behind", upstream.address));
    let mesh = mesh.tracer_provider(&provider).build().await.unwrap();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("application"));
    let subscriber = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let own = mesh.clone();
    let handler = move || {
        async move {
            let work = tracing::info_span!(target: "application", "work");
            ask(&own, "http://behind:9080/", &[]).instrument(work).await.status().to_string()
        }
        .with_subscriber(subscriber)
    };
    let mut serving = JoinSet::new();
    serve(&mut serving, &mesh, listener, Router::new().route("/", get(handler)));
    let caller = Mesh::builder().workload("shop/caller").config_yaml("mesh.yaml", service("web", address));
    let caller = caller.build().await.unwrap();
    ask(&caller, "http://web:9080/", &[("x-client-trace-id", "1")]).await;

    let spans = collector.spans(3).await;
    let (server, client) = (the(&spans, "web", Server), the(&spans, "web", Client));
    let work = the(&spans, "web", Internal);
    assert_eq!((&*work.name, &*work.parent, &*client.parent), ("work", &*server.id, &*work.id));
    assert!(upstream.values("traceparent")[0].contains(&client.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_of_the_application_begins_the_trace_whatever_the_chance() {
    let (collector, upstream) = (Collector::start().await, Upstream::start(&[]).await);
    let provider = collector.provider("web");
    let mesh = Mesh::builder().workload("shop/web").config_yaml("mesh.yaml", service("behind", upstream.address));
    let mesh = mesh.tracer_provider(&provider).build().await.unwrap();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("application"));
    let subscriber = tracing_subscriber::registry().with(layer);
    let calls = async {
        for _ in 0..10 {
            let job = tracing::info_span!(target: "application", "job");
            ask(&mesh, "http://behind:9080/", &[]).instrument(job).await;
        }
    };
    calls.with_subscriber(subscriber).await;
    let spans = collector.spans(20).await;
    for call in spans.iter().filter(|span| span.kind == Client) {
        assert!(spans.iter().any(|span| span.name == "job" && span.id == call.parent && span.trace == call.trace));
    }
}
