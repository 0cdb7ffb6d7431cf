//! What Telemetry resources come to for a workload.

mod logging;

use mesh_config::api::telemetry::IstioMetric;

use crate::Site;
use crate::access_log::Attributes;
use crate::compile::tests::World;
use crate::telemetry::policy::{Tag, Telemetries, TracingPolicy};

fn telemetries(text: &str) -> Telemetries {
    let site = Site { labels: [("app".to_owned(), "test".to_owned())].into(), ..Site::default() };
    World::at(text, &site).compiled.snapshot.telemetry().clone()
}

fn telemetry(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

const ENVOY: &str = "{tracing: [{providers: [{name: envoy}]}]}";

fn provider(policy: &TracingPolicy) -> Option<&str> {
    policy.provider.as_ref().map(|provider| provider.name.as_str())
}

#[test]
fn nothing_is_traced_unless_somebody_asks() {
    assert_eq!(telemetries("").client.tracing, None);
    let default = telemetries("defaultProviders: {tracing: [envoy]}");
    let policy = default.client.tracing.as_ref().unwrap();
    assert_eq!((provider(policy), policy.is_disabled, policy.sampling), (Some("envoy"), false, 1.0));
    assert!(policy.uses_request_id && policy.istio_tags && !policy.keeps_context);
    assert_eq!(default.client, default.server);
}

#[test]
fn the_narrower_level_wins_field_by_field() {
    let wide = "{tracing: [{providers: [{name: envoy}], randomSamplingPercentage: 50, customTags: {a: {literal: {value: x}}}}]}";
    let narrow =
        "{tracing: [{match: {mode: SERVER}, randomSamplingPercentage: 80, customTags: {b: {literal: {value: z}}}}]}";
    let found = telemetries(&(telemetry("a", "istio-system", wide) + &telemetry("b", "default", narrow)));
    let (client, server) = (found.client.tracing.unwrap(), found.server.tracing.unwrap());
    assert_eq!((client.sampling, client.custom_tags.contains_key("a")), (50.0, true));
    assert_eq!((server.sampling, server.custom_tags.contains_key("a")), (80.0, false));
    assert_eq!((provider(&client), provider(&server)), (Some("envoy"), Some("envoy")));
    assert_eq!(found.from, ["istio-system/a".into(), "default/b".into()]);
}

#[test]
fn the_workloads_own_comes_last_and_that_of_others_does_not_count() {
    let of = |app: &str| {
        format!("{{selector: {{matchLabels: {{app: {app}}}}}, tracing: [{{randomSamplingPercentage: 7}}]}}")
    };
    for (app, expected) in [("test", 7.0), ("other", 1.0)] {
        let text = telemetry("a", "default", ENVOY) + &telemetry("b", "default", &of(app));
        assert_eq!(telemetries(&text).client.tracing.unwrap().sampling, expected, "{app}");
    }
    let elsewhere = telemetry("a", "default", ENVOY) + &telemetry("b", "elsewhere", &of("test"));
    assert_eq!(telemetries(&elsewhere).client.tracing.unwrap().sampling, 1.0);
}

#[test]
fn without_a_provider_that_there_is_no_spans_are_reported() {
    let text = "defaultProviders: {tracing: [envoy]}\n".to_owned()
        + &telemetry("a", "default", "{tracing: [{providers: [{name: nobody}]}]}");
    let policy = telemetries(&text).client.tracing.unwrap();
    assert!(!policy.is_disabled && policy.provider.is_none());
    let off =
        telemetry("a", "istio-system", ENVOY) + &telemetry("b", "default", "{tracing: [{disableSpanReporting: true}]}");
    assert!(telemetries(&off).server.tracing.unwrap().is_disabled);
}

#[test]
fn the_older_form_counts_where_nobody_names_providers() {
    let policy =
        telemetries("defaultConfig: {tracing: {sampling: 10, zipkin: {address: 'zipkin:9411'}}}").client.tracing;
    let policy = policy.unwrap();
    assert_eq!((policy.sampling, policy.is_disabled), (10.0, false));
    assert_eq!(telemetries("{enableTracing: false, defaultConfig: {tracing: {sampling: 10}}}").client.tracing, None);
    let named = "defaultConfig: {tracing: {sampling: 10}}\ndefaultProviders: {tracing: [envoy]}";
    assert_eq!(telemetries(named).client.tracing.unwrap().sampling, 10.0);
}

#[test]
fn overrides_of_metrics_are_applied_in_order() {
    let wide = "{metrics: [{overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {value: \"'canary'\"}, b: {operation: REMOVE}}}]}]}";
    let narrow = "{metrics: [{overrides: [{match: {metric: REQUEST_COUNT, mode: CLIENT}, tagOverrides: {a: {operation: REMOVE}}},
                               {match: {metric: REQUEST_SIZE}, disabled: true}]}]}";
    let found = telemetries(&(telemetry("a", "istio-system", wide) + &telemetry("b", "default", narrow)));
    let tags = |metrics: &crate::telemetry::policy::MetricsPolicy| {
        metrics.of(IstioMetric::RequestCount).unwrap().tags.clone().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(tags(&found.client.metrics), [("a".into(), Tag::Removed), ("b".into(), Tag::Removed)]);
    assert_eq!(tags(&found.server.metrics), [("a".into(), Tag::Text("canary".into())), ("b".into(), Tag::Removed)]);
    assert!(!found.client.metrics.counts(IstioMetric::RequestSize));
    assert!(found.client.metrics.counts(IstioMetric::RequestCount));
}

#[test]
fn all_metrics_can_be_turned_off_and_on_again_further_in() {
    let off = telemetry("a", "istio-system", "{metrics: [{overrides: [{match: {mode: SERVER}, disabled: true}]}]}");
    let found = telemetries(&off);
    assert!(found.client.metrics.is_enabled && !found.server.metrics.is_enabled);
    let on = off
        + &telemetry("b", "default", "{metrics: [{overrides: [{match: {metric: REQUEST_COUNT}, disabled: false}]}]}");
    assert!(telemetries(&on).server.metrics.is_enabled);
}

#[test]
fn metrics_are_for_a_provider_that_takes_them() {
    let other = telemetry("a", "default", "{metrics: [{providers: [{name: stackdriver}]}]}");
    assert!(!telemetries(&other).client.metrics.is_enabled);
    let named = "extensionProviders: [{name: mine, prometheus: {}}]\n".to_owned()
        + &telemetry(
            "a",
            "default",
            "{metrics: [{providers: [{name: mine}], overrides: [{match: {metric: REQUEST_SIZE}, disabled: true}]}]}",
        );
    let policy = telemetries(&named).client.metrics;
    assert!(policy.is_enabled && !policy.counts(IstioMetric::RequestSize));
}

#[test]
fn tags_are_formatted_by_what_is_known_when_a_request_begins() {
    let tags = "{tracing: [{customTags: {path: {formatter: {value: 'p=%REQ(:PATH)%'}}, code: {formatter: {value: '%RESPONSE_CODE%'}},
        wrong: {formatter: {value: '%NONE%'}}, host: {formatter: {value: '%REQ(:AUTHORITY)%'}}}}]}";
    let text = telemetry("a", "default", tags);
    let policy = telemetries(&text).server.tracing.unwrap();
    let expected = Attributes::new([("host", "%REQ(:AUTHORITY)%"), ("path", "p=%REQ(:PATH)%")]).unwrap();
    assert_eq!(*policy.formatted_tags, expected);
    let report = World::at(&text, &Site::default()).compiled.report;
    let told = |what: &str| report.iter().any(|finding| finding.message.contains(what));
    assert!(told("\"code\" of spans cannot be formatted: tags are made when") && told("%NONE%"));
}

#[test]
fn the_mesh_has_a_name() {
    assert_eq!(&*telemetries("").mesh_id, "cluster.local");
    assert_eq!(&*telemetries("trustDomain: example.com").mesh_id, "example.com");
    assert_eq!(&*telemetries("{trustDomain: example.com, defaultConfig: {meshId: mine}}").mesh_id, "mine");
}

#[test]
fn only_expressions_that_are_still_used_are_evaluated() {
    let wide = "{metrics: [{overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {value: request.host}, b: {value: request.method}}}]}]}";
    let narrow = "{metrics: [{overrides: [{match: {metric: REQUEST_COUNT, mode: CLIENT}, tagOverrides: {a: {value: request.method}}}]}]}";
    let found = telemetries(&(telemetry("a", "istio-system", wide) + &telemetry("b", "default", narrow)));
    let texts = |side: &crate::telemetry::policy::TelemetryPolicy| {
        side.metrics.expressions.iter().map(|program| program.text().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&found.client), ["request.method"]);
    assert_eq!(texts(&found.server), ["request.host", "request.method"]);
    let tags = &found.client.metrics.of(IstioMetric::RequestCount).unwrap().tags;
    assert_eq!((&tags["a"], &tags["b"]), (&Tag::Expression(0), &Tag::Expression(0)));
}
