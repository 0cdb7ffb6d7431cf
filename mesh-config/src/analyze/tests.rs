//! Analyzers by example.

use super::*;
use crate::document::parse;

/// The findings as `CODE resource path: message | effect | help`.
fn findings(documents: &[&str]) -> Vec<String> {
    let (documents, report) = parse("f", &documents.join("\n---\n"));
    assert!(report.is_empty(), "{report}");
    let (set, report) = ConfigSet::from_documents(documents);
    assert!(report.is_empty() && set.validate().errors().count() == 0, "{report}{}", set.validate());
    let print = |finding: &crate::diagnostic::Diagnostic| {
        let id = finding.resource.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} {id} {}", finding.code, finding.path)
    };
    set.analyze().iter().map(print).collect()
}

fn object(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{namespace: a, name: {name}}}\nspec: {spec}")
}

fn routes(name: &str, rest: &str) -> String {
    object(
        "VirtualService",
        name,
        &format!("{{hosts: [r], http: [{{route: [{{destination: {{host: r, subset: v1}}}}]}}], {rest}}}"),
    )
}

#[test]
fn every_analyzer_says_which_codes_it_reports() {
    assert!(ANALYZERS.iter().all(|analyzer| !analyzer.codes().is_empty()));
    let codes: Vec<_> = ANALYZERS.iter().flat_map(|analyzer| analyzer.codes()).copied().collect();
    for code in [Code::REFERENCE_NOT_FOUND, Code::CONFLICTING_HOSTS, Code::IMPOSSIBLE_EJECTION, Code::DEPRECATED] {
        assert!(codes.contains(&code), "{code}");
    }
}

#[test]
fn a_missing_subset_is_found_and_a_defined_one_is_not() {
    let rule = object("DestinationRule", "r", "{host: r.a.svc.cluster.local, subsets: [{name: v1}]}");
    let service = routes("r", "");
    assert_eq!(findings(&[&service]), ["IST0101 VirtualService a/r spec.http[0].route[0].destination.subset"]);
    assert_eq!(findings(&[&service, &rule]), [""; 0]);
    let wildcard = object("DestinationRule", "r", "{host: '*.cluster.local', subsets: [{name: v1}]}");
    assert_eq!(findings(&[&service, &wildcard]), [""; 0]);
    let mirrored = object(
        "VirtualService",
        "r",
        "{hosts: [r], http: [{route: [{destination: {host: r}}], mirrors: [{destination: {host: r, subset: v2}}]}]}",
    );
    assert_eq!(
        findings(&[&mirrored, &rule]),
        ["IST0101 VirtualService a/r spec.http[0].mirrors[0].destination.subset"]
    );
}

#[test]
fn a_missing_gateway_is_found() {
    let rule = object("DestinationRule", "r", "{host: r, subsets: [{name: v1}]}");
    let service = routes("r", "gateways: [mesh, gw]");
    assert_eq!(findings(&[&service, &rule]), ["IST0101 VirtualService a/r spec.gateways[1]"]);
    let gateway =
        object("Gateway", "gw", "{servers: [{hosts: ['*'], port: {number: 80, name: http, protocol: HTTP}}]}");
    assert_eq!(findings(&[&service, &rule, &gateway]), [""; 0]);
}

#[test]
fn two_rules_of_the_mesh_for_one_host_are_both_reported() {
    let rule = object("DestinationRule", "r", "{host: r, subsets: [{name: v1}]}");
    let (one, two) = (routes("one", ""), routes("two", ""));
    assert_eq!(
        findings(&[&one, &two, &rule]),
        ["IST0109 VirtualService a/one spec.hosts[0]", "IST0109 VirtualService a/two spec.hosts[0]"]
    );
    let hidden = routes("two", "exportTo: [b]");
    assert_eq!(findings(&[&routes("one", "exportTo: ['.']"), &hidden, &rule]), [""; 0]);
}

#[test]
fn rules_for_some_namespaces_conflict_with_those_for_all() {
    let service = |name: &str, host: &str, export: &str| {
        let spec =
            format!("{{hosts: ['{host}'], exportTo: ['{export}'], http: [{{route: [{{destination: {{host: r}}}}]}}]}}");
        object("VirtualService", name, &spec)
    };
    let found = |one: &str, two: &str| findings(&[one, two]);
    // Of an exact host the one that fewer see is named.
    assert_eq!(
        found(&service("one", "r.com", "*"), &service("two", "r.com", ".")),
        ["IST0109 VirtualService a/two spec.hosts[0]"]
    );
    let overlapping = found(&service("one", "*.d", "*"), &service("two", "*.r.d", "."));
    assert_eq!(
        overlapping,
        ["IST0109 VirtualService a/one spec.hosts[0]", "IST0109 VirtualService a/two spec.hosts[0]"]
    );
    assert_eq!(found(&service("one", "*.d", "*"), &service("two", "*.r.d", "*")), [""; 0]);
    assert_eq!(found(&service("one", "*.d", "*"), &service("two", "r.d", ".")), [""; 0]);
}

#[test]
fn deprecated_fields_are_pointed_out() {
    let service = object(
        "VirtualService",
        "r",
        "{hosts: [r], http: [{route: [{destination: {host: r}}], fault: {delay: {percent: 5, fixedDelay: 1s}}}]}",
    );
    let sidecar = object(
        "Sidecar",
        "s",
        "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: e.a.svc.cluster.local, port: {number: 80}}}}",
    );
    assert_eq!(
        findings(&[&service, &sidecar]),
        [
            "IST0002 VirtualService a/r spec.http[0].fault.delay.percent",
            "IST0002 Sidecar a/s spec.outboundTrafficPolicy.egressProxy"
        ]
    );
}
