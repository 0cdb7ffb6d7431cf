//! Each family of demands, the tables against Istio's CRDs where those are at hand, and trees that nobody would write.

use proptest::prelude::*;

use super::{Finding, Objection, check};
use crate::locate::Tree;
use crate::resource::Kind;

mod generated;
mod reference;

fn findings(kind: Kind, document: &str) -> Vec<Finding> {
    let tree = Tree::parse(document).unwrap();
    check(kind, &tree, tree.root().unwrap_or_default())
}

/// The messages about a spec.
fn found(kind: Kind, spec: &str) -> Vec<String> {
    let indented = format!("spec: {}\n", spec.trim());
    findings(kind, &indented).into_iter().map(|finding| finding.message).collect()
}

fn assert_found(kind: Kind, spec: &str, messages: &[&str]) {
    assert_eq!(found(kind, spec), messages, "{spec}");
}

#[test]
fn a_name_is_one_of_those_there_are() {
    let kind = Kind::ServiceEntry;
    assert_found(
        kind,
        "{hosts: [a], resolution: dns}",
        &["spec.resolution: Unsupported value: \"dns\": supported values: \
        \"NONE\", \"STATIC\", \"DNS\", \"DNS_ROUND_ROBIN\", \"DYNAMIC_DNS\""],
    );
    let finding = findings(kind, "spec: {hosts: [a], resolution: DNS_ROUNDROBIN}").remove(0);
    assert_eq!(finding.help.as_deref(), Some("did you mean `DNS_ROUND_ROBIN`?"));
    assert_found(kind, "{hosts: [a], resolution: DNS}", &[]);
}

#[test]
fn a_text_is_as_long_as_it_may_be_and_built_as_it_has_to_be() {
    let target = |target: &str| format!("{{targetRefs: [{{{target}}}]}}");
    let kind = Kind::RequestAuthentication;
    let name = "spec.targetRefs[0].name";
    let empty = format!("{name}: Invalid value: \"\": {name} in body should be at least 1 chars long");
    assert_found(kind, &target("kind: Service, name: ''"), &[&empty]);
    let long = target(&format!("kind: Service, name: {}", "é".repeat(254)));
    assert_found(kind, &long, &[&format!("{name}: Too long: may not be more than 253 bytes")]);
    assert_found(kind, &target(&format!("kind: Service, name: {}", "é".repeat(253))), &[]);
    let group = "spec.targetRefs[0].group";
    let bad = format!(
        "{group}: Invalid value: \"A_b\": {group} in body should match \
         '^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'"
    );
    assert_found(kind, &target("kind: Service, name: a, group: A_b"), &[&bad]);
    let bytes = "{http: [{directResponse: {status: 200, body: {bytes: 'not base64'}}}]}";
    assert!(found(Kind::VirtualService, bytes)[0].ends_with("must be of type byte: \"not base64\""));
}

#[test]
fn a_number_is_within_its_bounds() {
    let concurrency =
        "spec.concurrency: Invalid value: -1: spec.concurrency in body should be greater than or equal to 0";
    assert_found(Kind::ProxyConfig, "{concurrency: -1}", &[concurrency]);
    assert_found(Kind::ProxyConfig, "{concurrency: 0}", &[]);
    let sampling = |number: &str| format!("{{tracing: [{{randomSamplingPercentage: {number}}}]}}");
    let at = "spec.tracing[0].randomSamplingPercentage";
    let over = format!("{at}: Invalid value: 100.5: {at} in body should be less than or equal to 100");
    assert_found(Kind::Telemetry, &sampling("100.5"), &[&over]);
    assert_found(Kind::Telemetry, &sampling("1e2"), &[]);
    let weight = "{hosts: [a], resolution: STATIC, endpoints: [{address: 1.1.1.1, weight: 4294967296}]}";
    assert!(found(Kind::ServiceEntry, weight)[0].ends_with("should be less than or equal to 4294967295"));
}

#[test]
fn a_list_and_a_map_have_as_many_entries_as_they_may() {
    let at = "spec.hosts: Invalid value: 0: spec.hosts in body should have at least 1 items";
    assert_found(Kind::ServiceEntry, "{hosts: []}", &[at]);
    let targets = vec!["{kind: Service, name: a}"; 17].join(", ");
    let many = "spec.targetRefs: Too many: 17: must have at most 16 items";
    assert_found(Kind::Telemetry, &format!("{{targetRefs: [{targets}]}}"), &[many]);
    let none = "spec.portLevelMtls: Invalid value: 0: spec.portLevelMtls in body should have at least 1 properties";
    assert_found(Kind::PeerAuthentication, "{selector: {matchLabels: {a: b}}, portLevelMtls: {}}", &[none]);
    assert_found(Kind::PeerAuthentication, "{selector: {matchLabels: {a: b}}, portLevelMtls: {80: null}}", &[none]);
}

#[test]
fn what_is_required_is_there() {
    assert_eq!(findings(Kind::ServiceEntry, "kind: x")[0].message, "spec: Required value");
    assert!(findings(Kind::VirtualService, "kind: x").is_empty());
    let route = "{http: [{route: [{weight: 1}]}]}";
    assert_found(Kind::VirtualService, route, &["spec.http[0].route[0].destination: Required value"]);
    let finding = findings(Kind::DestinationRule, "spec: {}").remove(0);
    assert_eq!((finding.path.to_string().as_str(), finding.help.as_deref()), ("spec.host", Some("write `host`")));
}

#[test]
fn of_alternatives_one_is_set() {
    let at = "spec.http[0].match[0].headers.x-a";
    let message = format!(
        "{at}: Invalid value: \"\": \"{at}\" must validate one and only one schema (oneOf). Found 2 valid alternatives"
    );
    assert_found(Kind::VirtualService, "{http: [{match: [{headers: {x-a: {exact: a, regex: b}}}]}]}", &[&message]);
    assert_found(Kind::VirtualService, "{http: [{match: [{headers: {x-a: {}}}]}]}", &[]);
    let hash = |keys: &str| format!("{{host: a, trafficPolicy: {{loadBalancer: {{consistentHash: {{{keys}}}}}}}}}");
    let both = found(Kind::DestinationRule, &hash("useSourceIp: true, httpHeaderName: a, ringHash: {}, maglev: {}"));
    assert_eq!(both.len(), 2, "two groups of alternatives: {both:?}");
    assert_found(Kind::DestinationRule, &hash("useSourceIp: true, maglev: {}"), &[]);
}

#[test]
fn ports_of_a_service_entry_are_told_apart_by_name() {
    let ports = |names: [&str; 3]| {
        let [a, b, c] = names;
        format!("{{hosts: [a], ports: [{{name: {a}, number: 1}}, {{name: {b}, number: 2}}, {{name: {c}, number: 3}}]}}")
    };
    let twice = "spec.ports[1]: Duplicate value: map[string]interface {}{\"name\":\"a\"}";
    assert_found(Kind::ServiceEntry, &ports(["a", "a", "a"]), &[twice]);
    assert_found(Kind::ServiceEntry, &ports(["a", "b", "c"]), &[]);
}

#[test]
fn every_value_of_a_wrong_type_is_found() {
    let spec = "{hosts: [1, no, a], http: [{timeout: 5, match: {}, route: [{weight: '50', destination: a}]}]}";
    let types: Vec<_> = found(Kind::VirtualService, spec)
        .into_iter()
        .map(|message| message.rsplit_once(" in body must be of type ").unwrap().1.to_owned())
        .collect();
    let expected = [
        r#"string: "integer""#,
        r#"string: "boolean""#,
        r#"string: "integer""#,
        r#"array: "object""#,
        r#"integer: "string""#,
        r#"object: "string""#,
    ];
    assert_eq!(types, expected);
    let numbers = "{http: [{route: [{weight: 1.0, destination: {host: a}}, {weight: 1.5, destination: {host: a}}]}]}";
    let at = "spec.http[0].route[1].weight";
    let half = format!("{at}: Invalid value: \"number\": {at} in body must be of type integer: \"number\"");
    assert_found(Kind::VirtualService, numbers, &[&half]);
    // What overflows 32 bits has the right type here: it is protobuf that refuses it.
    assert_found(Kind::VirtualService, "{http: [{retries: {attempts: 3000000000}}]}", &[]);
}

#[test]
fn a_null_counts_as_absent_but_in_lists() {
    assert_found(Kind::VirtualService, "{hosts: null, http: [{timeout: , match: ~, mirrorPercent: null}]}", &[]);
    assert_found(Kind::ServiceEntry, "{hosts: null}", &["spec.hosts: Required value"]);
    let element =
        "spec.jwtRules[0]: Invalid value: \"null\": spec.jwtRules[0] in body must be of type object: \"null\"";
    assert_found(Kind::RequestAuthentication, "{jwtRules: [null]}", &[element]);
    assert_found(Kind::AuthorizationPolicy, "null", &[]);
    assert_eq!(found(Kind::ServiceEntry, "null"), ["spec: Required value"]);
}

#[test]
fn names_in_snake_case_are_unknown_to_the_api_server() {
    let found = findings(Kind::VirtualService, "spec: {tls: [{match: [{sni_hosts: [1]}]}]}");
    let messages: Vec<_> = found.iter().map(|finding| finding.message.as_str()).collect();
    let element = "spec.tls[0].match[0].sniHosts[0]";
    let number =
        format!("{element}: Invalid value: \"integer\": {element} in body must be of type string: \"integer\"");
    assert_eq!(messages, ["unknown field \"spec.tls[0].match[0].sni_hosts\"", &number]);
    assert_eq!((found[0].about, found[0].help.as_deref()), (Objection::Name, Some("write `sniHosts`")));
    assert_found(Kind::VirtualService, "{http: [{mirror_percent: 5}]}", &[]);
    assert_found(Kind::RequestAuthentication, "{jwtRules: [{jwks_uri: 'https://a'}]}", &[]);
}

#[test]
fn fields_that_nobody_knows_and_the_status_are_not_its_to_report() {
    assert_found(Kind::VirtualService, "{nonsense: [1], http: [{ruote: {}}]}", &[]);
    assert!(findings(Kind::Gateway, "{spec: {}, status: {observedGeneration: [], anything: 1}}").is_empty());
}

#[test]
fn a_rule_says_where_it_is_broken_and_by_what() {
    let timeout = "spec.http[0].timeout: Invalid value: \"0s\": must be a valid duration greater than 1ms";
    assert_found(Kind::VirtualService, "{http: [{timeout: 0s}]}", &[timeout]);
    let selector = "spec: Invalid value: portLevelMtls requires selector";
    assert_found(Kind::PeerAuthentication, "{portLevelMtls: {80: {mode: STRICT}}}", &[selector]);
    let port = "spec.endpoints[0].ports[http]: Invalid value: 0: port must be between 1-65535";
    let endpoint = "{hosts: [a], resolution: STATIC, endpoints: [{address: 1.1.1.1, ports: {http: 0}}]}";
    assert_found(Kind::ServiceEntry, endpoint, &[port]);
}

#[test]
fn a_value_with_a_finding_of_its_own_is_not_asked_about_its_rules() {
    let found = found(Kind::ServiceEntry, "{hosts: [a], ports: [{name: a, number: -1}]}");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn kinds_of_others_have_no_rules() {
    for kind in Kind::ALL.iter().filter(|kind| !kind.is_istio()) {
        assert!(findings(*kind, "spec: {ports: 1}").is_empty());
    }
    for kind in Kind::ALL.iter().filter(|kind| kind.is_istio()) {
        assert!(!findings(*kind, "spec: 1").is_empty(), "{kind:?}");
    }
}

#[test]
fn a_hostile_document_has_as_many_findings_as_one_can_read() {
    let hosts = vec!["1"; 100_000].join(", ");
    let found = found(Kind::VirtualService, &format!("{{hosts: [{hosts}]}}"));
    assert!(found.len() <= 201);
    assert!(found.last().is_some_and(|last| format!("{last:?}").contains("checked up to here")));
}

#[test]
fn merged_mappings_and_aliases_are_seen_where_they_are_used() {
    let text = "x: &x {number: 0, name: a}\nspec:\n  hosts: [a]\n  ports:\n  - <<: *x\n    name: b\n  - *x\n";
    let paths: Vec<_> =
        findings(Kind::ServiceEntry, text).into_iter().map(|finding| finding.path.to_string()).collect();
    assert_eq!(paths, ["spec.ports", "spec.ports[0].number", "spec.ports[1].number"]);
}

/// YAML of any form, made of names that schemas have.
fn any_value() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "spec",
        "http",
        "match",
        "route",
        "hosts",
        "endpoints",
        "ports",
        "address",
        "number",
        "name",
        "tls",
        "<<",
        "sni_hosts",
        "subsets",
        "trafficPolicy",
        "loadBalancer",
        "consistentHash",
        "portLevelMtls",
        "selector",
        "matchLabels",
        "rules",
        "from",
        "source",
        "jwtRules",
        "targetRefs",
        "'80'",
        "probe",
        "template",
        "metrics",
        "overrides",
        "tagOverrides",
        "''",
    ]);
    let leaf = prop::sample::select(vec![
        "1",
        "-1",
        "1.5",
        "~",
        "no",
        "''",
        "'*'",
        "1s",
        "é",
        ".nan",
        "unix://",
        "https://[",
        "99999999999999999999",
        "*a",
        "0x",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(6, 64, 5, move |inner| {
        let entries = prop::collection::btree_map(name.clone(), inner.clone(), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            entries.prop_map(|map| {
                let entries: Vec<_> = map.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_tree_makes_it_panic(value in any_value(), anchored in any_value()) {
        let text = format!("a: &a {anchored}\nspec: {value}\n");
        let Ok(tree) = Tree::parse(&text) else { return Ok(()) };
        for kind in Kind::ALL {
            let root = tree.root().unwrap_or_default();
            for finding in check(*kind, &tree, root) {
                prop_assert!(finding.message.contains(": ") || finding.about == Objection::Name);
            }
        }
    }
}
