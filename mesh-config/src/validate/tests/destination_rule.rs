//! DestinationRule.

use super::{assert_findings, assert_policies, findings, policy, report};

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
        let report = report("DestinationRule", "{name: x}", &format!("host: a\n{policy}"));
        report.iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>()
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
fn pools_take_durations_and_counts() {
    assert_policies(&[
        ("{connectionPool: {tcp: {idleTimeout: 0s}}}", ""),
        ("{connectionPool: {tcp: {idleTimeout: 500us}}}", ""),
        (
            "{connectionPool: {tcp: {idleTimeout: 1500us}}}",
            "error spec.trafficPolicy.connectionPool.tcp.idleTimeout: only durations to ms precision are supported",
        ),
        (
            "{connectionPool: {tcp: {idleTimeout: -5s}}}",
            "error spec.trafficPolicy.connectionPool.tcp.idleTimeout: duration must be greater than 1ms",
        ),
        (
            "{connectionPool: {tcp: {maxConnections: -1, connectTimeout: 0s, maxConnectionDuration: 0s}}}",
            "error spec.trafficPolicy.connectionPool.tcp.maxConnections: max connections must be non-negative\n\
             error spec.trafficPolicy.connectionPool.tcp.connectTimeout: duration must be greater than 1ms\n\
             error spec.trafficPolicy.connectionPool.tcp.maxConnectionDuration: duration must be greater than 1ms",
        ),
        (
            "{connectionPool: {tcp: {tcpKeepalive: {time: 0s, interval: 100us}}}}",
            "error spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time: duration must be greater than 1ms\n\
             error spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.interval: duration must be greater than 1ms",
        ),
        (
            "{connectionPool: {http: {http1MaxPendingRequests: -1, http2MaxRequests: -1, maxRequestsPerConnection: -1, \
             maxConcurrentStreams: -1, idleTimeout: 0s}}}",
            "error spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests: http1 max pending requests must be non-negative\n\
             error spec.trafficPolicy.connectionPool.http.http2MaxRequests: http2 max requests must be non-negative\n\
             error spec.trafficPolicy.connectionPool.http.maxRequestsPerConnection: max requests per connection must be non-negative\n\
             error spec.trafficPolicy.connectionPool.http.maxConcurrentStreams: max concurrent streams must be non-negative\n\
             error spec.trafficPolicy.connectionPool.http.idleTimeout: duration must be greater than 1ms",
        ),
        (
            "{connectionPool: {http: {http2KeepAlive: {}}}}",
            "error spec.trafficPolicy.connectionPool.http.http2KeepAlive: http2 keepalive interval is required\n\
             error spec.trafficPolicy.connectionPool.http.http2KeepAlive: http2 keepalive timeout is required",
        ),
    ]);
}

#[test]
fn hashes_have_one_key_and_a_table_that_fits() {
    assert_policies(&[
        (
            "{loadBalancer: {consistentHash: {httpCookie: {ttl: 0s}}}}",
            "error spec.trafficPolicy.loadBalancer.consistentHash.httpCookie: name required for HttpCookie",
        ),
        (
            "{loadBalancer: {consistentHash: {httpCookie: {name: c, attributes: [{}, {name: a}, {name: a}]}}}}",
            "error spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[0]: cookie attribute name cannot be empty\n\
             error spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[2].name: duplicate cookie attribute name: a",
        ),
        (
            "{loadBalancer: {consistentHash: {httpHeaderName: x, minimumRingSize: 10, ringHash: {}}}}",
            "warning spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize: consistent hash MinimumRingSize is deprecated, \
             use ConsistentHashLB's RingHash configuration instead\n\
             error spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize: only one of MinimumRingSize or Maglev/Ringhash \
             can be specified",
        ),
        (
            "{loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {}}}}",
            "error spec.trafficPolicy.loadBalancer.consistentHash.maglev: tableSize must be set for maglev",
        ),
        (
            "{loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {tableSize: 5000011}}}}",
            "error spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: tableSize must be less than 5000011 for maglev",
        ),
        (
            "{loadBalancer: {warmup: {minimumPercent: 101, aggression: 0}}}",
            "error spec.trafficPolicy.loadBalancer.warmup: duration is required\n\
             error spec.trafficPolicy.loadBalancer.warmup.minimumPercent: minimumPercent value should be less than or equal to 100\n\
             error spec.trafficPolicy.loadBalancer.warmup.aggression: aggression should be greater than 0",
        ),
        (
            "{loadBalancer: {localityLbSetting: {}, zoneAwareLbSetting: {}}}",
            "error spec.trafficPolicy.loadBalancer.zoneAwareLbSetting: only one of localityLbSetting and zoneAwareLbSetting can be set",
        ),
    ]);
}

#[test]
fn localities_are_checked() {
    let locality = |setting: &str| {
        policy(&format!("{{outlierDetection: {{}}, loadBalancer: {{localityLbSetting: {setting}}}}}")).join("\n")
    };
    for (setting, expected) in [
        ("{distribute: [{from: a/b/c, to: {a: 100}}, {from: '*', to: {b: 100}}]}", ""),
        (
            "{distribute: [{from: '*', to: {a: 100}}, {from: a, to: {b: 100}}]}",
            "error distribute[1].from: locality a overlap with previous specified ones",
        ),
        (
            "{distribute: [{from: a, to: {a: 0, b: 100}}, {from: b, to: {'a/*': 50, a/b: 40}}]}",
            "error distribute[0].to[a]: locality weight must be in range [1, 100]\n\
             error distribute[1].to: total locality weight 90 != 100\n\
             error distribute[1].to: locality a/b overlap with previous specified ones",
        ),
        (
            "{distribute: [{from: a, to: {b: 100}}], failover: [{from: a, to: b}]}",
            "error : can not simultaneously specify 'distribute' and 'failover'",
        ),
        (
            "{failover: [{from: a/b, to: c}, {from: a, to: '*'}]}",
            "error failover[0]: locality lb failover only specify region\n\
             error failover[1]: locality lb failover region should not contain '*' wildcard",
        ),
        (
            "{failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/region]}",
            "error failoverPriority[0]: can not simultaneously set 'failover' and topology label 'topology.kubernetes.io/region' \
             in 'failover_priority'",
        ),
        ("{failoverPriority: [topology.kubernetes.io/region]}", ""),
    ] {
        let found = locality(setting)
            .replace("spec.trafficPolicy.loadBalancer.localityLbSetting", "")
            .replace("error .", "error ");
        assert_eq!(found, expected, "{setting}");
    }
}

#[test]
fn failover_needs_outlier_detection_and_zones_their_own_labels() {
    assert_policies(&[
        (
            "{loadBalancer: {localityLbSetting: {failoverPriority: [version]}}}",
            "warning spec.trafficPolicy.loadBalancer.localityLbSetting: outlier detection policy must be provided for failover",
        ),
        (
            "{loadBalancer: {zoneAwareLbSetting: {failover: [{from: a, to: b}]}}}",
            "warning spec.trafficPolicy.loadBalancer.zoneAwareLbSetting: outlier detection policy must be provided for failover",
        ),
        (
            "{outlierDetection: {}, loadBalancer: {zoneAwareLbSetting: {failoverPriority: [topology.kubernetes.io/zone]}}}",
            "error spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.failoverPriority[0]: topology label \
             'topology.kubernetes.io/zone' is not supported in 'failover_priority' of zoneAwareLbSetting",
        ),
        (
            "{outlierDetection: {}, loadBalancer: {zoneAwareLbSetting: {enabled: true, failoverPriority: [version]}}}",
            "",
        ),
    ]);
}

#[test]
fn tls_of_clients_is_checked() {
    assert_policies(&[
        ("{tls: {mode: SIMPLE, credentialName: c}}", ""),
        (
            "{tls: {mode: MUTUAL, credentialName: c, caCrl: x}}",
            "error spec.trafficPolicy.tls: cannot specify client certificates or CA certificate or CA CRL If credentialName is set",
        ),
        (
            "{tls: {mode: MUTUAL}}",
            "error spec.trafficPolicy.tls: client certificate required for mutual tls\n\
             error spec.trafficPolicy.tls: private key required for mutual tls",
        ),
        (
            "{tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}}",
            "error spec.trafficPolicy.tls: cannot specify CaCertificates or CredentialName or SubjectAltNames when \
             InsecureSkipVerify is set true",
        ),
        (
            "{tls: {mode: MUTUAL, insecureSkipVerify: true, caCertificates: a, clientCertificate: b, privateKey: c}}",
            "error spec.trafficPolicy.tls: cannot specify CaCertificates or SubjectAltNames when InsecureSkipVerify is set true",
        ),
        ("{tls: {mode: DISABLE, insecureSkipVerify: true, caCertificates: a}}", ""),
        ("{tls: {mode: SIMPLE, credentialName: 'configmap://ns/c'}}", ""),
        (
            "{tls: {mode: SIMPLE, credentialName: 'configmap://other/c'}}",
            "error spec.trafficPolicy.tls.credentialName: invalid configmap:// credentialName: namespace must match the \
             configuration namespace \"ns\"",
        ),
    ]);
}

#[test]
fn policies_of_ports_tunnels_and_budgets_are_checked() {
    assert_policies(&[
        (
            "{portLevelSettings: [{tls: {mode: DISABLE}}]}",
            "error spec.trafficPolicy.portLevelSettings[0]: portTrafficPolicy must have valid port",
        ),
        (
            "{portLevelSettings: [{port: {number: 70000}, tls: {mode: DISABLE}}]}",
            "warning spec.trafficPolicy.portLevelSettings[0].port.number: port number 70000 must be in the range 1..65535",
        ),
        (
            "{tunnel: {targetHost: 'a b', targetPort: 0}}",
            "error spec.trafficPolicy.tunnel.targetHost: tunnel target host must be valid FQDN or IP address: \
             domain name \"a b\" invalid (label \"a b\" invalid); a b is not a valid IP\n\
             error spec.trafficPolicy.tunnel.targetPort: tunnel target port is invalid: port number 0 must be in the range 1..65535",
        ),
        (
            "{tunnel: {targetHost: a.b, targetPort: 1}, proxyProtocol: {version: V2}}",
            "error spec.trafficPolicy.tunnel: tunnel and proxyProtocol must not be set together",
        ),
        (
            "{retryBudget: {percent: 101}}",
            "error spec.trafficPolicy.retryBudget.percent: percentage 101 is not in range 0..100",
        ),
        (
            "{outlierDetection: {interval: 0s, baseEjectionTime: 0s, minHealthPercent: -1}}",
            "error spec.trafficPolicy.outlierDetection.interval: duration must be greater than 1ms\n\
             error spec.trafficPolicy.outlierDetection.baseEjectionTime: duration must be greater than 1ms\n\
             error spec.trafficPolicy.outlierDetection.minHealthPercent: percentage -1 is not in range 0..100",
        ),
    ]);
}

#[test]
fn exports_and_selectors_are_checked() {
    let selects = "host: a\nworkloadSelector: {matchLabels: {app: x}}\n";
    assert_findings(
        "DestinationRule",
        &[
            ("host: a\nexportTo: ['.', b]", ""),
            ("host: a\nexportTo: [b, b]", "error spec.exportTo[1]: duplicate entries in exportTo for entry b"),
            (
                "host: a\nexportTo: [ns, '.']",
                "error spec.exportTo[1]: duplicate entries in exportTo: . and current namespace ns",
            ),
            (
                "host: a\nexportTo: ['*', b]",
                "error spec.exportTo: cannot have both public (*) and non-public exportTo values for a resource",
            ),
            (
                "host: a\nexportTo: ['~']",
                "error spec.exportTo[0]: exportTo ~ (none) is not allowed for Istio configuration objects",
            ),
            (
                "host: a\nexportTo: [a_b]",
                "error spec.exportTo[0]: only .,*, or a valid DNS 1123 label is allowed as exportTo entry",
            ),
            (&format!("{selects}exportTo: ['.']"), ""),
            (
                &format!("{selects}exportTo: ['.', b]"),
                "error spec.exportTo: destination rule with workload selector cannot have multiple entries in exportTo",
            ),
            (
                "host: a\nworkloadSelector: {}",
                "warning spec.workloadSelector.matchLabels: workload selector specified without labels",
            ),
            (
                "host: a\nworkloadSelector: {matchLabels: {app: '*'}}",
                "error spec.workloadSelector.matchLabels[app]: wildcard is not supported in selector: \"app=*\"",
            ),
            (
                "host: a\nsubsets: [{name: a_b, labels: {'a b': c}}]",
                "error spec.subsets[0].name: subset name is invalid: a_b\n\
                 error spec.subsets[0].labels: invalid tag key: \"a b\"",
            ),
        ],
    );
}
