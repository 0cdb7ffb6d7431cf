//! How the context comes in and goes out.

use axum::Router;
use axum::routing::get;
use mesh_tower::telemetry::Propagator;
use mesh_tower::{Mesh, MeshBuilder};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind::{Client, Server};
use tokio::task::JoinSet;

use super::collector::{Collector, the};
use super::world::{Upstream, ask, bind, serve, service};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const ID: &str = "11111111-2222-4333-8444-555555555555";

/// A caller without traces, a service whose handler calls on, and what that gets.
struct Chain {
    collector: Collector,
    caller: Mesh,
    upstream: Upstream,
    _serving: JoinSet<()>,
}

impl Chain {
    async fn start(configure: impl FnOnce(MeshBuilder) -> MeshBuilder) -> Self {
        let (collector, upstream) = (Collector::start().await, Upstream::start(&[]).await);
        let (listener, address) = bind().await;
        let mesh = Mesh::builder().workload("shop/web").config_yaml("mesh.yaml", service("behind", upstream.address));
        let mesh = configure(mesh.tracer_provider(&collector.provider("web"))).build().await.unwrap();
        let caller = Mesh::builder().workload("shop/caller").config_yaml("mesh.yaml", service("web", address));
        let caller = caller.build().await.unwrap();
        let own = mesh.clone();
        let on = move || async move { ask(&own, "http://behind:9080/", &[]).await.status().to_string() };
        let mut serving = JoinSet::new();
        serve(&mut serving, &mesh, listener, Router::new().route("/", get(on)));
        Self { collector, caller, upstream, _serving: serving }
    }

    async fn ask(&self, headers: &[(&str, &str)]) {
        assert_eq!(ask(&self.caller, "http://web:9080/", headers).await.body(), "200 OK");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_has_a_span_is_the_parent() {
    let chain = Chain::start(|mesh| mesh).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    chain.ask(&[("traceparent", &parent), ("tracestate", "vendor=1"), ("x-request-id", ID)]).await;
    let spans = chain.collector.spans(2).await;
    let (server, client) = (the(&spans, "web", Server), the(&spans, "web", Client));
    assert_eq!((&*server.trace, &*server.parent, &*client.parent), (TRACE, SPAN, &*server.id));
    assert_eq!(chain.upstream.values("traceparent"), [format!("00-{TRACE}-{}-01", client.id)]);
    assert_eq!(chain.upstream.values("tracestate"), ["vendor=1"]);
    // Envoys on the way see by it that there is a trace.
    assert_eq!(chain.upstream.values("x-request-id"), ["11111111-2222-9333-8444-555555555555"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_is_not_sampled_goes_on_and_nothing_arrives() {
    let chain = Chain::start(|mesh| mesh).await;
    let parent = format!("00-{TRACE}-{SPAN}-00");
    chain.ask(&[("traceparent", &parent), ("x-request-id", ID)]).await;
    // An id that cannot tell of a trace begins none, as in Envoy.
    chain.ask(&[("x-request-id", "mine")]).await;
    chain.collector.spans(0).await;
    let sent = chain.upstream.values("traceparent");
    assert_eq!(sent[0], parent);
    assert!(sent[1].len() == 55 && sent[1].ends_with("-00") && !sent[1].contains(TRACE), "{sent:?}");
    assert_eq!(chain.upstream.values("x-request-id"), [ID, "mine"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_an_envoy_has_marked_begins_a_trace() {
    let chain = Chain::start(|mesh| mesh).await;
    chain.ask(&[("x-request-id", "11111111-2222-9333-8444-555555555555")]).await;
    let spans = chain.collector.spans(2).await;
    assert_eq!(the(&spans, "web", Server).parent, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_is_read_and_written_in_one_line_and_in_several() {
    let chain = Chain::start(|mesh| mesh.propagators([Propagator::B3])).await;
    chain.ask(&[("b3", &format!("{TRACE}-{SPAN}-1"))]).await;
    let spans = chain.collector.spans(2).await;
    assert_eq!(the(&spans, "web", Server).parent, SPAN);
    assert_eq!(chain.upstream.values("b3"), [format!("{TRACE}-{}-1", the(&spans, "web", Client).id)]);
    assert_eq!(chain.upstream.values("traceparent"), [""]);

    let chain = Chain::start(|mesh| mesh.propagators([Propagator::B3Multi, Propagator::TraceContext])).await;
    chain.ask(&[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-flags", "1")]).await;
    let spans = chain.collector.spans(2).await;
    let client = the(&spans, "web", Client);
    assert_eq!((&*client.trace, &*the(&spans, "web", Server).parent), (TRACE, SPAN));
    assert_eq!(chain.upstream.values("x-b3-traceid"), [TRACE]);
    assert_eq!(chain.upstream.values("x-b3-spanid"), [&*client.id]);
    assert_eq!(chain.upstream.values("x-b3-flags"), ["1"], "who is after this request still is");
    assert_eq!(chain.upstream.values("traceparent"), [format!("00-{TRACE}-{}-01", client.id)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_against_a_trace_needs_none_that_it_is_about() {
    let chain = Chain::start(|mesh| mesh.propagators([Propagator::B3])).await;
    chain.ask(&[("b3", "0")]).await;
    chain.collector.spans(0).await;
    assert_eq!(chain.upstream.values("b3"), ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_other_tracers_go_on_as_they_came() {
    let chain = Chain::start(|mesh| mesh).await;
    chain.ask(&[("x-datadog-trace-id", "77"), ("x-client-trace-id", "1")]).await;
    chain.collector.spans(2).await;
    assert_eq!(chain.upstream.values("x-datadog-trace-id"), ["77"]);
}

fn telemetry(tracing: &str) -> String {
    format!(
        "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: traces, namespace: shop}}
spec: {{tracing: [{tracing}]}}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_says_how_many_traces_are_recorded() {
    for (percent, wanted) in [("100", 40), ("0", 0)] {
        let sampling = telemetry(&format!("{{randomSamplingPercentage: {percent}}}"));
        let chain = Chain::start(|mesh| mesh.config_yaml("telemetry.yaml", sampling)).await;
        for _ in 0..20 {
            chain.ask(&[]).await;
        }
        chain.collector.spans(wanted).await;
        let flags = if wanted == 0 { "-00" } else { "-01" };
        assert!(chain.upstream.values("traceparent").iter().all(|line| line.ends_with(flags)));
    }
    let chain =
        Chain::start(|mesh| mesh.seed(4).config_yaml("telemetry.yaml", telemetry("{randomSamplingPercentage: 30}")))
            .await;
    for _ in 0..200 {
        chain.ask(&[]).await;
    }
    let sent = chain.upstream.values("traceparent");
    let sampled = sent.iter().filter(|line| line.ends_with("-01")).count();
    assert!((40..=80).contains(&sampled), "{sampled} of 200");
    // Both sides of a trace, or neither.
    chain.collector.spans(2 * sampled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_may_concern_one_side_alone() {
    for (mode, kind, sent) in [("CLIENT", Server, "-01"), ("SERVER", Client, "-01")] {
        let one = format!("{{match: {{mode: {mode}}}, disableSpanReporting: true}}");
        let chain = Chain::start(|mesh| mesh.config_yaml("telemetry.yaml", telemetry(&one))).await;
        let parent = format!("00-{TRACE}-{SPAN}-01");
        chain.ask(&[("traceparent", &parent)]).await;
        let spans = chain.collector.spans(1).await;
        assert_eq!((spans[0].kind, &*spans[0].parent), (kind, SPAN), "{mode}");
        let on = chain.upstream.values("traceparent");
        assert!(on[0].contains(&spans[0].id) && on[0].ends_with(sent), "the context travels all the same: {on:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_asks_for_tags_and_leaves_istios_out() {
    let tags = "{enableIstioTags: false, customTags: {team: {literal: {value: shop}}, user: {header: {name: x-user, \
                defaultValue: nobody}}, how: {formatter: {value: '%REQ(:METHOD)% by %REQ(X-USER)%'}}}}";
    let chain = Chain::start(|mesh| mesh.config_yaml("telemetry.yaml", telemetry(tags))).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    chain.ask(&[("traceparent", &parent), ("x-user", "ann")]).await;
    let spans = chain.collector.spans(2).await;
    let (server, client) = (the(&spans, "web", Server), the(&spans, "web", Client));
    assert_eq!((server.get("team"), server.get("user"), client.get("user")), ("shop", "ann", "nobody"));
    assert_eq!((server.get("how"), client.get("how")), ("GET by ann", "GET by "));
    assert_eq!(server.get("istio.canonical_service"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_may_leave_headers_or_the_decision_alone() {
    let chain = Chain::start(|mesh| mesh.config_yaml("t.yaml", telemetry("{disableContextPropagation: true}"))).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    chain.ask(&[("traceparent", &parent)]).await;
    chain.collector.spans(2).await;
    assert_eq!(chain.upstream.values("traceparent"), [parent]);

    // As measured in Envoy 1.40: then whoever makes the spans decides, whatever the share.
    let provider = telemetry("{randomSamplingPercentage: 0, useRequestIdForTraceSampling: false}");
    let chain = Chain::start(|mesh| mesh.config_yaml("t.yaml", provider)).await;
    chain.ask(&[("x-request-id", ID)]).await;
    chain.collector.spans(2).await;
    assert_eq!(chain.upstream.values("x-request-id"), [ID]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_logs_name_the_trace() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = mesh_tower::telemetry::AccessLog::file(&path).text("%TRACE_ID%").unwrap();
    let chain = Chain::start(|mesh| mesh.access_log(log)).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    chain.ask(&[("traceparent", &parent)]).await;
    chain.collector.spans(2).await;
    for _ in 0..1_000 {
        if std::fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 2) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{TRACE}\n{TRACE}\n"), "of both sides");
}
