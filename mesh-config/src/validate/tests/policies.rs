//! AuthorizationPolicy, PeerAuthentication, RequestAuthentication, Telemetry, ProxyConfig.

use super::{assert_findings, findings};

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
            "error spec.rules[0].when[0].key: invalid policy x.ns: invalid `value` for `key` foo: unknown attribute: foo",
        ),
        (
            "AuthorizationPolicy",
            "selector: {matchLabels: {a: b}}\ntargetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: g}",
            "error spec.targetRef: only one of targetRefs or workloadSelector can be set",
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

#[test]
fn sources_and_operations_are_checked() {
    let rule = |rule: &str| {
        let found = findings("AuthorizationPolicy", &format!("rules: [{rule}]")).join("\n");
        found.replace("spec.rules[0].", "").replace("invalid policy x.ns: ", "")
    };
    for (spec, expected) in [
        ("{}", ""),
        ("{from: [{}]}", "error from[0]: `from.source` must not be nil, found at rule 0"),
        ("{from: [{source: {}}]}", "error from[0].source: `from.source` must not be empty, found at rule 0"),
        ("{to: [{}]}", "error to[0]: `to.operation` must not be nil, found at rule 0"),
        ("{to: [{operation: {}}]}", "error to[0].operation: `to.operation` must not be empty, found at rule 0"),
        (
            "{from: [{source: {principals: [''], notIpBlocks: [1.2.3.4/40, x]}}]}",
            "error from[0].source.principals[0]: empty value not allowed, found in Principals\n\
             error from[0].source.notIpBlocks[0]: bad CIDR range (1.2.3.4/40): 1.2.3.4/40 is not a valid CIDR block\n\
             error from[0].source.notIpBlocks[1]: bad IP address (x)",
        ),
        (
            "{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}",
            "error from[0].source.serviceAccounts: cannot set serviceAccounts with namespaces or principals, found at rule 0",
        ),
        (
            "{from: [{source: {serviceAccounts: [a*, '', /a]}}]}",
            "error from[0].source.serviceAccounts[0]: wildcard not allowed, found in ServiceAccounts\n\
             error from[0].source.serviceAccounts[1]: empty value not allowed, found in ServiceAccounts\n\
             error from[0].source.serviceAccounts[2]: expected format 'serviceAccount' or 'namespace/serviceAccount', \
             found empty namespace \"/a\" in ServiceAccounts",
        ),
        (
            "{from: [{source: {notServiceAccounts: [a,b,c,d,e,f,g,h,i,j,k,l,m,a,o,p,q]}}]}",
            "error from[0].source.notServiceAccounts: may not have more than 16 values",
        ),
        (
            "{from: [{source: {trustDomains: [a/b, a*b, '*a*']}}]}",
            "error from[0].source.trustDomains[0]: trust domain must not contain '/', found in TrustDomains: \"a/b\"\n\
             error from[0].source.trustDomains[1]: wildcard is only allowed at the start or end, found in TrustDomains: \"a*b\"\n\
             error from[0].source.trustDomains[2]: at most one wildcard is allowed, found in TrustDomains: \"*a*\"",
        ),
        (
            "{to: [{operation: {ports: ['80', '0', x, '70000']}}]}",
            "error to[0].operation.ports[2]: bad port (x): not a number\n\
             error to[0].operation.ports[3]: bad port (70000): not in the range 0..65535",
        ),
        (
            "{to: [{operation: {paths: ['/{**}/{*}'], notPaths: ['/{x}'], hosts: ['']}}]}",
            "error to[0].operation.hosts[0]: empty value not allowed, found in Hosts\n\
             error to[0].operation.paths[0]: invalid or unsupported path {**}/{*}, found in Paths. {**} is not the last operator\n\
             error to[0].operation.notPaths[0]: invalid or unsupported path {x}, found in NotPaths. Contains '{' or '}' beyond a \
             supported path template",
        ),
        ("{when: [{key: ''}]}", "error when[0]: `key` must not be empty"),
        (
            "{when: [{key: source.ip}]}",
            "error when[0]: at least one of `values` or `notValues` must be set for key source.ip",
        ),
        (
            "{when: [{key: destination.port, values: ['80'], notValues: ['']}]}",
            "error when[0].notValues[0]: invalid `notValue` for `key` destination.port: empty value not allowed, found in \
             destination.port",
        ),
    ] {
        assert_eq!(rule(spec), expected, "{spec}");
    }
}

#[test]
fn actions_have_what_they_need() {
    let policy = |spec: &str| findings("AuthorizationPolicy", spec).join("\n").replace("invalid policy x.ns: ", "");
    for (spec, expected) in [
        ("{}", ""),
        ("action: AUDIT", ""),
        ("action: CUSTOM\nrules: [{}]", "error spec.provider: `provider.name` must not be empty"),
        (
            "provider: {name: p}\nrules: [{}]",
            "error spec.provider: `provider` must not be with non CUSTOM action, found ALLOW",
        ),
        (
            "action: CUSTOM\nprovider: {name: p}\nrules: [{from: [{source: {notNamespaces: [a]}}], when: \
             [{key: 'request.auth.claims[a]', values: [b]}]}]",
            "error spec.rules[0].from[0].source.notNamespaces: From.NotNamespaces is currently not supported with CUSTOM action\n\
             error spec.rules[0].when[0].key: request.auth.claims[a] is currently not supported with CUSTOM action",
        ),
    ] {
        assert_eq!(policy(spec), expected, "{spec}");
    }
}

#[test]
fn a_deny_rule_of_http_conditions_alone_closes_tcp_ports() {
    let warns = |rule: &str| {
        let found = findings("AuthorizationPolicy", &format!("action: DENY\nrules: [{rule}]"));
        found.iter().any(|finding| finding.contains("will deny all traffic to TCP ports"))
    };
    for (rule, expected) in [
        ("{to: [{operation: {methods: [GET]}}]}", true),
        ("{to: [{operation: {methods: [GET], ports: ['80']}}]}", false),
        ("{to: [{operation: {paths: [/a]}}], from: [{source: {namespaces: [a]}}]}", true),
        ("{from: [{source: {requestPrincipals: ['*']}}]}", true),
        ("{from: [{source: {requestPrincipals: ['*'], namespaces: [a]}}]}", false),
        ("{from: [{source: {notServiceAccounts: [a]}}]}", false),
        ("{}", false),
    ] {
        assert_eq!(warns(rule), expected, "{rule}");
    }
}

#[test]
fn targets_and_selectors_exclude_each_other() {
    assert_findings(
        "AuthorizationPolicy",
        &[
            ("targetRefs: [{kind: Service, name: a}]", ""),
            ("targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: a}]", ""),
            (
                "targetRefs: [{kind: Pod, namespace: b}]",
                "error spec.targetRefs[0].name: targetRef name must be set\n\
                 error spec.targetRefs[0].namespace: targetRef namespace must not be set; cross namespace referencing is not supported\n\
                 error spec.targetRefs[0]: targetRef must be to one of [gateway.networking.k8s.io/GatewayClass \
                 gateway.networking.k8s.io/Gateway /Service networking.istio.io/ServiceEntry] but was /Pod",
            ),
            (
                "targetRef: {kind: Service, name: a}\ntargetRefs: [{kind: Service, name: a}]",
                "error spec.targetRefs: only one of targetRefs or workloadSelector can be set",
            ),
            ("selector: {}", "warning spec.selector.matchLabels: workload selector specified without labels"),
        ],
    );
}

#[test]
fn peer_authentications_are_checked() {
    assert_findings(
        "PeerAuthentication",
        &[
            ("mtls: {mode: STRICT}", ""),
            (
                "selector: {matchLabels: {}}\nportLevelMtls: {80: {mode: STRICT}}",
                "error spec.portLevelMtls: mesh/namespace peer authentication cannot have port level mTLS\n\
                 warning spec.selector.matchLabels: workload selector specified without labels",
            ),
            (
                "selector: {matchLabels: {a: b}}\nportLevelMtls: {0: {}, 70000: {}}",
                "error spec.portLevelMtls[0]: port must be in range 1..65535\n\
                 error spec.portLevelMtls[70000]: port must be in range 1..65535",
            ),
            (
                "selector: {matchLabels: {a: b}}\nportLevelMtls: {}",
                "error spec.portLevelMtls: port level mTLS, if defined, must have at least one element",
            ),
        ],
    );
}

#[test]
fn request_authentications_are_checked() {
    let rule = |rule: &str| {
        findings("RequestAuthentication", &format!("jwtRules: [{rule}]")).join("\n").replace("spec.jwtRules[0]", "rule")
    };
    for (spec, expected) in [
        ("{issuer: a}", ""),
        ("{jwksUri: 'https://a/keys'}", ""),
        (
            "{issuer: a, audiences: [''], fromHeaders: [{}], fromParams: [''], fromCookies: ['']}",
            "error rule.audiences[0]: audience must be non-empty string\n\
             error rule.fromHeaders[0]: location header name must be non-empty string\n\
             error rule.fromParams[0]: location query must be non-empty string\n\
             error rule.fromCookies[0]: cookie name must be non-empty string",
        ),
        ("{issuer: a, timeout: 0s}", "error rule.timeout: duration must be greater than 1ms"),
        (
            "{issuer: a, outputClaimToHeaders: [{claim: b}, {header: 'a b', claim: c}]}",
            "error rule.outputClaimToHeaders[0]: outputClaimToHeaders header and claim value must be non-empty string\n\
             error rule.outputClaimToHeaders[1].header: header name a b is not a valid header name",
        ),
        (
            "{issuer: a, jwksUri: 'https://a:70000'}",
            "warning rule.jwksUri: port number 70000 must be in the range 1..65535",
        ),
        ("{issuer: a, jwks: '{}'}", "error rule.jwks: jwks parse error: no list of keys"),
        (
            "{issuer: a, jwks: '{\"keys\": [{\"kty\": \"RSA\", \"n\": \"AQAB\", \"e\": \"AQAB\", \"d\": \"AQAB\"}]}'}",
            "warning rule.jwks: jwks key at index 0 contains private key material; only public keys are used for verification",
        ),
    ] {
        assert_eq!(rule(spec), expected, "{spec}");
    }
}

#[test]
fn telemetries_are_checked() {
    assert_findings(
        "Telemetry",
        &[
            ("accessLogging: [{filter: {expression: response.code >= 400}}]", ""),
            (
                "accessLogging: [{filter: {expression: response.code >=}, providers: [{}]}]",
                "error spec.accessLogging[0].providers[0]: providers.name may not be empty\n\
                 error spec.accessLogging[0].filter.expression: must be a valid CEL expression, column 17: expected an expression, \
                 found the end",
            ),
            (
                "tracing: [{providers: [{name: a}, {name: b}]}, {}]",
                "warning spec.tracing: multiple tracing is not currently supported\n\
                 warning spec.tracing[0].providers: multiple providers is not currently supported",
            ),
            (
                "tracing: [{customTags: {a: {}, b: {literal: {}}, c: {header: {}}, d: {environment: {}}}}]",
                "error spec.tracing[0].customTags[a]: tag 'a' may not have a nil value\n\
                 error spec.tracing[0].customTags[b].literal: literal tag value may not be empty\n\
                 error spec.tracing[0].customTags[c].header: header tag name may not be empty\n\
                 error spec.tracing[0].customTags[d].environment: environment tag name may not be empty",
            ),
            (
                "metrics: [{overrides: [{match: {customMetric: ''}, tagOverrides: {a: {}, b: {operation: REMOVE, value: x}}}]}]",
                "error spec.metrics[0].overrides[0].match.customMetric: customMetric may not be empty\n\
                 error spec.metrics[0].overrides[0].tagOverrides[a]: tagOverrides.value must be set when operation is UPSERT\n\
                 error spec.metrics[0].overrides[0].tagOverrides[b].value: tagOverrides.value may only be set when operation is UPSERT",
            ),
        ],
    );
}
