//! Questions of our own, after the boards' kind, and sums that have to agree with what was sent.

use serde_json::Value;

use crate::prometheus::{Prometheus, Sample};
use crate::traffic::Sent;

/// The board that this example brings for Grafana.
const BOARD: &str = include_str!("../../grafana/mesh.json");

/// While requests flow: rates, shares, quantiles and sizes, each with the least and the most that it may be.
const FLOWING: [(&str, f64, f64); 9] = [
    (r#"sum(rate(istio_requests_total{reporter="source"}[10s]))"#, 0.1, 1e6),
    // One of twelve fails, at details and then at whom it answers.
    (
        r#"sum(rate(istio_requests_total{reporter="destination",destination_app="details",response_code!~"5.."}[10s])) /
           sum(rate(istio_requests_total{reporter="destination",destination_app="details"}[10s]))"#,
        0.5,
        0.95,
    ),
    (r#"sum(irate(istio_requests_total{response_code="404",source_workload="gateway-v1"}[10s]))"#, 0.1, 1e6),
    (
        r#"histogram_quantile(0.5, sum by (le) (rate(istio_request_duration_milliseconds_bucket{destination_service_name="reviews"}[10s])))"#,
        0.01,
        10_000.0,
    ),
    (
        r#"histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{request_protocol="grpc"}[10s])))"#,
        0.01,
        10_000.0,
    ),
    (
        r#"histogram_quantile(0.5, sum by (le) (rate(istio_request_bytes_bucket{reporter="destination"}[10s])))"#,
        10.0,
        1e4,
    ),
    (r#"histogram_quantile(0.5, sum by (le) (rate(istio_response_bytes_bucket{reporter="source"}[10s])))"#, 10.0, 1e5),
    (r#"sum(rate(istio_request_messages_total{destination_app="ratings",reporter="destination"}[10s]))"#, 0.1, 1e6),
    (r#"sum(rate(istio_response_messages_total{source_workload="reviews-v2",reporter="source"}[10s]))"#, 0.1, 1e6),
];

pub(crate) async fn while_it_flows(prometheus: &Prometheus) {
    for (query, least, most) in FLOWING {
        let is_good = |answer: &[Sample]| matches!(answer, [only] if (least..=most).contains(&only.value()));
        prometheus.until(query, is_good).await.unwrap_or_else(|problem| panic!("{least} to {most}: {problem}"));
    }
}

/// Each panel of our own board has something to show.
pub(crate) async fn on_our_board(prometheus: &Prometheus) {
    let board: Value = serde_json::from_str(BOARD).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let mut asked = 0;
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "10s").replace("$service", ".*");
        let shows = |answer: &[Sample]| !answer.is_empty() && answer.iter().all(|sample| sample.value().is_finite());
        prometheus.until(&query, shows).await.unwrap_or_else(|problem| panic!("{problem}"));
        asked += 1;
    }
    assert!(asked >= panels.len(), "a panel asks nothing");
}

pub(crate) async fn once_it_has_ended(prometheus: &Prometheus, sent: &Sent, processes: usize) {
    let productpage = "spiffe://cluster.local/ns/default/sa/productpage";
    let proved = format!(r#"reporter="source",source_workload="gateway-v1",destination_principal="{productpage}""#);
    let details = r#"reporter="destination",destination_service="details.default.svc.cluster.local""#;
    let sums = [
        (r#"reporter="source",source_workload="gateway-v1""#.to_owned(), sent.at_gateway()),
        (proved, sent.at_gateway()),
        (
            r#"reporter="destination",destination_workload="productpage-v1",connection_security_policy="mutual_tls""#
                .to_owned(),
            sent.at_gateway(),
        ),
        (
            r#"reporter="destination",destination_workload="productpage-v1",connection_security_policy="none""#
                .to_owned(),
            sent.outside(),
        ),
        (details.to_owned(), sent.to_details()),
        (format!(r#"{details},response_code="500""#), sent.failed()),
    ];
    for (labels, wanted) in sums {
        is(prometheus, &format!("sum(istio_requests_total{{{labels}}})"), wanted).await;
    }
    // Each call has one message and one for it, and both sides see the same.
    let ratings = r#"destination_service="ratings.default.svc.cluster.local""#;
    let of = |name: &str, reporter: &str| format!(r#"sum({name}{{reporter="{reporter}",{ratings}}})"#);
    let calls = of("istio_requests_total", "destination");
    for (name, reporter) in [
        ("istio_requests_total", "source"),
        ("istio_request_messages_total", "source"),
        ("istio_request_messages_total", "destination"),
        ("istio_response_messages_total", "source"),
        ("istio_response_messages_total", "destination"),
    ] {
        is(prometheus, &format!("{calls} - {}", of(name, reporter)), 0.0).await;
    }
    for histogram in ["istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"] {
        is(prometheus, &format!("sum(istio_requests_total) - sum({histogram}_count)"), 0.0).await;
    }
    is(prometheus, r#"count(istio_build{component="proxy"})"#, processes as f64).await;
}

async fn is(prometheus: &Prometheus, query: &str, wanted: f64) {
    let is_it = |answer: &[Sample]| matches!(answer, [only] if (only.value() - wanted).abs() < 1e-9);
    prometheus.until(query, is_it).await.unwrap_or_else(|problem| panic!("{wanted} is wanted, but {problem}"));
}
