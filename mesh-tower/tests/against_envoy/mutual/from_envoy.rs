//! Envoy calls our server, whose PeerAuthentication is `STRICT` and whose AuthorizationPolicy names one principal.

use http::StatusCode;
use mesh_tower::Mesh;
use mesh_tower::identity::{Material, MemoryIdentity};

use super::app::{self, Answer};
use super::sidecar::{self, Http, Tls, Way};
use super::{CLIENT, Certificates, FOREIGN, SERVER, SERVER_NAME, STRANGER, forwarded};
use crate::envoy::{self, Envoy};
use crate::world::{builder, peer_authentication};

const HTTP10: &[&str] = &["istio-http/1.0", "istio", "http/1.0"];
const HTTP11: &[&str] = &["istio-http/1.1", "istio", "http/1.1"];
const HTTP2: &[&str] = &["istio-h2", "istio", "h2"];
/// TLS 1.2 tells the client of a refusal within the handshake, TLS 1.3 after it.
const VERSIONS: [&str; 2] = ["TLSv1_2", "TLSv1_3"];

/// A server that lets [`CLIENT`] in, and nobody else.
async fn server(certificates: &Certificates) -> Mesh {
    let own = certificates.of(SERVER);
    let material = Material::from_pem(own.chain, own.key, certificates.ca.pem()).unwrap();
    let policy = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: default}\n\
        spec: {action: ALLOW, rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/client]}}]}]}\n";
    let documents = peer_authentication("{mtls: {mode: STRICT}}") + policy;
    builder(Some(MemoryIdentity::new(material))).config_yaml("server.yaml", documents).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_server_takes_envoy_by_its_certificate() {
    let Some(binary) = envoy::binary() else { return };
    let certificates = Certificates::new();
    let (mesh, own, roots) = (server(&certificates).await, certificates.of(CLIENT), certificates.ca.pem());
    let (address, _) = app::by_mesh(&mesh).await;
    let kinds = [
        ("http10", HTTP10, Http::One),
        ("http11", HTTP11, Http::One),
        ("http2", HTTP2, Http::Two),
        ("http11-without-istio", &["http/1.1"], Http::One),
        ("http2-without-istio", &["h2"], Http::Two),
        ("agreed", &[], Http::Agreed),
    ];
    let mut ways = Vec::new();
    for version in VERSIONS {
        for (name, offered, http) in kinds {
            let tls = Tls { version, shown: Some(&own), roots: &roots, expected: ("exact", SERVER) };
            ways.push(Way { name: format!("{name}-{version}"), offered, http, tls: Some(tls) });
        }
    }
    let envoy = Envoy::run(&binary, &sidecar::of_client(&ways, address).to_string()).await;
    for way in &ways {
        let seen = app::through(envoy.address, &way.name, None).await.seen();
        let version = if way.http == Http::One { "HTTP/1.1" } else { "HTTP/2.0" };
        assert_eq!(seen["version"], version, "{}", way.name);
        assert_eq!(seen["principal"], "cluster.local/ns/default/sa/client", "{}", way.name);
        assert_eq!((&seen["namespace"], &seen["account"]), (&"default".into(), &"client".into()), "{}", way.name);
        assert_eq!(seen["server_name"], SERVER_NAME, "{}", way.name);
        assert_eq!(seen["forwarded"], forwarded(&own, CLIENT), "{}", way.name);
        // What a caller writes into the header comes before what is proved, and is nobody's principal.
        let forged = "URI=spiffe://cluster.local/ns/default/sa/admin";
        let seen = app::through(envoy.address, &way.name, Some(forged)).await.seen();
        assert_eq!(seen["principal"], "cluster.local/ns/default/sa/client", "{}", way.name);
        assert!(seen["forwarded"].as_str().unwrap().ends_with(&forwarded(&own, CLIENT)), "{}: {seen}", way.name);
    }
}

/// Whom our server refuses, and which server Envoy refuses.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_prove_itself_comes_to_no_application() {
    let Some(binary) = envoy::binary() else { return };
    let certificates = Certificates::new();
    let mesh = server(&certificates).await;
    let (address, count) = app::by_mesh(&mesh).await;
    let (own, stranger, foreign) = (certificates.of(CLIENT), certificates.of(STRANGER), certificates.of(FOREIGN));
    let (expired, impostor) = (certificates.expired(CLIENT), certificates.impostor.issue(&[CLIENT], |_| {}));
    let (roots, others) = (certificates.ca.pem(), certificates.impostor.pem());
    let me = ("exact", SERVER);
    let cases = [
        ("nothing-shown", None, &roots, me),
        ("wrong-trust-domain", Some(&foreign), &roots, me),
        ("wrong-root", Some(&impostor), &roots, me),
        ("expired", Some(&expired), &roots, me),
        ("principal-not-allowed", Some(&stranger), &roots, me),
        ("other-server-expected", Some(&own), &roots, ("exact", STRANGER)),
        ("other-trust-domain-expected", Some(&own), &roots, ("prefix", "spiffe://elsewhere.example/")),
        ("other-root-expected", Some(&own), &others, me),
    ];
    let mut ways = Vec::new();
    for version in VERSIONS {
        for (kind, offered, http) in [("http11", HTTP11, Http::One), ("http2", HTTP2, Http::Two)] {
            ways.push(Way { name: format!("plaintext-{kind}-{version}"), offered, http, tls: None });
            for (name, shown, roots, expected) in cases {
                let tls = Some(Tls { version, shown, roots, expected });
                ways.push(Way { name: format!("{name}-{kind}-{version}"), offered, http, tls });
            }
        }
    }
    let envoy = Envoy::run(&binary, &sidecar::of_client(&ways, address).to_string()).await;
    for way in &ways {
        let Answer { status, text } = app::through(envoy.address, &way.name, None).await;
        if way.name.starts_with("principal-not-allowed") {
            assert_eq!((status, text.as_str()), (StatusCode::FORBIDDEN, "RBAC: access denied"), "{}", way.name);
        } else {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{}: {text}", way.name);
        }
        // Who has refused whom: Envoy counts what it has found wrong itself.
        for (counter, cause) in [("san", ["other-server", "other-trust"]), ("error", ["other-root"; 2])] {
            if way.tls.is_some() {
                let found = cause.iter().any(|cause| way.name.starts_with(cause));
                let counted = envoy.counted(&format!("cluster.{}.ssl.fail_verify_{counter}", way.name)).await;
                assert_eq!(counted > 0, found, "{}: fail_verify_{counter} is {counted}", way.name);
            }
        }
    }
    assert_eq!(count.get(), 0, "the application has had requests");
}
