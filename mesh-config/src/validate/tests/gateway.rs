//! Gateway, and TLS of servers.

use super::{findings, report};

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
fn ports_of_servers_are_checked() {
    let server = |rest: &str| findings("Gateway", &format!("servers: [{{hosts: [a.com], {rest}}}]")).join("\n");
    for (rest, expected) in [
        (
            "port: {number: 80, name: http}",
            "error spec.servers[0].port.protocol: invalid protocol \"\", supported protocols are HTTP, HTTP2, GRPC, GRPC-WEB, \
             MONGO, REDIS, MYSQL, TCP",
        ),
        (
            "port: {number: 80, protocol: HTTP}",
            "error spec.servers[0].port: port name must be set: number 80 protocol \"HTTP\"",
        ),
        (
            "port: {number: 0, name: http, protocol: HTTP}",
            "error spec.servers[0].port.number: port number 0 must be in the range 1..65535",
        ),
        (
            "port: {number: 80, name: http, protocol: HTTP, targetPort: 8080}",
            "error spec.servers[0].port.targetPort: targetPort has no impact on Gateways",
        ),
        ("bind: 'unix:///x', port: {name: http, protocol: HTTP}", ""),
        (
            "bind: 'unix://x', port: {number: 80, name: http, protocol: HTTP}",
            "error spec.servers[0].bind: x is not an absolute path to a file\n\
             error spec.servers[0].port.number: port number must be 0 for unix domain socket: number 80",
        ),
        (
            "bind: x, port: {number: 443, name: https, protocol: HTTPS}",
            "error spec.servers[0].bind: x is not a valid IP\n\
             error spec.servers[0]: server must have TLS settings for HTTPS/TLS protocols",
        ),
        (
            "port: {number: 1, name: tcp, protocol: TCP}, tls: {httpsRedirect: true}",
            "error spec.servers[0].tls: server cannot have TLS settings for non HTTPS/TLS ports\n\
             warning spec.servers[0].tls.httpsRedirect: tls.httpsRedirect should only be used with http servers",
        ),
    ] {
        assert_eq!(server(rest), expected, "{rest}");
    }
    let twice = "{hosts: [a.com], port: {number: 80, name: http, protocol: HTTP}}";
    assert_eq!(
        findings("Gateway", &format!("servers: [{twice}, {twice}]")),
        ["error spec.servers[1].port.name: port names in servers must be unique: duplicate name http"]
    );
}

#[test]
fn hosts_of_servers_are_checked() {
    let host = |host: &str| {
        let spec = format!("servers: [{{hosts: ['{host}'], port: {{number: 80, name: http, protocol: HTTP}}}}]");
        findings("Gateway", &spec).join("\n").replace("error spec.servers[0].hosts[0]: ", "")
    };
    for (name, expected) in [
        ("ns/*", ""),
        ("*/a.com", ""),
        ("1.2.3.4", ""),
        ("ns/short", "short names (non FQDN) are not allowed"),
        ("~/a.com", "invalid namespace value \"~\" in gateway"),
        (
            "/a.com",
            "config namespace and dnsName in host entry cannot be empty\ninvalid namespace value \"\" in gateway",
        ),
        ("a_b.com", "domain name \"a_b.com\" invalid (label \"a_b\" invalid)"),
    ] {
        assert_eq!(host(name), expected, "{name}");
    }
}

#[test]
fn gateways_made_from_the_gateway_api_have_names_of_their_own() {
    let spec = "servers: [{hosts: ['~/*'], port: {number: 80, name: http, protocol: HTTP}}]";
    let generated = "{name: x.y, namespace: ns, annotations: {internal.istio.io/gateway-semantics: gateway}}";
    assert!(report("Gateway", generated, spec).is_empty());
    assert_eq!(report("Gateway", "{name: x.y, namespace: ns}", spec).len(), 2);
}

#[test]
fn tls_of_servers_is_checked() {
    let tls = |tls: &str| {
        let spec =
            format!("servers: [{{hosts: [a.com], port: {{number: 443, name: https, protocol: HTTPS}}, tls: {tls}}}]");
        findings("Gateway", &spec).join("\n").replace("spec.servers[0].tls", "tls")
    };
    for (spec, expected) in [
        ("{mode: SIMPLE, credentialName: c, caCrl: x}", ""),
        ("{mode: MUTUAL, credentialNames: [a, b]}", ""),
        (
            "{mode: SIMPLE, serverCertificate: a, privateKey: b, caCrl: c}",
            "error tls.caCrl: CRL is not supported with SIMPLE TLS",
        ),
        (
            "{mode: OPTIONAL_MUTUAL}",
            "error tls: MUTUAL TLS requires a client CA bundle\n\
             error tls: MUTUAL TLS requires a server certificate\n\
             error tls: MUTUAL TLS requires a private key",
        ),
        (
            "{mode: SIMPLE, tlsCertificates: [{serverCertificate: a}, {serverCertificate: a, privateKey: b}, {privateKey: b}]}",
            "warning tls.tlsCertificates: SIMPLE TLS can support up to 2 server certificates\n\
             error tls.tlsCertificates[0]: SIMPLE TLS requires a private key\n\
             error tls.tlsCertificates[2]: SIMPLE TLS requires a server certificate",
        ),
        (
            "{mode: PASSTHROUGH, credentialName: c, credentialNames: [d], caCrl: x}",
            "error tls: only one of credential_name, credential_names, server_certificate/private_key, tls_certificates should \
             be specified\n\
             warning tls: PASSTHROUGH mode does not use certificates, they will be ignored\n\
             error tls.caCrl: CRL is not supported with credentialName. CRL has to be specified in the credential",
        ),
        (
            "{mode: ISTIO_MUTUAL, serverCertificate: a, privateKey: b, caCertificates: c, tlsCertificates: [{}]}",
            "error tls.serverCertificate: ISTIO_MUTUAL TLS cannot have associated server certificate\n\
             error tls.privateKey: ISTIO_MUTUAL TLS cannot have associated private key\n\
             error tls.caCertificates: ISTIO_MUTUAL TLS cannot have associated CA bundle\n\
             error tls.tlsCertificates: ISTIO_MUTUAL TLS cannot have associated tlsCertificates",
        ),
        (
            "{mode: SIMPLE, credentialName: c, cipherSuites: [x, AES128-SHA, b, AES128-SHA, x, '!AES', ALL]}",
            "warning tls.cipherSuites: ignoring invalid cipher suites: [b x]\n\
             warning tls.cipherSuites: ignoring duplicate cipher suites: [AES128-SHA]",
        ),
        (
            "{mode: SIMPLE, credentialName: c, minProtocolVersion: TLSV1_1}",
            "warning tls.minProtocolVersion: TLS version below TLSV1_2 require setting compatible ciphers as by default they no \
             longer include compatible ciphers.",
        ),
        (
            "{mode: SIMPLE, credentialName: c, maxProtocolVersion: TLSV1_1}",
            "warning tls.maxProtocolVersion: maxProtocolVersion TLSV1_1 is below TLSV1_2, the lowest version",
        ),
    ] {
        assert_eq!(tls(spec), expected, "{spec}");
    }
}
