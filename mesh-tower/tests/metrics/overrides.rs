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
         tagOverrides: {source_app: {operation: REMOVE}, stage: {value: \"'canary'\"}, path: {value: request.url_path}}}, \
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
