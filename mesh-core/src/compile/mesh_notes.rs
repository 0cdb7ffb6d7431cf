//! What MeshConfig asks for that does not act, by the names of its fields.

use mesh_config::api::MeshConfig;
use mesh_config::api::mesh_config::{ExtensionProvider, MeshProxyConfig, MeshTlsProtocol, ProxyHeaders};
use mesh_config::{Code, ConfigSet, Diagnostic};

use super::findings::Findings;
use crate::authz::service_of;
use crate::mesh_tls::MeshTls;

/// What has no counterpart in a program that carries its mesh in itself.
const NO_COUNTERPART: &str = "there is nothing in process that it could set";
const UNSPOKEN: &str = "it is not spoken here; the others of the list are";
const NONE_SPOKEN: &str = "it is not spoken here, nor any other of the list: no such connection is made";
const ONLY_1_3: &str =
    "it is not spoken here, nor any other of the list: TLS 1.2 is not spoken, and TLS 1.3 is with its own";
const UNREAD: &str = "Istio does not read it either: TLS 1.2 and 1.3 are spoken";
const NO_TLS_ROUTES: &str = "connections that are not HTTP are not routed";
const NO_ZONES: &str = "the zone of an endpoint plays no part";
const BY_PROGRAM: &str = "where its lines go says the program (MeshBuilder::logger_provider), not its service and port";
const NOBODY_ASKED: &str = "it is neither asked nor told anything: a CUSTOM policy that names it denies what it matches, unless \
                            the program brings an authorizer of that name";
const NO_TRACES: &str = "sampling and tags act; spans go where the tracer provider of the program sends them";

/// Names what is set and does not act.
pub(crate) fn report(set: &ConfigSet, mesh: &MeshConfig, findings: &mut Findings) {
    // A MeshConfig that was handed over beside the documents has no place among them.
    let object = set.mesh_configs().find(|object| std::ptr::eq(&raw const object.spec, mesh));
    for (field, effect) in without_effect(mesh) {
        let message = format!("MeshConfig field `{field}` has no effect");
        let finding = Diagnostic::info(Code::IGNORED_FIELD, message).path(field.as_str()).effect(effect);
        findings.add(match object {
            Some(object) => finding.at(&object.origin).resource(object.id()),
            None => finding,
        });
    }
}

/// The fields that are set and do not act, each with what happens instead.
fn without_effect(mesh: &MeshConfig) -> Vec<(String, &'static str)> {
    let mut found: Vec<(String, &'static str)> = Vec::new();
    let mut note = |is_set: bool, field: &str, effect: &'static str| {
        if is_set {
            found.push((field.to_owned(), effect));
        }
    };
    let unknown_hosts = mesh.outbound_traffic_policy.as_ref();
    note(unknown_hosts.is_some_and(|policy| policy.tls.is_some()), "outboundTrafficPolicy.tls", NO_TLS_ROUTES);
    let no_hop = "there is no hop between the mesh and the application";
    note(mesh.default_inbound_http_retry_policy.is_some(), "defaultInboundHttpRetryPolicy", no_hop);
    let lowest = mesh.tls_defaults.as_ref().map(|tls| tls.min_protocol_version).unwrap_or_default();
    note(lowest != MeshTlsProtocol::Auto, "tlsDefaults.minProtocolVersion", UNREAD);
    of_tls(&MeshTls::of(mesh), &mut note);
    let always = "the certificates of servers are always checked";
    note(mesh.verify_certificate_at_client == Some(false), "verifyCertificateAtClient", always);
    for (index, data) in mesh.ca_certificates.iter().enumerate() {
        let field = format!("caCertificates[{index}]");
        note(
            data.spiffe_bundle_url.is_some(),
            &format!("{field}.spiffeBundleUrl"),
            "no bundle is fetched: give its roots as `pem`",
        );
        let by_signer = !data.cert_signers.is_empty();
        note(
            by_signer,
            &format!("{field}.certSigners"),
            "its roots count for no workload: nobody knows who has signed a certificate here",
        );
    }
    let by_zone = mesh.zone_aware_lb_setting.as_ref().is_some_and(|setting| setting.enabled != Some(false));
    note(by_zone, "zoneAwareLbSetting", NO_ZONES);
    let acts = |of: &ExtensionProvider| {
        of.envoy_file_access_log.is_some() || of.prometheus.is_some() || service_of(of).is_some()
    };
    for provider in mesh.extension_providers.iter().filter(|provider| !acts(provider)) {
        let effect = if provider.envoy_otel_als.is_some() { BY_PROGRAM } else { NOBODY_ASKED };
        note(true, &format!("extensionProviders[{}]", provider.name), effect);
    }
    if let Some(proxy) = &mesh.default_config {
        of_proxy(proxy, &mut note);
    }
    mesh.without_effect().into_iter().for_each(|field| note(true, field, NO_COUNTERPART));
    found
}

/// Algorithms that this library does not have, by the lists that name them.
fn of_tls(tls: &MeshTls, note: &mut impl FnMut(bool, &str, &'static str)) {
    for (field, choice) in [("meshMTLS", &tls.workloads), ("tlsDefaults", &tls.others)] {
        let (suites, curves) = choice.unspoken();
        let effect = if suites.len() == choice.cipher_suites.len() { ONLY_1_3 } else { UNSPOKEN };
        suites.iter().for_each(|suite| note(true, &format!("{field}.cipherSuites[{suite}]"), effect));
        let effect = if curves.len() == choice.curves.len() { NONE_SPOKEN } else { UNSPOKEN };
        curves.iter().for_each(|curve| note(true, &format!("{field}.ecdhCurves[{curve}]"), effect));
    }
}

fn of_proxy(proxy: &MeshProxyConfig, note: &mut impl FnMut(bool, &str, &'static str)) {
    let topology = proxy.gateway_topology.as_ref();
    let has_protocol = topology.is_some_and(|topology| topology.proxy_protocol.is_some());
    note(has_protocol, "defaultConfig.gatewayTopology.proxyProtocol", "connections begin without a PROXY header");
    note(proxy.tracing.is_some(), "defaultConfig.tracing", NO_TRACES);
    for field in proxy.proxy_headers.iter().flat_map(ProxyHeaders::without_effect) {
        note(true, &format!("defaultConfig.proxyHeaders.{field}"), "headers are added as Istio does by default");
    }
    let shutdown = "how long a process goes on when it ends is for the program to say";
    note(proxy.drain_duration.is_some(), "defaultConfig.drainDuration", shutdown);
    note(proxy.termination_drain_duration.is_some(), "defaultConfig.terminationDrainDuration", shutdown);
    for field in proxy.without_effect() {
        note(true, &format!("defaultConfig.{field}"), NO_COUNTERPART);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_config::Code;
    use mesh_config::api::mesh_config::NormalizationType;

    use crate::cluster::{ClusterSpec, EndpointSource, UpstreamProtocol};
    use crate::compile::tests::World;

    fn noted(mesh: &str) -> Vec<String> {
        let world = World::new(mesh);
        let found = world.compiled.report.iter().filter(|finding| finding.code == Code::IGNORED_FIELD);
        found.map(|finding| finding.path.to_string()).collect()
    }

    /// The cluster of a plain HTTP service under a MeshConfig.
    fn cluster(mesh: &str) -> ClusterSpec {
        let world = World::new(&format!(
            "{mesh}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: a, namespace: default}}
spec: {{hosts: [a.example.com], resolution: DNS, ports: [{{number: 80, name: http, protocol: HTTP}}]}}
"
        ));
        let name = world.to(80, "a.example.com", "/");
        let found = world.compiled.snapshot.clusters().iter().find(|spec| *spec.name == *name);
        ClusterSpec::clone(found.unwrap())
    }

    #[test]
    fn what_does_not_act_is_listed_by_name() {
        let mesh = "
zoneAwareLbSetting: {enabled: true}
defaultProviders: {metrics: [prometheus]}
extensionProviders: [{name: prometheus, prometheus: {}}, {name: als, envoyOtelAls: {service: als.example.com, port: 4317}}]
enablePrometheusMerge: true
defaultConfig: {discoveryAddress: 'istiod:15012', tracing: {sampling: 10}, concurrency: 2}
";
        let expected = [
            "zoneAwareLbSetting",
            "extensionProviders[als]",
            "defaultConfig.tracing",
            "defaultConfig.concurrency",
            "defaultConfig.discoveryAddress",
            "enablePrometheusMerge",
        ];
        assert_eq!(noted(mesh), expected);
    }

    #[test]
    fn algorithms_that_are_not_spoken_are_listed_one_by_one() {
        let mesh = "
meshMTLS: {minProtocolVersion: TLSV1_2, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, AES128-SHA]}
tlsDefaults: {minProtocolVersion: TLSV1_3, ecdhCurves: [P-521, P-256]}
caCertificates: [{pem: A, trustDomains: [a]}, {pem: B, certSigners: [s]}, {spiffeBundleUrl: 'https://c'}]
defaultConfig: {proxyHeaders: {forwardedClientCert: SANITIZE, server: {disabled: true}}}
";
        let expected = [
            "tlsDefaults.minProtocolVersion",
            "meshMTLS.cipherSuites[AES128-SHA]",
            "tlsDefaults.ecdhCurves[P-521]",
            "caCertificates[1].certSigners",
            "caCertificates[2].spiffeBundleUrl",
            "defaultConfig.proxyHeaders.server",
        ];
        assert_eq!(noted(mesh), expected);
    }

    #[test]
    fn what_acts_is_not_listed() {
        let mesh = "
outboundTrafficPolicy: {mode: ALLOW_ANY}
defaultServiceExportTo: ['*']
defaultVirtualServiceExportTo: ['*']
defaultDestinationRuleExportTo: ['*']
defaultHttpRetryPolicy: {attempts: 1}
defaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}
connectTimeout: 1s
tcpKeepalive: {time: 10s}
h2UpgradePolicy: UPGRADE
dnsRefreshRate: 5s
rootNamespace: root
accessLogFile: /dev/stdout
accessLogFormat: '{\"code\": \"%RESPONSE_CODE%\"}'
accessLogEncoding: JSON
defaultProviders: {accessLogging: [files]}
extensionProviders: [{name: files, envoyFileAccessLog: {path: /dev/stderr}}]
pathNormalization: {normalization: NONE}
localityLbSetting: {enabled: true}
enableAutoMtls: false
defaultConfig: {gatewayTopology: {numTrustedProxies: 1, forwardClientCertDetails: SANITIZE}, caCertificatesPem: [A]}
meshMTLS: {minProtocolVersion: TLSV1_3}
tlsDefaults: {cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256], ecdhCurves: [X25519]}
caCertificates: [{pem: A}]
";
        assert_eq!(noted(mesh), [""; 0]);
    }

    #[test]
    fn connect_timeout_and_upgrade_and_refresh_rate_are_those_of_the_mesh() {
        let spec = cluster("{connectTimeout: 1s, h2UpgradePolicy: UPGRADE, dnsRefreshRate: 7s}");
        assert_eq!(spec.connect_timeout, Duration::from_secs(1));
        assert_eq!(spec.protocol, UpstreamProtocol::Http2);
        let EndpointSource::Dns { refresh, .. } = spec.endpoints else { panic!("{:?}", spec.endpoints) };
        assert_eq!(refresh, Duration::from_secs(7));
        assert_eq!(cluster("{h2UpgradePolicy: DO_NOT_UPGRADE}").protocol, UpstreamProtocol::Http1);
    }

    #[test]
    fn a_default_traffic_policy_fills_blocks_that_no_rule_sets() {
        let mesh = "{defaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}, outlierDetection: {}}}";
        let rule = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: default}
spec: {host: a.example.com, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 5}}}}
";
        let plain = cluster(mesh);
        assert_eq!(plain.limits.connections, 3);
        assert!(plain.outlier.is_some());
        let ruled = cluster(&format!("{mesh}{rule}"));
        assert_eq!((ruled.limits.connections, ruled.limits.requests), (u32::MAX, 5));
        assert!(ruled.outlier.is_some());
    }

    #[test]
    fn a_rule_overrides_single_keepalive_settings_of_the_mesh() {
        let mesh = "{tcpKeepalive: {time: 10s, probes: 3}}";
        let keepalive = cluster(mesh).pool.keepalive.unwrap();
        assert_eq!((keepalive.time, keepalive.probes), (Some(Duration::from_secs(10)), Some(3)));
        let rule = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: default}
spec: {host: a.example.com, trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {time: 20s}}}}}
";
        let keepalive = cluster(&format!("{mesh}{rule}")).pool.keepalive.unwrap();
        assert_eq!((keepalive.time, keepalive.probes), (Some(Duration::from_secs(20)), Some(3)));
    }

    #[test]
    fn the_root_namespace_is_the_one_that_the_mesh_names() {
        let rule = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: root}
spec: {host: a.example.com, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}
";
        assert_eq!(cluster(&format!("{{rootNamespace: root}}{rule}")).limits.connections, 3);
        assert_eq!(cluster(&format!("{{rootNamespace: other}}{rule}")).limits.connections, u32::MAX);
    }

    #[test]
    fn rules_without_export_to_are_exported_as_the_mesh_says() {
        let rule = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: istio-system}
spec: {host: a.example.com, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}
";
        assert_eq!(cluster(&format!("{{defaultDestinationRuleExportTo: ['*']}}{rule}")).limits.connections, 3);
        assert_eq!(cluster(&format!("{{defaultDestinationRuleExportTo: ['.']}}{rule}")).limits.connections, u32::MAX);
    }

    #[test]
    fn retries_of_rules_that_say_nothing_are_those_of_the_mesh() {
        let text = |mesh: &str| {
            format!(
                "{mesh}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: a, namespace: default}}
spec:
  hosts: [a.example.com]
  http: [{{route: [{{destination: {{host: a.example.com}}}}]}}]
"
            )
        };
        let attempts = |mesh: &str| {
            let world = World::new(&text(mesh));
            let snapshot = &world.compiled.snapshot;
            let route = snapshot.references().next().unwrap().0;
            route.retry.as_ref().map_or(0, |retry| retry.attempts)
        };
        assert_eq!(attempts("{}"), 2);
        assert_eq!(attempts("{defaultHttpRetryPolicy: {attempts: 5}}"), 5);
        assert_eq!(attempts("{defaultHttpRetryPolicy: {attempts: 0}}"), 0);
    }

    #[test]
    fn paths_and_trusted_proxies_are_what_the_mesh_says() {
        let mesh = "{pathNormalization: {normalization: MERGE_SLASHES}, \
                    defaultConfig: {gatewayTopology: {numTrustedProxies: 2}}}";
        let snapshot = World::new(mesh).compiled.snapshot;
        assert_eq!(snapshot.path_normalization(), NormalizationType::MergeSlashes);
        assert_eq!(snapshot.trusted_proxies(), 2);
    }
}
