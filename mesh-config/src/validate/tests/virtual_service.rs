//! VirtualService: hosts, gateways, matches, destinations.

use super::{TO, assert_findings, findings, http, report, with_route};

#[test]
fn a_plain_route_is_valid() {
    assert_eq!(with_route(""), [""; 0]);
}

#[test]
fn a_virtual_service_needs_rules_and_distinct_hosts() {
    let one = |spec: &str| findings("VirtualService", spec).join("\n");
    assert_eq!(one("hosts: [a]"), "error spec: http, tcp or tls must be provided in virtual service");
    assert_eq!(
        one(&format!("hosts: ['*.foo.com', '*.com']\nhttp: [{{{}}}]", TO.trim())),
        "error spec.hosts[1]: duplicate hosts in virtual service: *.foo.com & *.com"
    );
    assert_eq!(
        one(&format!("hosts: ['*']\nhttp: [{{{}}}]", TO.trim())),
        "error spec.hosts[0]: wildcard host * is not allowed for virtual services bound to the mesh gateway"
    );
    assert_eq!(one(&format!("hosts: ['*']\ngateways: [gw]\nhttp: [{{{}}}]", TO.trim())), "");
    assert_eq!(
        one(&format!("gateways: [gw]\nhttp: [{{{}}}]", TO.trim())),
        "error spec.gateways: delegate virtual service must have no gateways specified"
    );
    assert!(one(&format!("hosts: [a_b]\nhttp: [{{{}}}]", TO.trim())).contains("(label \"a_b\" invalid)"));
    assert_eq!(
        one(&format!("hosts: [a]\ngateways: [gw.ns]\nhttp: [{{{}}}]", TO.trim())),
        "warning spec.gateways[0]: using legacy gatewayName format \"gw.ns\"; prefer the <namespace>/<name> format: \"ns/gw\""
    );
}

#[test]
fn a_rule_does_one_thing() {
    for (route, message) in [
        ("{}", "HTTP route, redirect or direct_response is required"),
        ("route: [{destination: {host: a}}]\nredirect: {uri: /x}", "HTTP route cannot contain both route and redirect"),
        ("redirect: {uri: /x}\nrewrite: {uri: /}", "HTTP route rule cannot contain both rewrite and redirect"),
        (
            "redirect: {uri: /x}\ndirectResponse: {status: 200}",
            "HTTP route rule cannot contain both direct_response and redirect",
        ),
        (
            "directResponse: {status: 200}\nroute: [{destination: {host: a}}]",
            "HTTP route cannot contain both route and direct_response",
        ),
        ("delegate: {name: d}\nredirect: {uri: /x}", "root HTTP route  must not specify redirect"),
        (
            "route: [{destination: {host: a}}]\nmirror: {host: b}\nmirrors: [{destination: {host: c}}]",
            "HTTP route cannot contain both mirror and mirrors",
        ),
    ] {
        let found = http(route);
        assert!(found.iter().any(|finding| finding.ends_with(message)), "{route}: {found:?}");
    }
    assert_eq!(
        findings("VirtualService", "http: [{delegate: {name: d}, route: [{destination: {host: a}}]}]"),
        ["error spec.http[0].delegate: delegate HTTP route cannot contain delegate"]
    );
}

#[test]
fn destinations_have_hosts_weights_and_subsets() {
    for (destinations, finding) in [
        ("{destination: {host: '*'}}", "error spec.http[0].route[0].destination.host: invalid destination host *"),
        ("{}", "error spec.http[0].route[0]: destination is required"),
        ("{destination: {host: a}, weight: -1}", "error spec.http[0].route[0].weight: weight -1 < 0"),
        (
            "{destination: {host: a, subset: v_1}}",
            "error spec.http[0].route[0].destination.subset: subset name is invalid: v_1",
        ),
        (
            "{destination: {host: a, port: {number: 0}}}",
            "error spec.http[0].route[0].destination.port.number: port number 0 must be in the range 1..65535",
        ),
        (
            "{destination: {host: a}}, {destination: {host: b}}",
            "error spec.http[0].route: total destination weight = 0",
        ),
    ] {
        assert_eq!(http(&format!("route: [{destinations}]")), [finding]);
    }
}

#[test]
fn matches_are_checked_by_their_place() {
    for (matches, finding) in [
        ("{uri: {prefix: ''}}", ""),
        (
            "{headers: {x: {prefix: ''}}}",
            "error spec.http[0].match[0].headers[x].prefix: \"headers\": prefix string match should not be empty",
        ),
        (
            "{uri: {regex: ''}}",
            "error spec.http[0].match[0].uri.regex: \"uri\": regex string match should not be empty",
        ),
        ("{withoutHeaders: {x: {regex: '*'}}}", ""),
        (
            "{headers: {'x y': {exact: a}}}",
            "error spec.http[0].match[0].headers[x y]: header name x y is not a valid header name",
        ),
        ("{port: 70000}", "error spec.http[0].match[0].port: port number 70000 must be in the range 1..65535"),
        ("{sourceNamespace: a_b}", "error spec.http[0].match[0].sourceNamespace: sourceNamespace match a_b is invalid"),
        ("{sourceLabels: {'a b': c}}", "error spec.http[0].match[0].sourceLabels: invalid tag key: \"a b\""),
    ] {
        assert_eq!(with_route(&format!("match: [{matches}]")).join("\n"), finding, "{matches}");
    }
    let star = with_route("match: [{headers: {x: {regex: '*'}}}]").join("\n");
    assert!(
        star.contains(
            "\"headers\": error parsing regexp: missing argument to repetition operator: `*`; Istio uses RE2"
        ),
        "{star}"
    );
    assert!(
        with_route("match: [{headers: {'@request.auth.claims.a': {exact: b}}}]")[0]
            .contains("only supported for gateway")
    );
}

#[test]
fn tls_and_tcp_rules_are_checked() {
    let tls = |rule: &str| findings("VirtualService", &format!("hosts: ['*.a.com']\ntls: [{rule}]")).join("\n");
    let to = "route: [{destination: {host: a}}]";
    assert_eq!(tls(&format!("{{match: [{{sniHosts: [x.a.com]}}], {to}}}")), "");
    assert!(
        tls(&format!("{{match: [{{sniHosts: [b.com]}}], {to}}}"))
            .contains("SNI host \"b.com\" is not a compatible subset")
    );
    assert!(tls(&format!("{{{to}}}")).contains("TLS route must have at least one match condition"));
    assert!(tls(&format!("{{match: [{{sniHosts: [1.2.3.4]}}], {to}}}")).starts_with("warning"));
    assert!(tls("{match: [{sniHosts: [x.a.com], destinationSubnets: [a/8]}]}").contains("TLS route is required"));
    let name = "outbound_.80_.v1_.a.ns.svc.cluster.local";
    let passed = |gateways: &str| {
        let spec = format!("hosts: [{name}]\ngateways: [{gateways}]\ntls: [{{match: [{{sniHosts: [{name}]}}], {to}}}]");
        findings("VirtualService", &spec).len()
    };
    assert_eq!((passed("gw"), passed("mesh")), (0, 2));
    let tcp = findings("VirtualService", "hosts: [a]\ntcp: [{match: [{destinationSubnets: [1.2.3.4/40]}]}]").join("\n");
    assert_eq!(
        tcp,
        "error spec.tcp[0].match[0].destinationSubnets[0]: 1.2.3.4/40 is not a valid CIDR block\n\
         error spec.tcp[0]: TCP route is required"
    );
}

#[test]
fn rules_that_can_never_match_are_pointed_out() {
    let rules = |rules: &str| findings("VirtualService", &format!("hosts: [a]\nhttp:\n{rules}")).join("\n");
    let to = "route: [{destination: {host: a}}]";
    assert_eq!(
        rules(&format!("- {to}\n- match: [{{uri: {{exact: /a}}}}]\n  {to}")),
        "warning spec.http[1]: virtualService rule #1 not used (route without matches defined before)"
    );
    assert_eq!(
        rules(&format!("- {to}\n- {to}")),
        "warning spec.http[1]: virtualService rule #1 not used (only the last rule can have no matches)"
    );
    assert_eq!(
        rules(&format!(
            "- match: [{{uri: {{exact: /a}}}}]\n  {to}\n- name: r\n  match: [{{name: m, uri: {{exact: /a}}}}]\n  {to}"
        )),
        "info spec.http[1].match[0]: virtualService rule \"r\" match \"m\" is not used (duplicate/overlapping match in rule #0)\n\
         warning spec.http[1]: virtualService rule \"r\" not used (all matches used by prior rules)"
    );
    assert_eq!(
        rules(&format!("- match: [{{uri: {{prefix: /}}}}, {{uri: {{prefix: /status}}}}]\n  {to}")),
        "info spec.http[0].match[1]: virtualService rule #0 match #1 of prefix /status is not used \
         (duplicate/overlapping match in rule #0 of prefix / on #0)"
    );
    assert_eq!(rules(&format!("- match: [{{uri: {{prefix: /a}}}}, {{uri: {{prefix: /}}}}]\n  {to}")), "");
    assert_eq!(
        rules(&format!(
            "- match: [{{uri: {{prefix: /}}, headers: {{x: {{exact: a}}}}}}, {{uri: {{prefix: /a}}}}]\n  {to}"
        )),
        ""
    );
}

#[test]
fn a_delegate_has_http_rules_alone() {
    let one = |spec: &str| findings("VirtualService", spec).join("\n");
    let to = "route: [{destination: {host: a}}]";
    assert_eq!(one(&format!("http: [{{{to}}}]")), "");
    assert_eq!(
        one(&format!("tcp: [{{{to}}}]\ntls: [{{match: [{{sniHosts: [a]}}], {to}}}]")),
        "error spec.tls: delegate virtual service must have no tls route specified\n\
         error spec.tcp: delegate virtual service must have no tcp route specified\n\
         error spec.tls[0].match[0].sniHosts[0]: SNI host \"a\" is not a compatible subset of any of the virtual service hosts: []"
    );
    assert_eq!(http("delegate: {name: d}"), [""; 0]);
    assert_eq!(
        http("name: r\ndelegate: {name: d}\nroute: [{destination: {host: a}}]"),
        ["error spec.http[0].route: root HTTP route r must not specify route"]
    );
}

#[test]
fn names_of_gateways_are_checked_as_far_as_istio_goes() {
    let gateways = |names: &str| {
        let spec = format!("hosts: [a.com]\ngateways: {names}\nhttp: [{{{}}}]", TO.trim());
        findings("VirtualService", &spec).join("\n")
    };
    for (names, expected) in [
        ("[mesh, ns/gw]", ""),
        ("[/gw]", "error spec.gateways[0]: config namespace and gateway name cannot be empty"),
        ("[n_s/gw]", "error spec.gateways[0]: invalid value for namespace: \"n_s\""),
        ("[ns/g_w]", "error spec.gateways[0]: invalid value for gateway name: \"g_w\""),
        ("[./gw]", "error spec.gateways[0]: invalid value for namespace: \".\""),
        ("[g_w]", "error spec.gateways[0]: domain name \"g_w\" invalid (label \"g_w\" invalid)"),
        ("[gw, ns/g_w]", "warning spec.gateways[1]: invalid value for gateway name: \"g_w\""),
        (
            "[ns/g_w, ns/h_w]",
            "error spec.gateways[0]: invalid value for gateway name: \"g_w\"\n\
                              error spec.gateways[1]: invalid value for gateway name: \"h_w\"",
        ),
    ] {
        assert_eq!(gateways(names), expected, "{names}");
    }
}

#[test]
fn claims_are_for_gateways_alone() {
    let claims = |gateways: &str| {
        let spec = format!(
            "hosts: [a.com]\ngateways: {gateways}\nhttp:\n- match: [{{withoutHeaders: {{'@request.auth.claims.a': {{}}}}}}]\n  {TO}"
        );
        findings("VirtualService", &spec).join("\n")
    };
    assert_eq!(claims("[ns/gw]"), "");
    let message =
        "JWT claim based routing (key: @request.auth.claims.a) is only supported for gateway, found no gateways: ";
    let path = "error spec.http[0].match[0].withoutHeaders[@request.auth.claims.a]: ";
    assert_eq!(claims("[]"), format!("{path}{message}[]"));
    assert_eq!(claims("[ns/gw, mesh]"), format!("{path}{message}[ns/gw mesh]"));
}

#[test]
fn pseudo_headers_that_exist_may_be_matched() {
    assert_eq!(with_route("match: [{headers: {':method': {exact: GET}}}]"), [""; 0]);
    assert_eq!(
        with_route("match: [{headers: {':other': {exact: a}}}]"),
        ["error spec.http[0].match[0].headers[:other]: header name :other is not a valid header name"]
    );
}

#[test]
fn destinations_made_from_the_gateway_api_are_left_alone() {
    let spec = format!("hosts: [a.com]\ngateways: [ns/g_w]\nhttp: [{{{}}}]", TO.trim().replace("host: a", "host: '*'"));
    let metadata = "{name: x, namespace: ns, annotations: {internal.istio.io/route-semantics: gateway}}";
    assert!(!report("VirtualService", metadata, &spec).has_errors());
    assert!(report("VirtualService", "{name: x, namespace: ns}", &spec).has_errors());
}

#[test]
fn a_prefix_is_compared_with_every_earlier_one() {
    let matches = |matches: &str| with_route(&format!("match: [{matches}]"));
    let found = matches("{uri: {prefix: /}}, {uri: {prefix: /a}}, {uri: {prefix: /a/b}}");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[2].ends_with("(duplicate/overlapping match in rule #1 of prefix /a on #0)"), "{found:?}");
    for (earlier, later, covers) in [
        ("{uri: {prefix: ''}}", "{uri: {prefix: /a}}", false),
        ("{uri: {prefix: /}, port: 80}", "{uri: {prefix: /a}}", false),
        ("{uri: {prefix: /}, method: {exact: POST}}", "{uri: {prefix: /a}}", false),
        ("{uri: {prefix: /}, method: {exact: GET}}", "{uri: {prefix: /a}}", true),
        ("{uri: {prefix: /}, headers: {x: {exact: a}}}", "{uri: {prefix: /a}, headers: {x: {exact: a}}}", true),
        ("{uri: {prefix: /}, headers: {x: {exact: a}}}", "{uri: {prefix: /a}, headers: {y: {exact: a}}}", false),
        ("{uri: {prefix: /}, headers: {x: {exact: ab}}}", "{uri: {prefix: /a}, headers: {x: {prefix: a}}}", false),
        ("{uri: {prefix: /}, authority: {exact: b}}", "{uri: {prefix: /a}}", true),
        ("{uri: {prefix: /}}", "{uri: {prefix: /a}, authority: {exact: b}}", false),
    ] {
        assert_eq!(matches(&format!("{earlier}, {later}")).len(), usize::from(covers), "{earlier} {later}");
    }
}

#[test]
fn where_istio_sees_too_little_the_finding_says_so() {
    let spec = format!(
        "hosts: [a]\nhttp:\n- match: [{{uri: {{prefix: /}}, sourceLabels: {{app: b}}}}, {{uri: {{prefix: /a}}}}]\n  {TO}"
    );
    let report = report("VirtualService", "{name: x}", &spec);
    let finding = report.iter().next().expect("a finding");
    assert_eq!(finding.code.as_str(), "IST0131");
    assert!(finding.effect.as_deref().is_some_and(|effect| effect.starts_with("the match is used")));
}

#[test]
fn thousands_of_nested_prefixes_are_not_all_listed() {
    let prefixes: Vec<_> = (1..300).map(|length| format!("{{uri: {{prefix: /{}}}}}", "a".repeat(length))).collect();
    assert_eq!(with_route(&format!("match: [{}]", prefixes.join(", "))).len(), 1001);
}

#[test]
fn selectors_of_tls_and_tcp_matches_are_checked() {
    assert_findings(
        "VirtualService",
        &[
            (
                "hosts: [a]\ntcp: [{match: [{port: 70000, gateways: [n_s/g]}], route: [{destination: {host: a}, weight: -1}]}]",
                "error spec.tcp[0].match[0].port: port number 70000 must be in the range 1..65535\n\
                 error spec.tcp[0].match[0].gateways[0]: invalid value for namespace: \"n_s\"\n\
                 error spec.tcp[0].route[0].weight: weight -1 < 0",
            ),
            (
                "hosts: [a]\ntcp: [{match: [{sourceNamespace: a_b}], route: [{destination: {host: a}}]}]",
                "warning spec.tcp[0].match[0].sourceNamespace: sourceNamespace match a_b is invalid",
            ),
            (
                "hosts: [a]\ntls: [{match: [{}], route: [{}]}]",
                "error spec.tls[0].match[0]: TLS match must have at least one SNI host\n\
                 error spec.tls[0].route[0]: destination is required",
            ),
            (
                "hosts: [a]\ntcp: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]",
                "error spec.tcp[0].route: total destination weight = 0",
            ),
        ],
    );
}
