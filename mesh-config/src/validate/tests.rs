//! Rules by example: a spec, and the findings it gives.

use crate::document::{ParseOptions, parse, parse_with};
use crate::set::ConfigSet;

/// The findings for a spec, as `level path: message`.
fn findings(kind: &str, spec: &str) -> Vec<String> {
    let group = match kind {
        "AuthorizationPolicy" | "PeerAuthentication" | "RequestAuthentication" => "security.istio.io/v1",
        "Telemetry" => "telemetry.istio.io/v1",
        "ProxyConfig" => "networking.istio.io/v1beta1",
        _ => "networking.istio.io/v1",
    };
    let spec = spec.trim_end().replace('\n', "\n  ");
    let text = format!("apiVersion: {group}\nkind: {kind}\nmetadata: {{name: x, namespace: ns}}\nspec:\n  {spec}\n");
    let (documents, report) = parse_with("f", &text, &ParseOptions::default().crd_rules(false));
    assert!(report.is_empty(), "{report}{text}");
    let (set, _) = ConfigSet::from_documents(documents);
    let report = set.validate();
    assert!(report.iter().all(|finding| finding.origin.line > 0), "{report}");
    report.iter().map(|finding| format!("{} {}: {}", finding.severity, finding.path, finding.message)).collect()
}

fn http(route: &str) -> Vec<String> {
    findings("VirtualService", &format!("hosts: [a]\nhttp:\n- {}", route.trim().replace('\n', "\n  ")))
}

const TO: &str = "route: [{destination: {host: a}}]\n";

fn with_route(rest: &str) -> Vec<String> {
    http(&format!("{TO}{rest}"))
}

fn policy(policy: &str) -> Vec<String> {
    findings("DestinationRule", &format!("host: a\ntrafficPolicy: {policy}"))
}

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
fn actions_are_checked() {
    for (action, finding) in [
        ("timeout: 0s", "error spec.http[0].timeout: duration must be greater than 1ms"),
        ("timeout: 1ms", ""),
        ("timeout: 1500us", "error spec.http[0].timeout: only durations to ms precision are supported"),
        ("retries: {attempts: -1}", "error spec.http[0].retries.attempts: attempts cannot be negative"),
        (
            "retries: {attempts: 0, retryOn: 5xx}",
            "error spec.http[0].retries: http retry policy configured when attempts are set to 0 (disabled)",
        ),
        (
            "retries: {attempts: 1, retryOn: '5xx, 503'}",
            "error spec.http[0].retries.retryOn: \" 503\" is not a valid retryOn policy",
        ),
        (
            "rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}}",
            "error spec.http[0].rewrite.uriRegexRewrite: rewrite may only contain one of URI or UriRegexRewrite",
        ),
        (
            "rewrite: {uriRegexRewrite: {match: a}}",
            "error spec.http[0].rewrite.uriRegexRewrite: UriRegexRewrite requires both Rewrite and Match fields to be specified",
        ),
        ("fault: {}", "error spec.http[0].fault: HTTP fault injection must have an abort and/or a delay"),
        ("fault: {abort: {httpStatus: 600}}", ""),
        (
            "fault: {abort: {httpStatus: 601}}",
            "error spec.http[0].fault.abort.httpStatus: HTTP status 601 is not in range 200-599",
        ),
        (
            "fault: {abort: {percentage: {value: 0.00001}, httpStatus: 500}}",
            "error spec.http[0].fault.abort.percentage: percentage 0.00001 is neither 0.0, nor in range [0.0001, 100.0]",
        ),
        ("fault: {abort: {}}", "warning spec.http[0].fault.abort: abort configured, but error type not set"),
        (
            "mirrorPercent: 10",
            "warning spec.http[0].mirrorPercent: using deprecated setting \"mirrorPercent\", use \"mirrorPercentage\" instead",
        ),
        (
            "mirrorPercentage: {value: 100.5}",
            "error spec.http[0].mirrorPercentage: mirror_percentage must have a max value of 100 (it has 100.500000)",
        ),
        ("mirrors: [{}]", "error spec.http[0].mirrors[0]: destination is required for mirrors"),
        (
            "corsPolicy: {allowOrigins: [{exact: ''}]}",
            "error spec.http[0].corsPolicy.allowOrigins[0]: '' is not a valid match type for CORS allow origins",
        ),
        (
            "corsPolicy: {allowMethods: [get]}",
            "error spec.http[0].corsPolicy.allowMethods[0]: \"get\" is not a supported HTTP method",
        ),
        (
            "corsPolicy: {maxAge: 1500ms}",
            "error spec.http[0].corsPolicy.maxAge: max_age duration is accurate only to seconds precision",
        ),
        (
            "headers: {request: {set: {':path': x}}}",
            "error spec.http[0].headers.request.set[:path]: invalid header \":path\": header cannot have \":\" prefix",
        ),
        (
            "headers: {response: {remove: [Host]}}",
            "error spec.http[0].headers.response.remove[0]: invalid header \"Host\": cannot set Host header",
        ),
        (
            "headers: {request: {set: {Host: a}}}\nrewrite: {authority: b}",
            "error spec.http[0].headers.request.set[Host]: authority header cannot be set multiple times: have \"b\", attempting to set \"a\"",
        ),
    ] {
        assert_eq!(with_route(action).join("\n"), finding, "{action}");
    }
}

#[test]
fn redirects_and_direct_responses_are_checked() {
    for (action, finding) in [
        ("redirect: {}", "error spec.http[0].redirect: redirect must specify URI, authority, scheme, or port"),
        (
            "redirect: {uri: /a, prefixRewrite: /b}",
            "error spec.http[0].redirect.prefixRewrite: redirect may only specify one of uri or prefix_rewrite",
        ),
        (
            "match: [{uri: {exact: /a}}]\nredirect: {prefixRewrite: /b}",
            "error spec.http[0].redirect.prefixRewrite: redirect prefix_rewrite requires all URI matches to use prefix match type",
        ),
        (
            "redirect: {uri: /a, redirectCode: 200}",
            "error spec.http[0].redirect.redirectCode: 200 is not a valid redirect code, must be 3xx",
        ),
        (
            "redirect: {scheme: ftp}",
            "error spec.http[0].redirect.scheme: invalid redirect scheme, must be \"http\" or \"https\"",
        ),
        (
            "directResponse: {status: 199}",
            "error spec.http[0].directResponse.status: HTTP status 199 is not in range 200-599",
        ),
    ] {
        assert_eq!(http(action).join("\n"), finding, "{action}");
    }
    let body = "x".repeat((100 << 10) + 1);
    assert!(http(&format!("directResponse: {{status: 200, body: {{string: {body}}}}}"))[0].starts_with("warning"));
    let body = "x".repeat((1 << 20) + 1);
    assert!(
        http(&format!("directResponse: {{status: 200, body: {{string: {body}}}}}"))[0]
            .ends_with("must be less than 1MB")
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
fn traffic_policies_are_checked() {
    for (spec, finding) in [
        ("{}", "error spec.trafficPolicy: traffic policy must have at least one field"),
        (
            "{connectionPool: {}}",
            "error spec.trafficPolicy.connectionPool: connection pool must have at least one field",
        ),
        (
            "{connectionPool: {http: {maxRetries: -1}}}",
            "error spec.trafficPolicy.connectionPool.http.maxRetries: max retries must be non-negative",
        ),
        (
            "{connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}",
            "error spec.trafficPolicy.connectionPool.http.useClientProtocol: use client protocol must not be true when H2UpgradePolicy is UPGRADE",
        ),
        (
            "{outlierDetection: {maxEjectionPercent: 101}}",
            "error spec.trafficPolicy.outlierDetection.maxEjectionPercent: percentage 101 is not in range 0..100",
        ),
        (
            "{outlierDetection: {consecutiveErrors: 3}}",
            "warning spec.trafficPolicy.outlierDetection.consecutiveErrors: outlier detection consecutive errors is deprecated, use consecutiveGatewayErrors or consecutive5xxErrors instead",
        ),
        (
            "{outlierDetection: {consecutiveLocalOriginFailures: 3}}",
            "error spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures: outlier detection consecutive local origin failures is specified, but split external local origin errors is set to false",
        ),
        (
            "{loadBalancer: {consistentHash: {maglev: {tableSize: 10}}}}",
            "error spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: tableSize must be a prime number for maglev",
        ),
        (
            "{loadBalancer: {localityLbSetting: {failover: [{from: a, to: a}]}}, outlierDetection: {interval: 1s}}",
            "error spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0]: locality lb failover settings must specify different regions",
        ),
        (
            "{loadBalancer: {localityLbSetting: {distribute: [{from: a/b/c, to: {a/b/c: 90}}]}}}",
            "error spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to: total locality weight 90 != 100",
        ),
        (
            "{tls: {mode: MUTUAL, clientCertificate: a}}",
            "error spec.trafficPolicy.tls: private key required for mutual tls",
        ),
        (
            "{portLevelSettings: [{port: {number: 80}}]}",
            "error spec.trafficPolicy.portLevelSettings[0]: port traffic policy must have at least one field",
        ),
        (
            "{tunnel: {targetHost: a.b, targetPort: 1, protocol: PUT}}",
            "error spec.trafficPolicy.tunnel.protocol: tunnel protocol must be \"CONNECT\" or \"POST\"",
        ),
    ] {
        assert_eq!(policy(spec).join("\n"), finding, "{spec}");
    }
}

#[test]
fn warnings_about_nested_policies_have_a_code_of_their_own() {
    let code = |policy: &str| {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: x}}\nspec: {{host: a, {policy}}}"
        );
        let (set, _) = ConfigSet::from_documents(parse("f", &text).0);
        set.validate().iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>()
    };
    let outlier = "trafficPolicy: {outlierDetection: {consecutiveErrors: 1}}";
    assert_eq!(code(outlier), ["IST0133"]);
    assert_eq!(code(&format!("subsets: [{{name: v1, {outlier}}}]")), ["MESH0502"]);
}

#[test]
fn destination_rules_have_hosts_and_distinct_subsets() {
    assert_eq!(findings("DestinationRule", "subsets: []"), ["error spec.host: empty domain name not allowed"]);
    assert_eq!(
        findings("DestinationRule", "host: a\nsubsets: [{name: v1}, {name: v1}]"),
        ["error spec.subsets[1].name: duplicate subset names: v1"]
    );
    assert_eq!(
        findings("DestinationRule", "host: a\nexportTo: ['.', ns]"),
        ["error spec.exportTo[1]: duplicate entries in exportTo for entry ns"]
    );
    assert_eq!(
        findings("DestinationRule", "host: a\nworkloadSelector: {matchLabels: {app: x}}\nexportTo: ['*']"),
        ["error spec.exportTo: destination rule with workload selector cannot have exportTo beyond current namespace"]
    );
}

#[test]
fn service_entries_are_checked_by_their_resolution() {
    let entry = |rest: &str| {
        findings("ServiceEntry", &format!("ports: [{{number: 80, name: http, protocol: HTTP}}]\n{rest}")).join("\n")
    };
    for (rest, finding) in [
        ("hosts: [a.com]\nresolution: DNS", ""),
        ("resolution: DNS", "error spec: service entry must have at least one host"),
        ("hosts: ['*']", "error spec.hosts[0]: invalid host *"),
        (
            "hosts: [a.com]\nendpoints: [{address: 1.2.3.4}]",
            "error spec.endpoints: no endpoints should be provided for resolution type none",
        ),
        (
            "hosts: [a.com]\nresolution: STATIC\nendpoints: [{address: b.com}]",
            "error spec.endpoints[0].address: endpoint address \"b.com\" is not a valid IP address",
        ),
        (
            "hosts: [a.com]\nresolution: DNS\naddresses: [1.2.3.0/24]",
            "error spec.addresses[0]: CIDR addresses are allowed only for NONE/STATIC resolution types",
        ),
        (
            "hosts: ['*.a.com']\nresolution: DNS",
            "error spec.hosts[0]: hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode DNS, domain name \"*.a.com\" invalid (label \"*\" invalid)",
        ),
        (
            "hosts: [a.com]\nresolution: STATIC\nendpoints: [{address: 1.2.3.4, ports: {grpc: 1}}]",
            "error spec.endpoints[0].ports[grpc]: endpoint port grpc is not defined by the service entry",
        ),
        (
            "hosts: [a.com]\nresolution: STATIC\nendpoints: [{address: 'unix:///a', ports: {http: 1}}]",
            "error spec.endpoints[0].ports: unix endpoint unix:///a must not include ports",
        ),
        (
            "hosts: [a.com]\nresolution: DNS_ROUND_ROBIN\nendpoints: [{address: b.com}, {address: c.com}]",
            "error spec.endpoints: there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN",
        ),
        (
            "hosts: [a.com]\nresolution: DYNAMIC_DNS",
            "error spec.hosts[0]: hosts must be wildcards for resolution mode DYNAMIC_DNS, found \"a.com\"",
        ),
        (
            "hosts: [a.com]\nexportTo: ['~', ns]",
            "error spec.exportTo: cannot export service entry to no one (~) and someone",
        ),
    ] {
        assert_eq!(entry(rest), finding, "{rest}");
    }
    assert_eq!(
        findings("ServiceEntry", "hosts: [a.com, b.com]\nresolution: DNS\nports: [{number: 80, name: a}, {number: 80, name: a}]\naddresses: [1.1.1.1]")
            .join("\n"),
        "error spec.ports[1].name: service entry port name \"a\" already defined\n\
         error spec.ports[1].number: service entry port 80 already defined\n\
         error spec.hosts: multiple hosts provided with non-HTTP, non-TLS ports"
    );
}

#[test]
fn gateways_are_checked() {
    let server = |server: &str| findings("Gateway", &format!("servers: [{server}]")).join("\n");
    for (spec, finding) in [
        ("{hosts: [a.com], port: {number: 80, name: http, protocol: HTTP}}", ""),
        ("{hosts: [a.com], port: {number: 80, name: http, protocol: HTTP}, tls: {httpsRedirect: true}}", ""),
        (
            "{port: {number: 80, name: http, protocol: HTTP}}",
            "error spec.servers[0]: server config must contain at least one host",
        ),
        ("{hosts: [a.com]}", "error spec.servers[0]: port is required"),
        (
            "{hosts: [a.com], port: {number: 443, name: https, protocol: HTTPS}}",
            "error spec.servers[0]: server must have TLS settings for HTTPS/TLS protocols",
        ),
        (
            "{hosts: [a.com], port: {number: 80, name: http, protocol: HTTP}, tls: {mode: SIMPLE, credentialName: c}}",
            "error spec.servers[0].tls: server cannot have TLS settings for plain text HTTP ports",
        ),
        (
            "{hosts: ['*a.com'], port: {number: 80, name: http, protocol: HTTP}}",
            "error spec.servers[0].hosts[0]: partial wildcard \"*a.com\" not allowed",
        ),
        (
            "{hosts: [a.com], port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE}}",
            "error spec.servers[0].tls: SIMPLE TLS requires a server certificate\nerror spec.servers[0].tls: SIMPLE TLS requires a private key",
        ),
        (
            "{hosts: [a.com], port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: ISTIO_MUTUAL, credentialName: c}}",
            "error spec.servers[0].tls.credentialName: ISTIO_MUTUAL TLS cannot have associated credentialName",
        ),
        (
            "{hosts: [a.com], port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: c, serverCertificate: s, privateKey: p}}",
            "error spec.servers[0].tls: only one of credential_name, credential_names, server_certificate/private_key, tls_certificates should be specified",
        ),
    ] {
        assert_eq!(server(spec), finding, "{spec}");
    }
    assert_eq!(findings("Gateway", "servers: []"), ["error spec: gateway must have at least one server"]);
}

#[test]
fn sidecars_are_checked() {
    for (spec, finding) in [
        ("egress: [{hosts: ['./*', istio-system/*]}]", ""),
        ("ingress: []", "error spec: sidecar: empty configuration provided"),
        ("egress: [{}]", "error spec.egress[0]: sidecar: egress listener must contain at least one host"),
        ("egress: [{hosts: [a]}]", "error spec.egress[0].hosts[0]: host must be of form namespace/dnsName"),
        (
            "egress: [{hosts: ['*/*']}, {hosts: ['*/*']}]",
            "error spec.egress[0]: sidecar: the egress listener with empty port should be the last listener in the list",
        ),
        (
            "ingress: [{defaultEndpoint: '127.0.0.1:80'}]",
            "error spec.ingress[0]: sidecar: port is required for ingress listeners",
        ),
        (
            "outboundTrafficPolicy: {egressProxy: {host: a.com}}",
            "error spec.outboundTrafficPolicy.egressProxy: sidecar: egress_proxy must be set only with ALLOW_ANY outbound_traffic_policy mode",
        ),
    ] {
        assert_eq!(findings("Sidecar", spec).join("\n"), finding, "{spec}");
    }
}

#[test]
fn security_policies_are_checked() {
    for (kind, spec, finding) in [
        (
            "PeerAuthentication",
            "portLevelMtls: {8080: {mode: STRICT}}",
            "error spec.portLevelMtls: mesh/namespace peer authentication cannot have port level mTLS",
        ),
        ("PeerAuthentication", "selector: {matchLabels: {app: a}}\nportLevelMtls: {'8080': {mode: STRICT}}", ""),
        (
            "AuthorizationPolicy",
            "action: DENY",
            "error spec: invalid policy x.ns: DENY action without `rules` is meaningless as it will never be triggered, add an empty rule `{}` if you want it be triggered for every request",
        ),
        (
            "AuthorizationPolicy",
            "rules: [{from: [{source: {ipBlocks: [x]}}]}]",
            "error spec.rules[0].from[0].source.ipBlocks[0]: invalid policy x.ns: bad IP address (x)",
        ),
        (
            "AuthorizationPolicy",
            "rules: [{when: [{key: foo, values: [a]}]}]",
            "error spec.rules[0].when[0].key: invalid policy x.ns: unknown attribute: foo",
        ),
        (
            "AuthorizationPolicy",
            "selector: {matchLabels: {a: b}}\ntargetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: g}",
            "error spec.selector: only one of targetRefs or workloadSelector can be set",
        ),
        (
            "RequestAuthentication",
            "jwtRules: [{}]",
            "error spec.jwtRules[0]: issuer or jwksUri must be non-empty string",
        ),
        (
            "RequestAuthentication",
            "jwtRules: [{issuer: a, jwksUri: 'ftp://x'}]",
            "error spec.jwtRules[0].jwksUri: URI scheme \"ftp\" is not supported",
        ),
        (
            "Telemetry",
            "tracing: [{randomSamplingPercentage: 101}]",
            "error spec.tracing[0].randomSamplingPercentage: randomSamplingPercentage must be in range [0.0, 100.0]",
        ),
        ("ProxyConfig", "concurrency: -1", "error spec.concurrency: concurrency must be greater than or equal to 0"),
        ("WorkloadGroup", "metadata: {}", "error spec: template is required"),
        ("WorkloadEntry", "ports: {http: 80}", "error spec: address is required"),
        ("WorkloadEntry", "network: net", "warning spec: address is unset with network \"net\""),
    ] {
        assert_eq!(findings(kind, spec).join("\n"), finding, "{kind} {spec}");
    }
}
