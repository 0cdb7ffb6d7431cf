//! Every field of every kind is read, and written again as it was.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kubernetes;
use super::{
    AuthorizationPolicy, DestinationRule, Gateway, MeshConfig, PeerAuthentication, ProxyConfig, RequestAuthentication,
    ServiceEntry, Sidecar, Telemetry, VirtualService, WorkloadEntry, WorkloadGroup,
};
use crate::crd;
use crate::locate::Tree;
use crate::resource::{Kind, Typed};

mod field_paths;

/// Reads a document whose every value is in the form that is written, and expects the very same document back.
fn holds_every_field<T>(yaml: &str)
where
    T: DeserializeOwned + Serialize + PartialEq + Debug + Typed,
{
    let typed: T = crate::document::from_str(yaml).unwrap();
    let untyped: Value = crate::document::from_str(yaml).unwrap();
    let written = serde_json::to_value(&typed).unwrap();
    assert_eq!(written, untyped);
    let read = |json: &Value| crate::document::from_str_noting::<T>(&json.to_string()).unwrap();
    assert_eq!(read(&written).0, typed);
    assert_eq!(unfit(T::KIND, &written), [""; 0]);

    let (snake, unknown) = read(&in_snake_case(&untyped));
    assert_eq!(unknown, [""; 0]);
    assert_eq!(snake, typed);
}

/// What Istio's CRD has under another name or as another type than it is written here.
fn unfit(kind: Kind, spec: &Value) -> Vec<String> {
    let tree = Tree::parse(&serde_json::json!({ "spec": spec }).to_string()).unwrap();
    let findings = crd::check(kind, &tree, tree.root().unwrap()).into_iter();
    findings.filter(|finding| finding.about != crd::Objection::Rule).map(|finding| finding.message).collect()
}

/// The same document with the original names of proto. Keys of maps in these documents are all lower case.
fn in_snake_case(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(in_snake_case).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (snake_case(name), in_snake_case(value))).collect(),
        leaf => leaf.clone(),
    }
}

fn snake_case(name: &str) -> String {
    // Names whose words cannot be told from their letters.
    match name {
        "consecutive5xxErrors" => return "consecutive_5xx_errors".to_owned(),
        "enable64bitTraceId" => return "enable_64bit_trace_id".to_owned(),
        "meshMTLS" => return "mesh_mTLS".to_owned(),
        _ => {}
    }
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[test]
fn a_virtual_service_holds_every_field() {
    holds_every_field::<VirtualService>(include_str!("virtual_service.yaml"));
}

#[test]
fn a_destination_rule_holds_every_field() {
    holds_every_field::<DestinationRule>(include_str!("destination_rule.yaml"));
}

#[test]
fn a_service_entry_holds_every_field() {
    holds_every_field::<ServiceEntry>(
        r"
hosts: [a.example, '*.b.example']
addresses: [10.0.0.1, 10.1.0.0/16]
ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
location: MESH_INTERNAL
resolution: STATIC
endpoints:
- {address: 10.0.0.2, ports: {http: 8081}, labels: {version: v1}, network: net, locality: r/z/s, weight: 3, serviceAccount: sa}
workloadSelector: {labels: {app: a}}
exportTo: [., other]
subjectAltNames: ['spiffe://td/ns/a/sa/b']
",
    );
}

#[test]
fn a_workload_entry_holds_every_field() {
    holds_every_field::<WorkloadEntry>(
        "{address: 'unix:///run/a.sock', ports: {http: 80}, labels: {app: a}, network: net, locality: r/z, weight: 1, serviceAccount: sa}",
    );
}

#[test]
fn a_workload_group_holds_every_field() {
    holds_every_field::<WorkloadGroup>(
        r"
metadata: {labels: {app: a}, annotations: {note: b}}
template: {address: a.example, ports: {http: 80}, labels: {version: v1}, network: net, locality: r, weight: 2, serviceAccount: sa}
probe:
  initialDelaySeconds: 1
  timeoutSeconds: 2
  periodSeconds: 3
  successThreshold: 4
  failureThreshold: 5
  httpGet: {path: /ready, port: 80, host: h, scheme: HTTPS, httpHeaders: [{name: x-a, value: b}]}
  tcpSocket: {host: h, port: 81}
  exec: {command: [a, b]}
  grpc: {port: 82, service: s}
",
    );
}

#[test]
fn a_gateway_holds_every_field() {
    holds_every_field::<Gateway>(
        r"
selector: {istio: ingress}
servers:
- port: {number: 443, name: https, protocol: HTTPS, targetPort: 8443}
  bind: 127.0.0.1
  hosts: ['*.example', ns/a.example]
  defaultEndpoint: 127.0.0.1:80
  name: web
  tls:
    httpsRedirect: true
    mode: OPTIONAL_MUTUAL
    serverCertificate: cert.pem
    privateKey: key.pem
    caCertificates: ca.pem
    caCrl: crl.pem
    credentialName: c
    credentialNames: [c1, c2]
    caCertCredentialName: c-ca
    tlsCertificates: [{serverCertificate: a.pem, privateKey: b.pem, caCertificates: c.pem}]
    subjectAltNames: [a]
    verifyCertificateSpki: [b]
    verifyCertificateHash: [c]
    minProtocolVersion: TLSV1_2
    maxProtocolVersion: TLSV1_3
    cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]
    insecureSkipVerify: false
",
    );
}

#[test]
fn a_sidecar_holds_every_field() {
    holds_every_field::<Sidecar>(
        r"
workloadSelector: {labels: {app: a}}
ingress:
- port: {number: 80, name: http, protocol: HTTP, targetPort: 8080}
  bind: 0.0.0.0
  captureMode: IPTABLES
  defaultEndpoint: 127.0.0.1:8080
  tls: {mode: SIMPLE, credentialName: c}
  connectionPool: {tcp: {maxConnections: 1}, http: {http2MaxRequests: 2}}
egress:
- {port: {number: 81, name: tcp, protocol: TCP}, bind: 127.0.0.1, captureMode: NONE, hosts: ['./*', '~/*']}
inboundConnectionPool: {http: {maxRetries: 3}}
outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: egress, subset: v1, port: {number: 443}}}
",
    );
}

#[test]
fn the_authentication_kinds_hold_every_field() {
    holds_every_field::<PeerAuthentication>(
        "{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {'8080': {mode: DISABLE}, '9090': {}}}",
    );
    holds_every_field::<RequestAuthentication>(
        r"
selector: {matchLabels: {app: a}}
targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: g, namespace: ns}
targetRefs: [{kind: Service, name: s}]
jwtRules:
- issuer: https://issuer.example
  audiences: [a]
  jwksUri: https://issuer.example/keys
  jwks: '{}'
  fromHeaders: [{name: x-token, prefix: 'Token '}]
  fromParams: [t]
  fromCookies: [c]
  outputPayloadToHeader: x-payload
  forwardOriginalToken: true
  outputClaimToHeaders: [{header: x-sub, claim: sub}]
  timeout: 1s
  spaceDelimitedClaims: [roles]
",
    );
}

#[test]
fn an_authorization_policy_holds_every_field() {
    holds_every_field::<AuthorizationPolicy>(
        r"
selector: {matchLabels: {app: a}}
targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: g, namespace: ns}
targetRefs: [{kind: Service, name: s}]
action: CUSTOM
provider: {name: ext}
rules:
- from:
  - source:
      principals: [td/ns/a/sa/b]
      notPrincipals: [b]
      requestPrincipals: ['*']
      notRequestPrincipals: [c/d]
      namespaces: [a]
      notNamespaces: [b]
      ipBlocks: [10.0.0.0/8]
      notIpBlocks: [10.0.0.1]
      remoteIpBlocks: [192.0.2.1]
      notRemoteIpBlocks: [192.0.2.2]
      serviceAccounts: [a/b]
      notServiceAccounts: [c]
      trustDomains: [td]
      notTrustDomains: [old]
  to:
  - operation:
      hosts: [a]
      notHosts: [b]
      ports: ['80']
      notPorts: ['81']
      methods: [GET]
      notMethods: [POST]
      paths: ['/a/{*}']
      notPaths: [/b]
  when:
  - {key: 'request.headers[x-a]', values: [a], notValues: [b]}
- {}
",
    );
}

#[test]
fn telemetry_and_proxy_config_hold_every_field() {
    holds_every_field::<Telemetry>(
        r"
selector: {matchLabels: {app: a}}
targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: g, namespace: ns}
targetRefs: [{kind: Service, name: s}]
tracing:
- match: {mode: CLIENT}
  providers: [{name: otel}]
  randomSamplingPercentage: 12.5
  disableSpanReporting: false
  customTags:
    a: {literal: {value: v}}
    b: {environment: {name: E, defaultValue: d}}
    c: {header: {name: x-a, defaultValue: d}}
    d: {formatter: {value: '%REQ(x-a)%'}}
    e: {}
  useRequestIdForTraceSampling: false
  enableIstioTags: true
  disableContextPropagation: true
metrics:
- providers: [{name: prometheus}]
  overrides:
  - match: {metric: REQUEST_COUNT, mode: SERVER}
    disabled: false
    tagOverrides: {a: {operation: REMOVE}, b: {value: request.host}}
  - match: {customMetric: mine}
  reportingInterval: 5s
accessLogging:
- {match: {mode: CLIENT}, providers: [{name: file}], disabled: true, filter: {expression: response.code >= 400}}
",
    );
    holds_every_field::<ProxyConfig>(
        "{selector: {matchLabels: {app: a}}, concurrency: 0, environmentVariables: {a: b}, image: {imageType: debug}}",
    );
}

#[test]
fn the_mesh_config_holds_every_field() {
    holds_every_field::<MeshConfig>(include_str!("mesh_config.yaml"));
}

#[test]
fn the_kinds_of_kubernetes_hold_what_is_read() {
    fn reads<T>(yaml: &str)
    where
        T: DeserializeOwned + Serialize + PartialEq + Debug,
    {
        let typed: T = crate::document::from_str(yaml).unwrap();
        let untyped: Value = crate::document::from_str(yaml).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap(), untyped);
    }
    reads::<kubernetes::Service>(
        r"
selector: {app: a}
ports:
- {name: http, port: 80, targetPort: 8080, protocol: TCP, appProtocol: kubernetes.io/h2c}
- {name: named, port: 81, targetPort: web}
clusterIP: None
clusterIPs: [None]
externalName: a.example
type: ExternalName
publishNotReadyAddresses: true
",
    );
    reads::<kubernetes::EndpointSlice>(
        r"
addressType: IPv4
ports: [{name: http, port: 80, protocol: TCP, appProtocol: http}]
endpoints:
- addresses: [10.0.0.1]
  conditions: {ready: false, serving: true, terminating: true}
  hostname: h
  nodeName: node
  zone: z
  targetRef: {kind: Pod, name: p, namespace: ns}
  deprecatedTopology: {topology.kubernetes.io/region: r}
",
    );
    reads::<kubernetes::Endpoints>(
        r"
subsets:
- addresses: [{ip: 10.0.0.1, hostname: h, nodeName: node, targetRef: {kind: Pod, name: p, namespace: ns}}]
  notReadyAddresses: [{ip: 10.0.0.2}]
  ports: [{name: http, port: 80}]
",
    );
    reads::<kubernetes::Pod>(
        r"
spec: {serviceAccountName: sa, nodeName: node, containers: [{name: a, ports: [{name: web, containerPort: 8080, protocol: TCP}]}]}
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}], conditions: [{type: Ready, status: 'True'}]}
",
    );
    reads::<kubernetes::Secret>("{type: kubernetes.io/tls, data: {tls.crt: YQ==}, stringData: {tls.key: secret}}");
    reads::<kubernetes::ConfigMap>("{data: {mesh: 'a: b'}}");
    reads::<kubernetes::Namespace>("{}");
}

#[test]
fn what_kubernetes_has_beyond_that_is_passed_over() {
    let pod: kubernetes::Pod = crate::document::from_str(
        r"
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {containers: [{name: a, image: b, resources: {}}], volumes: []}
status: {qosClass: Burstable, conditions: [{type: Ready, status: 'False', lastProbeTime: null}]}
",
    )
    .unwrap();
    assert!(!pod.status.is_ready());
    let secret: kubernetes::Secret =
        crate::document::from_str("{kind: Secret, data: {a: YQ==, b: Yg==}, stringData: {b: c}}").unwrap();
    assert_eq!(secret.value("a"), Some(&b"a"[..]));
    assert_eq!(secret.value("b"), Some(&b"c"[..]));
    assert!(!format!("{secret:?}").contains("YQ"));
}

#[test]
fn port_level_mtls_takes_numbers_and_numbers_in_quotes_for_keys() {
    for yaml in [
        "portLevelMtls: {8080: {mode: STRICT}}",
        "portLevelMtls: {'8080': {mode: STRICT}}",
        "portLevelMtls: {\"8080\": {mode: 3}}",
    ] {
        let policy: PeerAuthentication = crate::document::from_str(yaml).unwrap();
        assert!(policy.port_level_mtls.is_some_and(|ports| ports.contains_key(&8080)), "{yaml}");
    }
    let empty: PeerAuthentication = crate::document::from_str("portLevelMtls: {}").unwrap();
    assert!(empty.port_level_mtls.is_some_and(|ports| ports.is_empty()));
}

#[test]
fn null_is_a_condition_everywhere_but_in_headers() {
    let service: VirtualService = crate::document::from_str(
        "http: [{match: [{withoutHeaders: {a: null}, queryParams: {b: null, c: {}}}, null]}]",
    )
    .unwrap();
    let matches = &service.http[0].matches;
    assert_eq!(matches.len(), 2);
    assert_eq!(matches[0].without_headers.len(), 1);
    assert_eq!(matches[0].query_params.len(), 2);
    let error = crate::document::from_str::<VirtualService>("http: [{match: [{headers: {a: null}}]}]").unwrap_err();
    assert!(error.contains("header match a cannot be null"), "{error}");
}

#[test]
fn a_rule_that_is_null_is_refused() {
    // An empty rule would match every request.
    for yaml in ["rules: [null]", "rules: [{from: [null]}]"] {
        assert!(crate::document::from_str::<AuthorizationPolicy>(yaml).is_err(), "{yaml}");
    }
    assert!(crate::document::from_str::<VirtualService>("http: [null]").is_err());
    assert!(crate::document::from_str::<RequestAuthentication>("jwtRules: [null]").is_err());
}

#[test]
fn a_tag_that_is_null_is_left_to_validation() {
    let telemetry: Telemetry = crate::document::from_str("tracing: [{customTags: {a: null}}]").unwrap();
    let tag = &telemetry.tracing[0].custom_tags["a"];
    assert!(tag.literal.is_none() && tag.header.is_none());
}
