//! Rules by example: a spec, and the findings it gives.

mod advice;
mod destination_rule;
mod gateway;
mod mesh_config;
mod metadata;
mod policies;
mod service_entry;
mod sidecar;
mod virtual_service;
mod virtual_service_actions;

use crate::diagnostic::Report;
use crate::document::{ParseOptions, parse_with};
use crate::set::ConfigSet;

/// What validation says about a spec.
fn report(kind: &str, metadata: &str, spec: &str) -> Report {
    let group = match kind {
        "AuthorizationPolicy" | "PeerAuthentication" | "RequestAuthentication" => "security.istio.io/v1",
        "Telemetry" => "telemetry.istio.io/v1",
        "ProxyConfig" => "networking.istio.io/v1beta1",
        _ => "networking.istio.io/v1",
    };
    let spec = spec.trim_end().replace('\n', "\n  ");
    let text = format!("apiVersion: {group}\nkind: {kind}\nmetadata: {metadata}\nspec:\n  {spec}\n");
    validate(&text)
}

/// What validation says about a document.
fn validate(text: &str) -> Report {
    let (documents, read) = parse_with("f", text, &ParseOptions::default().crd_rules(false));
    assert_eq!(documents.len(), 1, "{read}{text}");
    let (set, _) = ConfigSet::from_documents(documents);
    let report = set.validate();
    assert!(report.iter().all(|finding| finding.origin.line > 0), "{report}");
    report
}

/// The findings for a spec, as `level path: message`.
fn findings(kind: &str, spec: &str) -> Vec<String> {
    lines(&report(kind, "{name: x, namespace: ns}", spec))
}

fn lines(report: &Report) -> Vec<String> {
    report.iter().map(|finding| format!("{} {}: {}", finding.severity, finding.path, finding.message)).collect()
}

/// Holds each spec to its findings, one a line.
fn assert_findings(kind: &str, cases: &[(&str, &str)]) {
    for (spec, expected) in cases {
        assert_eq!(findings(kind, spec).join("\n"), *expected, "{kind} {spec}");
    }
}

fn http(route: &str) -> Vec<String> {
    findings("VirtualService", &format!("hosts: [a]\nhttp:\n- {}", route.trim().replace('\n', "\n  ")))
}

const TO: &str = "route: [{destination: {host: a}}]\n";

fn with_route(rest: &str) -> Vec<String> {
    http(&format!("{TO}{rest}"))
}

/// Holds what a route has besides its destination to its findings.
fn assert_actions(cases: &[(&str, &str)]) {
    for (action, expected) in cases {
        assert_eq!(with_route(action).join("\n"), *expected, "{action}");
    }
}

fn policy(policy: &str) -> Vec<String> {
    findings("DestinationRule", &format!("host: a\ntrafficPolicy: {policy}"))
}

/// Holds a traffic policy to its findings.
fn assert_policies(cases: &[(&str, &str)]) {
    for (spec, expected) in cases {
        assert_eq!(policy(spec).join("\n"), *expected, "{spec}");
    }
}
