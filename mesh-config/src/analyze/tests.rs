//! What the tests of all analyzers need, and the laws for all of them.

use super::*;
use crate::document::{ParseOptions, parse, parse_with};

/// What one analyzer finds in the documents of a whole cluster, as `CODE resource path`.
pub(super) fn found(analyzer: &dyn Analyzer, yaml: &str) -> Vec<String> {
    // What an analyzer looks at need not be whole.
    let (documents, report) = parse_with("f", yaml, &ParseOptions::default().crd_rules(false));
    assert!(!report.has_errors(), "{report}");
    let (set, _) = ConfigSet::from_documents(documents);
    let options = Options::default().inventory(Inventory::Cluster).only([analyzer.name()]);
    let found = set.analyze_with(&options);
    for finding in &found {
        assert!(analyzer.codes().contains(&finding.code), "{} is not among its codes", finding.code);
        assert!(finding.origin.line > 0 && !finding.path.is_empty(), "it has no place: {finding}");
        assert!(finding.effect.is_some() || finding.help.is_some(), "it does not say what follows: {finding}");
    }
    let print = |finding: &Diagnostic| {
        let id = finding.resource.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} {id} {}", finding.code, finding.path)
    };
    found.iter().map(print).collect()
}

#[test]
fn every_analyzer_is_registered_once_and_has_codes() {
    let mut names: Vec<_> = ANALYZERS.iter().map(|analyzer| analyzer.name()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(ANALYZERS.iter().all(|analyzer| !analyzer.codes().is_empty()));
}

const TWO_RULES: &str = "
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: one, ANNOTATIONS}, spec: {hosts: [r]}}
---
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: two}, spec: {hosts: [r]}}
";

fn reported(annotations: &str) -> Vec<String> {
    let text = TWO_RULES.replace("ANNOTATIONS", annotations);
    let (set, _) = ConfigSet::from_documents(parse("f", &text).0);
    set.analyze().iter().map(|finding| finding.resource.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
}

#[test]
fn an_object_may_say_what_is_not_to_be_reported_of_it() {
    let both = ["VirtualService default/one", "VirtualService default/two"];
    assert_eq!(reported(""), both);
    assert_eq!(reported("annotations: {galley.istio.io/analyze-suppress: 'IST0101, IST0109'}"), both[1..]);
    assert_eq!(reported("annotations: {galley.istio.io/analyze-suppress: '*'}"), both[1..]);
    assert_eq!(reported("annotations: {galley.istio.io/analyze-suppress: IST0101}"), both);
}

#[test]
fn a_fact_that_several_analyzers_find_is_reported_once() {
    let gateway = "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: g}, spec: {selector: {app: x}, \
                   servers: [{hosts: ['*'], port: {number: 80, name: p, protocol: HTTP}}]}}";
    let (set, _) = ConfigSet::from_documents(parse("f", gateway).0);
    let found = set.analyze_with(&Options::default().inventory(Inventory::Cluster));
    assert_eq!(found.len(), 1, "{found}");
}

#[test]
fn lists_are_printed_as_istio_prints_them() {
    assert_eq!(printed(["a", "b"]), "[a b]");
    let names: Vec<String> = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).into();
    assert_eq!(some_of(&names[..2]), "a, b");
    assert_eq!(some_of(&names), "a, b, c, d, e, and 2 more");
}
