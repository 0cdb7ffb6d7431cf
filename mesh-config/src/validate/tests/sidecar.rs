//! Sidecar.

use super::{assert_findings, findings};

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
fn ingress_listeners_are_checked() {
    let ingress = |listener: &str| {
        findings("Sidecar", &format!("ingress: [{listener}]")).join("\n").replace("spec.ingress[0]", "ingress")
    };
    for (listener, expected) in [
        ("{port: {number: 80, protocol: HTTP}, defaultEndpoint: ':8080'}", ""),
        ("{port: {number: 80, protocol: HTTP}, defaultEndpoint: 'unix:///x'}", ""),
        (
            "{port: {number: 80, name: a_b, protocol: x, targetPort: 1}, bind: b}",
            "error ingress.port.targetPort: targetPort has no impact on Sidecars\n\
             error ingress.port.name: invalid port name: a_b\n\
             error ingress.port.protocol: unsupported protocol: x\n\
             error ingress.bind: b is not a valid IP",
        ),
        (
            "{port: {number: 80, protocol: HTTP}, defaultEndpoint: '1.2.3.4:80'}",
            "error ingress.defaultEndpoint: sidecar: defaultEndpoint must be of form 127.0.0.1:<port>,0.0.0.0:<port>,[::1]:port,\
             [::]:port,unix://filepath or unset",
        ),
        (
            "{port: {number: 80, protocol: HTTP}, defaultEndpoint: '127.0.0.1:hi'}",
            "error ingress.defaultEndpoint: sidecar: defaultEndpoint port (hi) is not a number",
        ),
        (
            "{port: {number: 80, protocol: TCP, name: tcp}, connectionPool: {http: {maxRetries: 1}}}",
            "warning ingress.connectionPool.http: sidecar: HTTP connection pool settings are configured for port 80 (\"tcp\") but \
             its protocol is not HTTP (TCP); only TCP settings will apply",
        ),
        (
            "{port: {number: 80, protocol: HTTP}, tls: {mode: ISTIO_MUTUAL, subjectAltNames: [a], httpsRedirect: true}}",
            "error ingress.tls.subjectAltNames: sidecar: subjectAltNames is not supported in ingress tls\n\
             error ingress.tls.httpsRedirect: sidecar: httpsRedirect is not supported\n\
             error ingress.tls.mode: configuration is invalid: cannot set mode to ISTIO_MUTUAL in sidecar ingress tls\n\
             error ingress.tls: server cannot have TLS settings for non HTTPS/TLS ports",
        ),
        (
            "{port: {number: 80, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: a}}",
            "error ingress.tls.credentialName: sidecar: credentialName is not currently supported",
        ),
        (
            "{port: {number: 80, protocol: HTTPS}, tls: {mode: SIMPLE, credentialNames: [a]}}",
            "error ingress.tls.credentialNames: sidecar: credentialNames is not currently supported",
        ),
        (
            "{port: {number: 80, protocol: HTTPS}, tls: {mode: SIMPLE, tlsCertificates: [{serverCertificate: a, privateKey: b}]}}",
            "error ingress.tls.tlsCertificates: sidecar: tls_certificates is not currently supported",
        ),
    ] {
        assert_eq!(ingress(listener), expected, "{listener}");
    }
    let listener = "{port: {number: 80, protocol: HTTP}}";
    assert_eq!(
        findings("Sidecar", &format!("ingress: [{listener}, {listener}]")),
        ["error spec.ingress[1].port: sidecar: ports on IP bound listeners must be unique"]
    );
}

#[test]
fn egress_listeners_are_checked() {
    assert_findings(
        "Sidecar",
        &[
            (
                "egress: [{hosts: ['*/*'], port: {number: 0, protocol: HTTP}}]",
                "error spec.egress[0].port: sidecar: ports with 0 value must have a unix domain socket bind address",
            ),
            (
                "egress: [{hosts: ['*/*'], port: {protocol: HTTP}, bind: 'unix:///x', captureMode: IPTABLES}]",
                "error spec.egress[0].captureMode: sidecar: captureMode must be DEFAULT/NONE for unix domain socket listeners",
            ),
            (
                "egress: [{hosts: ['*/*'], port: {number: 80, protocol: HTTP}}, {hosts: ['*/*'], port: {number: 80, protocol: HTTP}}]",
                "error spec.egress[1].port: sidecar: ports on IP bound listeners must be unique",
            ),
            (
                "egress: [{hosts: ['*/*'], port: {protocol: HTTP}, bind: 'unix:///x'}, \
                 {hosts: ['*/*'], port: {protocol: HTTP}, bind: 'unix:///x'}]",
                "error spec.egress[1].bind: sidecar: unix domain socket values for listeners must be unique",
            ),
        ],
    );
}

#[test]
fn hosts_are_imported_once() {
    let hosts = |hosts: &str| {
        findings("Sidecar", &format!("egress: [{{hosts: [{hosts}]}}]")).join("\n").replace("spec.egress[0].hosts", "")
    };
    for (list, expected) in [
        ("'./*', other/*, '*/b.com', other2/a.com", ""),
        ("./a.com, ns/a.com", "warning [1]: duplicated egress host: ns/a.com"),
        ("ns/a.com, './*'", "warning [1]: duplicated egress host: ./*"),
        ("other/*, other/a.com", "warning [1]: duplicated egress host: other/a.com"),
        ("'*/*', other/a.com", "warning : `*/*` host select all resources, no other hosts can be added"),
        ("'*/*', ~other/*, ~/b.com", ""),
        ("'*/*', '*/b.com'", "warning [1]: duplicated egress host: */b.com"),
        ("other/1.2.3.4", "error [0]: domain name \"1.2.3.4\" invalid (top level domain \"4\" cannot be all-numeric)"),
    ] {
        assert_eq!(hosts(list), expected.replace("\"1.2.3.4\"", "\"2.3.4\""), "{list}");
    }
}

#[test]
fn the_egress_proxy_is_a_full_name_with_a_port() {
    let proxy = |proxy: &str| {
        findings("Sidecar", &format!("outboundTrafficPolicy: {{mode: ALLOW_ANY, egressProxy: {proxy}}}"))
            .join("\n")
            .replace("spec.outboundTrafficPolicy.egressProxy", "proxy")
    };
    assert_eq!(proxy("{host: a.com, subset: v1, port: {number: 80}}"), "");
    assert_eq!(
        proxy("{host: '*.com', subset: v_1}"),
        "error proxy.host: domain name \"*.com\" invalid (label \"*\" invalid)\n\
         error proxy.subset: subset name is invalid: v_1\n\
         error proxy: sidecar: egress_proxy port must be non-nil"
    );
}

#[test]
fn a_selector_without_labels_is_for_everybody() {
    assert_eq!(
        findings("Sidecar", "workloadSelector: {}\negress: [{hosts: ['*/*']}]"),
        [
            "warning spec.workloadSelector.labels: sidecar: workload selector specified without labels, will be applied to all \
          services in namespace"
        ]
    );
}
