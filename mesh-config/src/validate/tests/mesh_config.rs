//! MeshConfig.

use super::{lines, validate};

fn assert_mesh(cases: &[(&str, &str)]) {
    for (yaml, expected) in cases {
        assert_eq!(lines(&validate(&format!("rootNamespace: istio-system\n{yaml}\n"))).join("\n"), *expected, "{yaml}");
    }
}

#[test]
fn numbers_and_durations_are_checked() {
    assert_mesh(&[
        ("connectTimeout: 1s\nprotocolDetectionTimeout: 0s\nproxyListenPort: 15001", ""),
        ("connectTimeout: 0s", "error connectTimeout: invalid connect timeout: duration must be greater than 1ms"),
        ("connectTimeout: 2h", "error connectTimeout: invalid connect timeout: time 7200s must be >1ms and <1h0m0s"),
        (
            "protocolDetectionTimeout: 100us",
            "error protocolDetectionTimeout: invalid protocol detection timeout: only durations to ms precision are supported",
        ),
        (
            "proxyListenPort: 0",
            "error proxyListenPort: invalid proxy listen port: port number 0 must be in the range 1..65535",
        ),
    ]);
}

#[test]
fn trust_domains_hosts_and_curves_are_checked() {
    assert_mesh(&[
        ("trustDomain: td.example\ntrustDomainAliases: [old]", ""),
        (
            "trustDomain: ''\ntrustDomainAliases: [a/b]",
            "error trustDomain: trustDomain: empty domain name not allowed\n\
             error trustDomainAliases[0]: trustDomainAliases[0], domain `a/b` : trust domain name \"a/b\" invalid",
        ),
        (
            "serviceSettings: [{hosts: ['*.ok', 'a b']}]",
            "error serviceSettings[0].hosts[1]: serviceSettings[0], host `a b`: domain name \"a b\" invalid (label \"a b\" invalid)",
        ),
        (
            "meshMTLS: {ecdhCurves: [P-256]}",
            "error meshMTLS.ecdhCurves: mesh TLS does not support ECDH curves configuration",
        ),
        (
            "tlsDefaults: {ecdhCurves: [x, P-256, b, P-256, x]}",
            "warning tlsDefaults.ecdhCurves: detected unrecognized ECDH curves: [b x]\n\
             warning tlsDefaults.ecdhCurves: detected duplicate ECDH curves: [P-256]",
        ),
    ]);
}

#[test]
fn policies_for_everybody_are_checked_like_those_of_a_rule() {
    assert_mesh(&[
        ("defaultTrafficPolicy: {}", ""),
        (
            "defaultTrafficPolicy: {connectionPool: {}, outlierDetection: {maxEjectionPercent: 101}}",
            "error defaultTrafficPolicy.connectionPool: connection pool must have at least one field\n\
             error defaultTrafficPolicy.outlierDetection.maxEjectionPercent: percentage 101 is not in range 0..100",
        ),
        (
            "localityLbSetting: {failover: [{from: a, to: a}]}",
            "error localityLbSetting.failover[0]: locality lb failover settings must specify different regions",
        ),
        (
            "outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS, tls: {mode: MUTUAL, privateKey: a}}",
            "error outboundTrafficPolicy.tls: client certificate required for mutual tls",
        ),
        (
            "defaultHttpRetryPolicy: {attempts: 2, retryOn: nope}",
            "warning defaultHttpRetryPolicy.retryOn: \"nope\" is not a valid retryOn policy",
        ),
    ]);
}

#[test]
fn retries_of_the_servers_side_have_one_place_to_go() {
    let disabled =
        "error defaultInboundHttpRetryPolicy: http retry policy configured when attempts are set to 0 (disabled)";
    assert_mesh(&[
        ("defaultInboundHttpRetryPolicy: {}", ""),
        ("defaultInboundHttpRetryPolicy: {attempts: 3, retryOn: reset-before-request, backoff: 50ms}", ""),
        (
            "defaultInboundHttpRetryPolicy: {attempts: -1}",
            "error defaultInboundHttpRetryPolicy.attempts: attempts cannot be negative",
        ),
        ("defaultInboundHttpRetryPolicy: {retryOn: reset}", disabled),
        ("defaultInboundHttpRetryPolicy: {backoff: 50ms}", disabled),
        (
            "defaultInboundHttpRetryPolicy: {attempts: 3, perTryTimeout: 1s, retryRemoteLocalities: true}",
            "warning defaultInboundHttpRetryPolicy.perTryTimeout: perTryTimeout is ignored for inbound retries\n\
             warning defaultInboundHttpRetryPolicy.retryRemoteLocalities: retryRemoteLocalities is ignored for inbound retries",
        ),
    ]);
}

#[test]
fn settings_of_the_proxy_are_checked() {
    assert_mesh(&[
        ("defaultConfig: {discoveryAddress: 'istiod:15012', tracing: {zipkin: {address: '$(HOST_IP):9411'}}}", ""),
        (
            "defaultConfig: {configPath: '', drainDuration: 1500ms, proxyAdminPort: 0, statusPort: 70000}",
            "error defaultConfig.configPath: config path must be set\n\
             error defaultConfig.drainDuration: drain time only supports durations to seconds precision\n\
             error defaultConfig.proxyAdminPort: invalid proxy admin port: port number 0 must be in the range 1..65535\n\
             error defaultConfig.statusPort: invalid status port: port number 70000 must be in the range 1..65535",
        ),
        (
            "defaultConfig: {discoveryAddress: istiod, statsdUdpAddress: 'a b:1'}",
            "error defaultConfig.discoveryAddress: invalid discovery address: unable to split \"istiod\": address istiod: missing \
             port in address\n\
             error defaultConfig.statsdUdpAddress: invalid statsd udp address \"a b:1\": \"a b\" is not a valid hostname or an IP address",
        ),
        (
            "defaultConfig: {tracing: {zipkin: {address: 'a:0'}, sampling: 101}}",
            "error defaultConfig.tracing.zipkin.address: invalid zipkin config: port number 0 must be in the range 1..65535\n\
             warning defaultConfig.tracing.sampling: sampling must be in range [0.0, 100.0]",
        ),
        (
            "defaultConfig: {privateKeyProvider: {cryptomb: {pollDelay: 0s}}}",
            "error defaultConfig.privateKeyProvider: invalid private key provider configuration: pollDelay must be non zero",
        ),
    ]);
}

#[test]
fn providers_are_warned_about_since_they_may_not_be_used() {
    assert_mesh(&[
        ("extensionProviders: [{name: a, prometheus: {}}, {name: b, zipkin: {service: ns/z.example, port: 9411}}]", ""),
        (
            "extensionProviders: [{name: a, prometheus: {}}, {name: a, envoyExtAuthzHttp: {service: '', port: 0, pathPrefix: x, \
             statusOnError: x}}]",
            "warning extensionProviders[1]: invalid extension provider a: duplicate extension provider name a\n\
             warning extensionProviders[1]: invalid extension provider a: service must not be empty\n\
             warning extensionProviders[1]: invalid extension provider a: port number 0 must be in the range 1..65535\n\
             warning extensionProviders[1]: invalid extension provider a: invalid statusOnError value x: not a number\n\
             warning extensionProviders[1]: invalid extension provider a: pathPrefix should begin with `/` but found \"x\"",
        ),
        (
            "extensionProviders: [{}]",
            "warning extensionProviders[0]: invalid extension provider : empty extension provider name\n\
             warning extensionProviders[0]: invalid extension provider : unsupported provider: it says nothing but its name",
        ),
    ]);
}
