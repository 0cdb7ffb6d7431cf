//! What there is no room for, and whom it counts for.

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use super::*;

/// The provider counts as long as it is there.
fn metrics() -> (Arc<Metrics>, Registry, SdkMeterProvider) {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).without_target_info();
    let provider = SdkMeterProvider::builder().with_reader(exporter.build().unwrap()).build();
    let metrics = Metrics::new(&provider.meter("mesh"), Workload::unknown(), "cluster.local", false);
    (metrics, registry, provider)
}

const SIZES: Sizes = Sizes { milliseconds: 1.0, request_bytes: 1, response_bytes: 1 };

fn called(n: usize) -> Called {
    Called::of_host(&format!("host-{n}.example.com"), "cluster.local")
}

/// The lines of a metric.
fn lines(registry: &Registry, metric: &str) -> Vec<String> {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    text.lines().filter(|line| line.starts_with(&format!("{metric}{{"))).map(ToOwned::to_owned).collect()
}

#[test]
fn label_sets_beyond_the_most_are_counted_together() {
    let (metrics, registry, _provider) = metrics();
    for n in 0..3 * MOST_SERIES {
        metrics.towards(Workload::unknown(), called(n)).record(Ended::default(), SIZES, None);
    }
    let lines = lines(&registry, "istio_requests_total");
    assert!(lines.len() <= MOST_SERIES + 1, "{} series", lines.len());
    let counted = |line: &String| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
    assert_eq!(lines.iter().map(counted).sum::<usize>(), 3 * MOST_SERIES, "none is lost");
}

#[test]
fn a_mesh_of_many_hosts_counts_who_calls_it_and_whom_it_calls_as_what_they_are() {
    let (metrics, registry, _provider) = metrics();
    // One for each host of the configuration, before anybody has called.
    let groups: Vec<_> = (0..2 * MOST_SERIES).map(|n| metrics.towards(Workload::unknown(), called(n))).collect();
    metrics.from(Workload::unknown(), called(0)).record(Ended::default(), SIZES, None);
    let id: SpiffeId = "spiffe://cluster.local/ns/default/sa/reviews".parse().unwrap();
    groups[1].proved(&id).record(Ended::default(), SIZES, None);
    let lines = lines(&registry, "istio_requests_total");
    let is_there = |words: &[&str]| lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(is_there(&["reporter=\"destination\"", "host-0.example.com"]), "{lines:?}");
    assert!(is_there(&["reporter=\"source\"", "host-1.example.com", "sa/reviews"]), "{lines:?}");
}

#[test]
fn callers_beyond_the_most_count_as_unknown_ones_of_the_same_service() {
    let (metrics, _registry, _provider) = metrics();
    let caller = |n: usize| Workload::unknown().with_principal(&format!("spiffe://td/ns/a/sa/{n}"));
    let first = metrics.from(caller(0), called(0));
    (1..MOST_SERIES).for_each(|n| drop(metrics.from(caller(n), called(0))));
    let others = metrics.from(caller(MOST_SERIES), called(0));
    assert!(Arc::ptr_eq(&others, &metrics.from(caller(MOST_SERIES + 1), called(0))));
    assert!(Arc::ptr_eq(&first, &metrics.from(caller(0), called(0))));
    assert_eq!(others.parties.reporter, Reporter::Destination);
}

#[test]
fn what_is_turned_off_is_not_counted_beyond_the_most_either() {
    let (metrics, registry, _provider) = metrics();
    let off = MetricsPolicy { is_enabled: false, ..MetricsPolicy::default() };
    metrics.policies.store(Arc::new(Policies { client: off, ..Policies::default() }));
    for n in 0..MOST_SERIES + 10 {
        metrics.towards(Workload::unknown(), called(n)).record(Ended::default(), SIZES, None);
    }
    assert!(lines(&registry, "istio_requests_total").is_empty());
    metrics.from(Workload::unknown(), called(0)).record(Ended::default(), SIZES, None);
    assert_eq!(lines(&registry, "istio_requests_total").len(), 1, "nothing took room");
}
