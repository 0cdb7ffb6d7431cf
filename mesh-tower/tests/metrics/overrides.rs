//! What Telemetry resources change about metrics.

use super::{REQUESTS, Scrape, caller};
use mesh_tower::Body;

fn telemetry(overrides: &str) -> String {
    format!(
        "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: metrics, namespace: shop}}
spec: {{metrics: [{{providers: [{{name: prometheus}}], overrides: {overrides}}}]}}
"
    )
}

#[tokio::test]
async fn tags_are_taken_away_and_set_and_metrics_turned_off_while_it_runs() {
    let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = refusing.local_addr().unwrap();
    drop(refusing);
    let scrape = Scrape::new();
    let mesh = caller(&[address]).meter_provider(&scrape.provider).build().await.unwrap();
    let send = async || {
        let request = http::Request::get("http://reviews:9080/").body(Body::empty()).unwrap();
        drop(mesh.client().send(request).await);
    };
    send().await;
    let usual = [("destination_app", "reviews"), ("source_app", "web")];
    assert_eq!(scrape.value(REQUESTS, &usual), 1.0);

    let tags = telemetry(
        "[{match: {metric: REQUEST_COUNT, mode: CLIENT}, \
         tagOverrides: {source_app: {operation: REMOVE}, stage: {value: \"'canary'\"}, path: {value: request.}}}, \
         {match: {metric: REQUEST_SIZE}, disabled: true}]",
    );
    let applied = mesh.apply_yaml("telemetry.yaml", &tags);
    assert!(applied.accepted);
    let told = applied.report.iter().map(ToString::to_string).find(|told| told.contains("tagOverrides[path]"));
    assert!(told.is_some_and(|told| told.contains("keeps its usual value")));
    let bytes = scrape.value("istio_request_bytes_count", &[]);
    send().await;
    let changed = scrape.lines(REQUESTS, &[("stage", "canary"), ("destination_app", "reviews")]);
    assert!(changed.len() == 1 && !changed[0].contains("source_app"), "{changed:?}");
    assert_eq!(scrape.value(REQUESTS, &usual), 1.0, "what was counted stays");
    assert_eq!(scrape.value("istio_request_duration_milliseconds_count", &usual), 2.0, "other metrics keep the tag");
    assert_eq!(scrape.value("istio_request_bytes_count", &[]), bytes);

    assert!(mesh.apply_yaml("telemetry.yaml", &telemetry("[{disabled: true}]")).accepted);
    let before = scrape.value(REQUESTS, &[]);
    send().await;
    assert_eq!(scrape.value(REQUESTS, &[]), before);
    assert!(mesh.apply_yaml("telemetry.yaml", "").accepted);
    send().await;
    assert_eq!(scrape.value(REQUESTS, &usual), 2.0);
}

#[tokio::test]
async fn tags_are_what_expressions_come_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/{*path}", axum::routing::get(|| async { http::StatusCode::IM_A_TEAPOT }));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let scrape = Scrape::new();
    let tags = telemetry(
        "[{match: {metric: REQUEST_COUNT, mode: CLIENT}, tagOverrides: {
            host: {value: request.host},
            app: {value: \"destination.labels['app'].value\"},
            class: {value: \"string(response.code / 100) + 'xx'\"},
            who: {value: \"has(request.headers.user) ? request.headers.user : 'nobody'\"},
            missing: {value: \"request.headers['x-none']\"},
            kind: {value: \"request.url_path.startsWith('/api') ? 'api' : 'page'\"}}}]",
    );
    let mesh = caller(&[address]).meter_provider(&scrape.provider).config_yaml("telemetry.yaml", &tags);
    let mesh = mesh.build().await.unwrap();
    let told: Vec<_> = mesh.report().iter().map(ToString::to_string).collect();
    assert!(!told.iter().any(|told| told.contains("tagOverrides")), "{told:?}");
    let send = async |path: &str, user: Option<&str>| {
        let mut request = http::Request::get(format!("http://reviews:9080{path}"));
        if let Some(user) = user {
            request = request.header("user", user);
        }
        drop(mesh.client().send(request.body(Body::empty()).unwrap()).await);
    };
    send("/api/1", Some("ann")).await;
    send("/api/2", Some("ann")).await;
    send("/index", None).await;
    let common = [("host", "reviews:9080"), ("app", "reviews"), ("class", "4xx"), ("missing", "unknown")];
    let of = |more: [(&str, &str); 2]| scrape.value(REQUESTS, &[&common[..], &more[..]].concat());
    assert_eq!(of([("who", "ann"), ("kind", "api")]), 2.0);
    assert_eq!(of([("who", "nobody"), ("kind", "page")]), 1.0);
    // Whatever callers make up, there is an end to series, and none is lost.
    for number in 0..mesh_tower::telemetry::MOST_SERIES + 100 {
        send("/api", Some(&format!("user-{number}"))).await;
    }
    let lines = scrape.lines(REQUESTS, &[]);
    assert!(lines.len() <= mesh_tower::telemetry::MOST_SERIES + 1, "{} series", lines.len());
    assert!(scrape.value(REQUESTS, &[("otel_metric_overflow", "true")]) >= 100.0);
    serving.abort();
}
