//! What surprised people, with the outcome that is right: each report is a test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use mesh_config::{ConfigSet, ParseOptions, Report, Severity, parse, parse_with};

/// Everything that is found in a text, analysis included.
fn report(text: &str) -> Report {
    let (documents, mut report) = parse("f", text);
    let (set, duplicates) = ConfigSet::from_documents(documents);
    report.extend(duplicates);
    report.extend(set.validate());
    report.extend(set.analyze());
    report
}

/// The errors of reading and validation: what Istio's webhook refuses. What the API server would have refused before it
/// was asked is refused, too.
fn errors(text: &str) -> Vec<String> {
    let webhook_alone = ParseOptions::default().crd_rules(false);
    let (documents, mut report) = parse_with("f", text, &webhook_alone);
    report.extend(ConfigSet::from_documents(documents).0.validate());
    let errors: Vec<_> = report.errors().map(|finding| finding.message.clone()).collect();
    let (documents, mut both) = parse("f", text);
    both.extend(ConfigSet::from_documents(documents).0.validate());
    assert!(both.has_errors() || errors.is_empty(), "{text}");
    errors
}

fn codes(report: &Report) -> Vec<(&str, Severity)> {
    report.iter().map(|finding| (finding.code.as_str(), finding.severity)).collect()
}

fn virtual_service(rule: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: orders, namespace: store}}\nspec:\n  \
         hosts: [orders.store.internal]\n  http:\n  - {rule}\n"
    )
}

fn route(more: &str) -> String {
    virtual_service(&format!("{{route: [{{destination: {{host: orders.store.internal}}}}], {more}}}"))
}

fn destination_rule(policy: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: orders, namespace: store}}\nspec:\n  \
         host: orders.store.internal\n  trafficPolicy: {policy}\n"
    )
}

fn service_entry(spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: orders, namespace: store}}\nspec: {spec}\n"
    )
}

const NONE: [&str; 0] = [];

#[test]
fn a_blank_after_a_comma_of_retry_on_is_refused() {
    assert_eq!(
        errors(&route("retries: {attempts: 1, retryOn: 'reset, 503'}")),
        ["\" 503\" is not a valid retryOn policy"]
    );
    assert_eq!(errors(&route("retries: {attempts: 1, retryOn: 'reset,503'}")), NONE);
}

#[test]
fn not_every_code_of_grpc_is_a_retry_condition() {
    for name in ["unknown", "aborted", "not-found", "ok"] {
        let found = errors(&route(&format!("retries: {{attempts: 1, retryOn: {name}}}")));
        assert_eq!(found, [format!("{name:?} is not a valid retryOn policy")]);
    }
    for name in ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"] {
        assert_eq!(errors(&route(&format!("retries: {{attempts: 1, retryOn: {name}}}"))), NONE, "{name}");
    }
}

#[test]
fn two_destinations_without_weights_are_refused_and_one_is_not() {
    let two = virtual_service("{route: [{destination: {host: a.internal}}, {destination: {host: b.internal}}]}");
    assert_eq!(errors(&two), ["total destination weight = 0"]);
    let one = virtual_service("{route: [{destination: {host: a.internal}}]}");
    assert_eq!(errors(&one), NONE);
    let one_of_weight_zero = virtual_service("{route: [{destination: {host: a.internal}, weight: 0}]}");
    assert_eq!(errors(&one_of_weight_zero), NONE);
}

#[test]
fn local_origin_failures_need_the_split() {
    let text = destination_rule("{outlierDetection: {consecutiveLocalOriginFailures: 2}}");
    assert_eq!(
        errors(&text),
        [
            "outlier detection consecutive local origin failures is specified, but split external local origin errors is \
          set to false"
        ]
    );
    let text = destination_rule(
        "{outlierDetection: {consecutiveLocalOriginFailures: 2, splitExternalLocalOriginErrors: true}}",
    );
    assert_eq!(errors(&text), NONE);
}

#[test]
fn the_weights_of_a_distribution_add_up_to_a_hundred() {
    let text = |to: &str| {
        destination_rule(&format!(
            "{{loadBalancer: {{localityLbSetting: {{distribute: [{{from: 'north/*', to: {to}}}]}}}}}}"
        ))
    };
    assert_eq!(errors(&text("{'north/*': 70, 'south/*': 20}")), ["total locality weight 90 != 100"]);
    assert_eq!(errors(&text("{'north/*': 70, 'south/*': 30}")), NONE);
}

#[test]
fn a_wildcard_host_cannot_be_looked_up_in_dns() {
    let text = |resolution: &str| {
        service_entry(&format!(
            "{{hosts: ['*.api.example.org'], location: MESH_EXTERNAL, resolution: {resolution}, ports: [{{number: 443, \
             name: tls, protocol: TLS}}]}}"
        ))
    };
    let found = errors(&text("DNS"));
    assert!(found.len() == 1 && found[0].starts_with("hosts must be FQDN"), "{found:?}");
    assert_eq!(errors(&text("NONE")), NONE);
}

#[test]
fn an_entry_without_resolution_has_no_endpoints() {
    let text = |resolution: &str| {
        service_entry(&format!(
            "{{hosts: [orders.example.org], {resolution} ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: \
             [{{address: 10.9.0.1}}]}}"
        ))
    };
    assert_eq!(
        errors(&text("")).first().map(String::as_str),
        Some("no endpoints should be provided for resolution type none")
    );
    assert_eq!(errors(&text("resolution: STATIC,")), NONE);
}

#[test]
fn static_endpoints_are_addresses() {
    let text = |address: &str| {
        service_entry(&format!(
            "{{hosts: [orders.example.org], location: MESH_INTERNAL, resolution: STATIC, ports: [{{number: 80, name: \
             http, protocol: HTTP}}], endpoints: [{{address: {address}}}]}}"
        ))
    };
    assert_eq!(
        errors(&text("backend.example.org")),
        ["endpoint address \"backend.example.org\" is not a valid IP address"]
    );
    assert_eq!(errors(&text("10.9.0.1")), NONE);
}

#[test]
fn a_subset_is_looked_for_in_the_rules_of_every_namespace() {
    let text = |namespace: &str, host: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: stock, namespace: store}}\nspec: {{ports: [{{name: http, \
             port: 80}}]}}\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: stock, \
             namespace: {namespace}}}\nspec: {{host: {host}, subsets: [{{name: blue, labels: {{color: blue}}}}]}}\n---\n\
             apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: stock, namespace: store}}\nspec:\n  \
             hosts: [stock]\n  http:\n  - route: [{{destination: {{host: stock, subset: blue}}}}]\n"
        )
    };
    let is_missing = |text: &str| report(text).iter().any(|finding| finding.code.as_str() == "IST0101");
    assert!(!is_missing(&text("istio-system", "stock.store.svc.cluster.local")));
    assert!(!is_missing(&text("elsewhere", "stock.store.svc.cluster.local")));
    assert!(!is_missing(&text("store", "stock")));
    assert!(is_missing(&text("elsewhere", "stock")), "short names are of the rule's own namespace");
}

#[test]
fn a_gateway_that_does_not_exist_is_found_by_analysis_only() {
    let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: orders, namespace: store}\nspec:\n  \
                hosts: [orders.store.internal]\n  gateways: [store/edge]\n  http:\n  - route: [{destination: {host: \
                orders.store.internal}}]\n";
    assert_eq!(errors(text), NONE);
    let found = report(text);
    let of = |code: &str| found.iter().find(|finding| finding.code.as_str() == code);
    let missing = of("IST0101").expect("a finding about the gateway");
    assert_eq!(
        (missing.severity, missing.message.as_str(), missing.origin.line),
        (Severity::Error, "Referenced gateway not found: \"store/edge\"", 6)
    );
    assert_eq!(of("IST0132").map(|finding| finding.severity), Some(Severity::Warning), "{found}");
}

#[test]
fn a_timeout_of_zero_is_refused() {
    for (timeout, expected) in [
        ("0s", vec!["duration must be greater than 1ms"]),
        ("0.000999s", vec!["duration must be greater than 1ms"]),
        ("1ms", vec![]),
        ("1s", vec![]),
    ] {
        assert_eq!(errors(&route(&format!("timeout: {timeout}"))), expected, "{timeout}");
    }
}

#[test]
fn every_host_is_for_gateways_only() {
    let text = |gateways: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: all, namespace: store}}\nspec:\n  \
             hosts: ['*']\n{gateways}  http:\n  - route: [{{destination: {{host: orders.store.internal}}}}]\n"
        )
    };
    assert_eq!(errors(&text("")), ["wildcard host * is not allowed for virtual services bound to the mesh gateway"]);
    assert_eq!(errors(&text("  gateways: [store/edge]\n")), NONE);
    assert_eq!(errors(&text("  gateways: [mesh, store/edge]\n")).len(), 1);
}

#[test]
fn an_abort_has_a_status_that_a_response_can_have() {
    let abort = |status: u32| route(&format!("fault: {{abort: {{httpStatus: {status}, percentage: {{value: 5}}}}}}"));
    for (status, is_valid) in [(99, false), (199, false), (200, true), (599, true), (600, true), (601, false)] {
        let expected = if is_valid { vec![] } else { vec![format!("HTTP status {status} is not in range 200-599")] };
        assert_eq!(errors(&abort(status)), expected);
    }
    assert_eq!(errors(&route("fault: {}")), ["HTTP fault injection must have an abort and/or a delay"]);
}

/// Where nothing is wrong there is nothing to say.
#[test]
fn a_good_file_has_no_findings() {
    let text = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: orders, namespace: store}\nspec:\n  \
                host: orders\n  subsets: [{name: blue, labels: {color: blue}}]\n---\napiVersion: networking.istio.io/v1\n\
                kind: VirtualService\nmetadata: {name: orders, namespace: store}\nspec:\n  hosts: [orders]\n  http:\n  - \
                route: [{destination: {host: orders, subset: blue}}]\n    timeout: 3s\n";
    assert_eq!(codes(&report(text)), []);
}
