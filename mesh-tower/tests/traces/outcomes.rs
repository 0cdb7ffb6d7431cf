//! What spans say of what became of a request.

use std::time::Duration;

use mesh_tower::Mesh;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind::{Client, Server};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::collector::{Collector, Seen, the};
use super::world::{Upstream, ask, bind, read, service};

const SAMPLED: (&str, &str) = ("x-client-trace-id", "1");

fn rule(http: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec: {{hosts: [web], http: [{http}]}}
---
"
    )
}

async fn mesh(collector: &Collector, config: String) -> Mesh {
    let mesh = Mesh::builder().workload("shop/caller").config_yaml("mesh.yaml", config);
    mesh.tracer_provider(&collector.provider("caller")).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_shows_its_tries() {
    let (collector, upstream) = (Collector::start().await, Upstream::start(&[503, 502]).await);
    let retries = "{retries: {attempts: 3, retryOn: 5xx}, route: [{destination: {host: web, port: {number: 9080}}}]}";
    let mesh = mesh(&collector, service("web", upstream.address) + &rule(retries)).await;
    assert_eq!(ask(&mesh, "http://web:9080/", &[SAMPLED]).await.status(), 200);

    let spans = collector.spans(4).await;
    let call = spans.iter().find(|span| span.parent.is_empty()).unwrap();
    let mut tries: Vec<&Seen> = spans.iter().filter(|span| span.parent == call.id).collect();
    tries.sort_by_key(|span| span.get("http.request.resend_count").to_owned());
    let told = |span: &Seen| (span.get("http.response.status_code").to_owned(), span.status);
    let expected = [("503", StatusCode::Error), ("502", StatusCode::Error), ("200", StatusCode::Unset)];
    assert_eq!(tries.len(), 3, "{spans:#?}");
    for (span, (status, code)) in tries.iter().zip(expected) {
        assert_eq!(told(span), (status.to_owned(), code));
        assert_eq!(span.get("network.peer.port"), upstream.address.port().to_string());
        assert!(span.nanos <= call.nanos);
    }
    assert_eq!(told(call), ("200".to_owned(), StatusCode::Unset), "in the end it went well");
    // What was sent first was sent before anybody knew of a second.
    let parents: Vec<_> = upstream.values("traceparent").iter().map(|line| line[36..52].to_owned()).collect();
    assert_eq!(parents, [&*call.id, &*tries[1].id, &*tries[2].id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_try_needs_no_span_of_its_own() {
    let (collector, upstream) = (Collector::start().await, Upstream::start(&[404]).await);
    let mesh = mesh(&collector, service("web", upstream.address)).await;
    ask(&mesh, "http://web:9080/", &[SAMPLED]).await;
    let spans = collector.spans(1).await;
    assert_eq!(spans[0].get("network.peer.port"), upstream.address.port().to_string());
    assert_eq!((spans[0].get("error.type"), spans[0].status), ("404", StatusCode::Error), "to its caller");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_answer_it_is_said_why() {
    let collector = Collector::start().await;
    let (refusing, address) = bind().await;
    drop(refusing);
    let mesh = mesh(
        &collector,
        service("web", address) + &rule("{retries: {attempts: 0}, route: [{destination: {host: web}}]}"),
    )
    .await;
    assert_eq!(ask(&mesh, "http://web:9080/", &[SAMPLED]).await.status(), 503);
    let spans = collector.spans(1).await;
    let expected = [
        ("http.response.status_code", "503"),
        ("response_flags", "UF"),
        ("error.type", "upstream_reset_before_response_started{remote_connection_failure}"),
        ("network.peer.address", "127.0.0.1"),
    ];
    for (key, value) in expected {
        assert_eq!(spans[0].get(key), value, "{spans:#?}");
    }
    assert_eq!(spans[0].status, StatusCode::Error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_given_up_ends_its_span() {
    let collector = Collector::start().await;
    // Takes connections and says nothing.
    let (_silent, address) = bind().await;
    let mesh = mesh(&collector, service("web", address)).await;
    let asked = ask(&mesh, "http://web:9080/", &[SAMPLED]);
    assert!(tokio::time::timeout(Duration::from_millis(100), asked).await.is_err());
    let spans = collector.spans(1).await;
    assert_eq!((spans[0].get("response_flags"), spans[0].status), ("DC", StatusCode::Error));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_ends_with_the_body() {
    let collector = Collector::start().await;
    let (listener, address) = bind().await;
    let slow = || async {
        let (pieces, body) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            for piece in ["a", "b", "c"] {
                tokio::time::sleep(Duration::from_millis(60)).await;
                pieces.send(Ok::<_, std::convert::Infallible>(piece)).await.unwrap();
            }
        });
        axum::body::Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(body))
    };
    let app = axum::Router::new().route("/", axum::routing::get(slow));
    let _serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let mesh = mesh(&collector, service("web", address)).await;
    let request = http::Request::get("http://web:9080/").header(SAMPLED.0, SAMPLED.1);
    let answer = mesh.client().send(request.body(mesh_tower::Body::empty()).unwrap()).await;
    collector.spans(0).await;
    assert_eq!(read(answer).await.body(), "abc");
    let spans = collector.spans(1).await;
    assert!(spans[0].nanos > 100_000_000, "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_is_no_part_of_the_trace() {
    let collector = Collector::start().await;
    let (main, copy) = (Upstream::start(&[]).await, Upstream::start(&[]).await);
    let mirrored = "{mirror: {host: shadow}, route: [{destination: {host: web}}]}";
    let config = service("web", main.address) + &service("shadow", copy.address) + &rule(mirrored);
    let mesh = mesh(&collector, config).await;
    ask(&mesh, "http://web:9080/", &[SAMPLED]).await;
    let spans = collector.spans(1).await;
    assert_eq!(main.values("traceparent"), [format!("00-{}-{}-01", spans[0].trace, spans[0].id)]);
    assert_eq!(copy.values("traceparent"), [format!("00-{}-{}-00", spans[0].trace, spans[0].id)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_takes_a_request_and_sends_one() {
    let (collector, upstream) = (Collector::start().await, Upstream::start(&[500]).await);
    let config = service("web", upstream.address)
        + "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {app: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.example.com]
  gateways: [edge]
  http: [{route: [{destination: {host: web, port: {number: 9080}}}]}]
";
    let edge = Mesh::builder().workload("shop/edge").label("app", "edge").config_yaml("mesh.yaml", config);
    let edge = edge.tracer_provider(&collector.provider("edge")).build().await.unwrap();
    let gateway = edge.gateway().address([127, 0, 0, 1]).map_port(80, 0).start().await.unwrap();
    let at = service("web", gateway.address_of(80).unwrap()).replace("web.shop.svc.cluster.local", "web.example.com");
    let caller = Mesh::builder().workload("shop/caller").config_yaml("mesh.yaml", at).build().await.unwrap();
    assert_eq!(ask(&caller, "http://web.example.com:9080/", &[SAMPLED]).await.status(), 500);
    let spans = collector.spans(2).await;
    let (server, client) = (the(&spans, "edge", Server), the(&spans, "edge", Client));
    assert_eq!((&*server.parent, &*client.parent), ("", &*server.id));
    assert_eq!((server.get("server.address"), server.get("client.address")), ("web.example.com", "127.0.0.1"));
    for span in [server, client] {
        assert_eq!((span.get("http.response.status_code"), span.status), ("500", StatusCode::Error));
    }
    assert!(upstream.values("traceparent")[0].contains(&client.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_names_the_rule_that_has_decided() {
    use tower::ServiceExt as _;
    use tower_layer::Layer as _;

    let collector = Collector::start().await;
    let policy = |name: &str, spec: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n---\n"
        )
    };
    let config = policy("deny", "{action: DENY, rules: [{to: [{operation: {paths: [/denied]}}]}]}")
        + &policy("allow", "{rules: [{to: [{operation: {paths: [/in]}}]}]}");
    let mesh = mesh(&collector, config).await;
    let app = axum::Router::new().fallback(|| async { "hello" });
    let app = mesh.inbound().at(([127, 0, 0, 1], 80).into()).layer(app);
    for path in ["/in", "/denied", "/other"] {
        let request = http::Request::get(path).header("host", "web").header(SAMPLED.0, SAMPLED.1);
        let answer = app.clone().oneshot(request.body(mesh_tower::Body::empty()).unwrap()).await.unwrap();
        drop(answer);
    }
    let spans = collector.spans(3).await;
    let mut told: Vec<_> = spans.iter().map(|span| (span.get("url.path"), span.get("istio.policy"))).collect();
    told.sort_unstable();
    let rule = |policy: &str| format!("ns[shop]-policy[{policy}]-rule[0]");
    assert_eq!(told, [("/denied", &*rule("deny")), ("/in", &*rule("allow")), ("/other", "none")]);
}
