//! Istio's standard metrics of both sides of a call, as a scrape of Prometheus shows them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

#[path = "tls/authority.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod authority;
#[allow(dead_code, clippy::print_stdout, reason = "other tests need more of it")]
mod common_grpc;
#[path = "metrics/exchange.rs"]
mod exchange;
#[path = "metrics/messages.rs"]
mod messages;
#[path = "metrics/observed.rs"]
mod observed;
#[path = "metrics/overrides.rs"]
mod overrides;
#[path = "metrics/principals.rs"]
mod principals;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_tower::{Body, Mesh, MeshBuilder};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What Prometheus would scrape.
struct Scrape {
    registry: Registry,
    provider: SdkMeterProvider,
}

impl Scrape {
    fn new() -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).without_target_info();
        let provider = SdkMeterProvider::builder().with_reader(exporter.build().unwrap()).build();
        Self { registry, provider }
    }

    fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    /// The lines of a name that have all of these labels.
    fn lines(&self, name: &str, labels: &[(&str, &str)]) -> Vec<String> {
        let wanted: Vec<_> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let text = self.text();
        let lines = text.lines().filter(|line| line.split('{').next() == Some(name));
        lines.filter(|line| wanted.iter().all(|label| line.contains(label))).map(ToOwned::to_owned).collect()
    }

    /// The sum of their values.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let value = |line: &String| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        self.lines(name, labels).iter().map(value).sum()
    }

    /// Waits until something has been counted.
    async fn until(&self, name: &str, labels: &[(&str, &str)], wanted: f64) {
        let counted = async {
            while (self.value(name, labels) - wanted).abs() > 1e-9 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let late = tokio::time::timeout(Duration::from_secs(5), counted).await;
        assert!(late.is_ok(), "{name} {labels:?} is not {wanted}:\n{}", self.text());
    }
}

const REQUESTS: &str = "istio_requests_total";

/// `web` calls `reviews`, and both are counted.
struct World {
    web: Mesh,
    at_web: Scrape,
    at_reviews: Scrape,
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl World {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (at_web, at_reviews) = (Scrape::new(), Scrape::new());
        let reviews = Mesh::builder().workload("shop/reviews").label("app", "reviews").label("version", "v1");
        let reviews = reviews
            .workload_name("reviews-v1")
            .meter_provider(&at_reviews.provider)
            .exchange_metadata(true)
            .build()
            .await
            .unwrap();
        let web = caller(&[address]).exchange_metadata(true).meter_provider(&at_web.provider).build().await.unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move { reviews.serve(listener, app()).await.unwrap() });
        Self { web, at_web, at_reviews, address, _serving: serving }
    }

    async fn get(&self, path: &str) -> String {
        let request = Request::get(format!("http://reviews:9080{path}")).body(Body::empty()).unwrap();
        let body = self.web.client().send(request).await.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }
}

fn caller(endpoints: &[SocketAddr]) -> MeshBuilder {
    let endpoint = |at: &SocketAddr| {
        format!("{{address: {}, ports: {{web: {}}}, labels: {{app: reviews, version: v1}}}}", at.ip(), at.port())
    };
    let endpoints: Vec<_> = endpoints.iter().map(endpoint).collect();
    let text = format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: reviews, namespace: shop}}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9080, name: web, protocol: \"\"}}]
  endpoints: [{}]
",
        endpoints.join(", ")
    );
    Mesh::builder().workload("shop/web").label("app", "web").config_yaml("reviews.yaml", text)
}

fn app() -> Router {
    let call = || async {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "5".parse().unwrap())]);
        let frames = [Frame::data(bytes::Bytes::from_static(b"\0\0\0\0\0")), Frame::trailers(trailers)];
        let body = StreamBody::new(tokio_stream::iter(frames.map(Ok::<_, std::convert::Infallible>)));
        http::Response::builder().header("content-type", "application/grpc").body(axum::body::Body::new(body)).unwrap()
    };
    Router::new()
        .route("/reviews/{id}", get(|| async { "five stars" }))
        .route("/echo", post(|body: bytes::Bytes| async { body }))
        .route("/hang", get(std::future::pending::<()>))
        .route("/shop.Reviews/Get", post(call))
}

#[tokio::test]
async fn both_sides_of_a_call_are_counted_with_istios_labels() {
    let world = World::start().await;
    for id in 0..3 {
        assert_eq!(world.get(&format!("/reviews/{id}")).await, "five stars");
    }
    let common = [
        ("destination_app", "reviews"),
        ("destination_version", "v1"),
        ("destination_canonical_service", "reviews"),
        ("destination_canonical_revision", "v1"),
        ("destination_service", "reviews.shop.svc.cluster.local"),
        ("destination_service_name", "reviews"),
        ("destination_service_namespace", "shop"),
        ("destination_workload_namespace", "shop"),
        ("request_protocol", "http"),
        ("response_code", "200"),
        ("grpc_response_status", ""),
        ("response_flags", "-"),
    ];
    let source = [
        ("reporter", "source"),
        ("source_workload", "web"),
        ("source_app", "web"),
        ("source_workload_namespace", "shop"),
        ("connection_security_policy", "unknown"),
    ];
    let destination = [
        ("reporter", "destination"),
        ("destination_workload", "reviews-v1"),
        ("source_principal", "unknown"),
        ("connection_security_policy", "none"),
    ];
    let own = |own: &[(&'static str, &'static str)]| [&common, own].concat();
    world.at_web.until(REQUESTS, &own(&source), 3.0).await;
    world.at_reviews.until(REQUESTS, &own(&destination), 3.0).await;
    // Nothing of a path is a label: one series each.
    assert_eq!((world.at_web.lines(REQUESTS, &[]).len(), world.at_reviews.lines(REQUESTS, &[]).len()), (1, 1));
    for scrape in [&world.at_web, &world.at_reviews] {
        assert_eq!(scrape.value("istio_request_duration_milliseconds_count", &[]), 3.0);
        assert_eq!(scrape.value("istio_request_duration_milliseconds_bucket", &[("le", "+Inf")]), 3.0);
        assert_eq!(scrape.lines("istio_request_bytes_bucket", &[]).len(), 20, "Envoy's buckets");
    }
}

#[tokio::test]
async fn bytes_are_those_of_heads_and_bodies() {
    let world = World::start().await;
    let body = vec![b'x'; 100_000];
    let pieces: Vec<_> = body.chunks(30_000).map(bytes::Bytes::copy_from_slice).collect();
    let streamed = StreamBody::new(tokio_stream::iter(
        pieces.into_iter().map(|piece| Ok::<_, std::convert::Infallible>(Frame::data(piece))),
    ));
    for body in [Body::from(body), Body::new(streamed)] {
        let request = Request::post("http://reviews:9080/echo").body(body).unwrap();
        let answer = world.web.client().send(request).await.into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes().len(), 100_000);
    }
    for scrape in [&world.at_web, &world.at_reviews] {
        scrape.until(REQUESTS, &[], 2.0).await;
        for name in ["istio_request_bytes_sum", "istio_response_bytes_sum"] {
            let bytes = scrape.value(name, &[]);
            assert!((200_040.0..202_000.0).contains(&bytes), "{name}: {bytes}");
        }
    }
}

#[tokio::test]
async fn the_status_of_a_grpc_call_is_the_one_in_its_trailers() {
    let world = World::start().await;
    // Trailers need HTTP/2, which the port that says nothing speaks with whom speaks it.
    let request = Request::post("http://reviews:9080/shop.Reviews/Get").version(http::Version::HTTP_2);
    let request = request.header("content-type", "application/grpc");
    let response = world.web.client().send(request.body(Body::empty()).unwrap()).await;
    response.into_body().collect().await.unwrap();
    let labels = [("request_protocol", "grpc"), ("response_code", "200"), ("grpc_response_status", "5")];
    world.at_web.until(REQUESTS, &labels, 1.0).await;
    world.at_reviews.until(REQUESTS, &labels, 1.0).await;
}

#[tokio::test]
async fn what_fails_is_counted_with_its_flags() {
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = refusing.local_addr().unwrap();
    drop(refusing);
    let scrape = Scrape::new();
    let mesh = caller(&[address]).meter_provider(&scrape.provider).build().await.unwrap();
    let send = async |url: &str| {
        let response = mesh.client().send(Request::get(url).body(Body::empty()).unwrap()).await;
        response.into_body().collect().await.unwrap();
    };
    send("http://reviews:9080/").await;
    let flags = scrape.lines(REQUESTS, &[("response_code", "503"), ("destination_service_name", "reviews")]);
    assert!(flags.len() == 1 && flags[0].contains("response_flags=\"URX,UF\""), "{flags:?}");
    for host in ["one", "two", "three"] {
        send(&format!("http://{host}.invalid/")).await;
    }
    // Nobody makes up series by asking for hosts that do not exist.
    let nobody = scrape.lines(REQUESTS, &[("destination_service_name", "PassthroughCluster")]);
    assert!(nobody.len() == 1 && nobody[0].ends_with(" 3"), "{nobody:?}");
}

#[tokio::test]
async fn a_caller_that_goes_away_is_counted_as_one() {
    let world = World::start().await;
    let request = Request::get("http://reviews:9080/hang").body(Body::empty()).unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(100), world.web.client().send(request)).await;
    assert!(given_up.is_err());
    let labels = [("response_code", "0"), ("response_flags", "DC")];
    world.at_web.until(REQUESTS, &[("destination_app", "reviews")], 1.0).await;
    world.at_web.until(REQUESTS, &labels, 1.0).await;
    world.at_reviews.until(REQUESTS, &labels, 1.0).await;
}

/// What a million callers make up: none of it becomes a series.
#[tokio::test]
async fn a_million_paths_hosts_and_methods_are_a_handful_of_series() {
    const EACH: u32 = 500_000;
    let (scrape, nowhere) = (Scrape::new(), "outboundTrafficPolicy: {mode: REGISTRY_ONLY}");
    let mesh = Mesh::builder().workload("shop/web").label("app", "web").mesh_config_yaml(nowhere);
    let mesh = mesh.meter_provider(&scrape.provider).build().await.unwrap();
    let app = |_| std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty())));
    let mut app = tower::Layer::layer(&mesh.inbound(), tower::service_fn(app));
    let made_up = |n: u32| {
        let method = http::Method::from_bytes(format!("M{n}").as_bytes()).unwrap();
        let uri = format!("http://host-{n}.example.com/path/{n}?query={n}");
        Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
    };
    for n in 0..EACH {
        drop(tower::Service::call(&mut app, made_up(n)).await.unwrap());
        drop(mesh.client().send(made_up(EACH + n)).await);
    }
    for (reporter, code) in [("destination", "200"), ("source", "502")] {
        let labels = [("reporter", reporter), ("response_code", code)];
        assert_eq!((scrape.lines(REQUESTS, &labels).len(), scrape.value(REQUESTS, &labels)), (1, f64::from(EACH)));
    }
    assert_eq!(scrape.lines(REQUESTS, &[]).len(), 2);
    assert!(!scrape.text().contains("example.com"), "what a caller makes up is no label");
}
