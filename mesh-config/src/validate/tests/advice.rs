//! Findings say how they are mended, and what happens until then.

use super::report;

#[test]
fn the_most_common_mistakes_are_mended_by_what_the_finding_says() {
    let to = "route: [{destination: {host: a}}]";
    for (kind, spec, help) in [
        ("VirtualService", format!("hosts: [a]\nhttp: [{{timeout: 0s, {to}}}]"), "leave the field out"),
        ("VirtualService", format!("hosts: ['*']\nhttp: [{{{to}}}]"), "name it in `gateways`"),
        (
            "VirtualService",
            format!("hosts: [a]\nhttp: [{{retries: {{attempts: 1, retryOn: '5xx, 503'}}, {to}}}]"),
            "without blanks",
        ),
        ("VirtualService", "hosts: [a]\nhttp: [{match: [{uri: {prefix: /}}]}]".to_owned(), "begins a new item"),
        (
            "VirtualService",
            "hosts: [a]\nhttp: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]".to_owned(),
            "without `weight` has 0",
        ),
        (
            "DestinationRule",
            "host: a\ntrafficPolicy: {outlierDetection: {consecutiveErrors: 3}}".to_owned(),
            "consecutive5xxErrors",
        ),
        ("DestinationRule", "host: a b".to_owned(), "No scheme, port, path or underscore"),
        ("ServiceEntry", "hosts: ['*.a.com']\nresolution: DNS".to_owned(), "cannot be looked up"),
        ("PeerAuthentication", "portLevelMtls: {80: {mode: STRICT}}".to_owned(), "add `selector.matchLabels`"),
        ("AuthorizationPolicy", "action: DENY".to_owned(), "`rules: [{}]`"),
        (
            "AuthorizationPolicy",
            "action: DENY\nrules: [{to: [{operation: {methods: [GET]}}]}]".to_owned(),
            "add `ports`",
        ),
    ] {
        let report = report(kind, "{name: x, namespace: ns}", &spec);
        let finding = report.iter().next().expect("a finding");
        assert!(finding.help.as_deref().is_some_and(|found| found.contains(help)), "{spec}: {:?}", finding.help);
        assert!(finding.effect.is_some(), "{spec}: nothing is said about what happens");
    }
}
