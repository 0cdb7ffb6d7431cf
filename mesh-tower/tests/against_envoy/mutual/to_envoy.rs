//! Our client calls a server behind an Envoy, which wants certificates of its trust domain.

use std::net::SocketAddr;

use http::StatusCode;
use mesh_tower::Mesh;
use mesh_tower::identity::{Material, MemoryIdentity};

use super::app::{self, Answer, Count};
use super::sidecar::{self, Tls};
use super::{CLIENT, Certificates, FOREIGN, SERVER, SERVER_NAME, forwarded};
use crate::authority::{Authority, Issued};
use crate::envoy::{self, Envoy};
use crate::world::{builder, destination_rule, service};

const VERSIONS: [&str; 2] = ["TLSv1_2", "TLSv1_3"];

/// A server's sidecar with its application, in one version of TLS.
struct Server {
    envoy: Envoy,
    count: Count,
}

impl Server {
    async fn start(binary: &std::path::Path, certificates: &Certificates, shown: &Issued, version: &str) -> Self {
        let (application, count) = app::behind_sidecar().await;
        let roots = certificates.ca.pem();
        let tls = Tls { version, shown: Some(shown), roots: &roots, expected: ("prefix", "spiffe://cluster.local/") };
        let envoy = Envoy::run(binary, &sidecar::of_server(&tls, application).to_string()).await;
        Self { envoy, count }
    }
}

/// An identity that believes in an authority.
fn identity(shown: &Issued, believed: &Authority) -> MemoryIdentity {
    MemoryIdentity::new(Material::from_pem(&shown.chain, &shown.key, believed.pem()).unwrap())
}

async fn client(identity: Option<MemoryIdentity>, documents: String) -> Mesh {
    builder(identity).config_yaml("client.yaml", documents).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_takes_our_client_by_its_certificate() {
    let Some(binary) = envoy::binary() else { return };
    let certificates = Certificates::new();
    let (own, shown) = (certificates.of(CLIENT), certificates.of(SERVER));
    for version in VERSIONS {
        let server = Server::start(&binary, &certificates, &shown, version).await;
        for (protocol, told) in [("HTTP", "HTTP/1.1"), ("HTTP2", "HTTP/2")] {
            let named = format!("{{mode: ISTIO_MUTUAL, subjectAltNames: ['{SERVER}']}}");
            for (endpoint, rule) in [
                // Nobody has said how: mutual TLS, as the endpoint is of the mesh.
                (", serviceAccount: server", String::new()),
                (", serviceAccount: server", destination_rule("{mode: ISTIO_MUTUAL}")),
                ("", destination_rule(&named)),
            ] {
                let documents = service(server.envoy.address, protocol, endpoint) + &rule;
                let seen = app::ask(&client(Some(identity(&own, &certificates.ca)), documents).await).await.seen();
                let version = version.replace('_', ".");
                assert_eq!(seen["sidecar"], format!("mesh {told} {version} {SERVER_NAME}"), "{protocol} {rule}");
                assert_eq!(seen["forwarded"], forwarded(&own, CLIENT), "{protocol} {rule}");
            }
        }
    }
}

/// Whom Envoy refuses, and for what, as it counts it.
#[tokio::test(flavor = "multi_thread")]
async fn envoy_refuses_clients_that_do_not_prove_themselves() {
    let Some(binary) = envoy::binary() else { return };
    let certificates = Certificates::new();
    let shown = certificates.of(SERVER);
    let foreign = certificates.of(FOREIGN);
    let expired = certificates.expired(CLIENT);
    let impostor = certificates.impostor.issue(&[CLIENT], |_| {});
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, certificates.ca.pem()).unwrap();
    let checking = format!("caCertificates: {}, subjectAltNames: ['{SERVER}']", roots.display());
    let simple = format!("{{mode: SIMPLE, {checking}}}");
    let mutual = |name: &str, shown: &Issued| {
        let (chain, key) = (directory.path().join(format!("{name}.pem")), directory.path().join(format!("{name}.key")));
        std::fs::write(&chain, &shown.chain).unwrap();
        std::fs::write(&key, &shown.key).unwrap();
        let (chain, key) = (chain.display(), key.display());
        format!("{{mode: MUTUAL, clientCertificate: {chain}, privateKey: {key}, {checking}}}")
    };
    let cases = [
        ("nothing shown", simple, "fail_verify_no_cert"),
        ("wrong trust domain", mutual("foreign", &foreign), "fail_verify_san"),
        ("expired", mutual("expired", &expired), "fail_verify_error"),
        ("wrong root", mutual("impostor", &impostor), "fail_verify_error"),
    ];
    for version in VERSIONS {
        let server = Server::start(&binary, &certificates, &shown, version).await;
        for protocol in ["HTTP", "HTTP2"] {
            for (case, tls, counter) in &cases {
                let counter = format!("listener.main.ssl.{counter}");
                let before = server.envoy.counted(&counter).await;
                let documents = service(server.envoy.address, protocol, "") + &destination_rule(tls);
                let Answer { status, text } = app::ask(&client(None, documents).await).await;
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{case}, {protocol}, {version}: {text}");
                // It sends its alert first and counts then, which we may be told before.
                let counted = server.envoy.counts_more_than(&counter, before).await;
                assert!(counted, "{case}, {protocol}, {version}: Envoy does not count it as {counter}");
            }
        }
        assert_eq!(server.count.get(), 0, "the application has had requests");
    }
}

/// Which servers our client refuses, though Envoy would take it.
#[tokio::test(flavor = "multi_thread")]
async fn our_client_refuses_an_envoy_that_is_not_whom_it_expects() {
    let Some(binary) = envoy::binary() else { return };
    let certificates = Certificates::new();
    let own = certificates.of(CLIENT);
    let other = format!("{{mode: ISTIO_MUTUAL, subjectAltNames: ['{CLIENT}']}}");
    let (anybody, expects) = (destination_rule("{mode: ISTIO_MUTUAL}"), destination_rule(&other));
    let (good, foreign) = (certificates.of(SERVER), certificates.of("spiffe://elsewhere.example/ns/default/sa/server"));
    let expired = certificates.expired(SERVER);
    let cases: [(&str, &Issued, &Authority, &str, &str); 5] = [
        ("other name", &good, &certificates.ca, "", &expects),
        ("other account, automatic", &good, &certificates.ca, ", serviceAccount: other", ""),
        ("wrong trust domain", &foreign, &certificates.ca, "", &anybody),
        ("expired", &expired, &certificates.ca, "", &anybody),
        ("wrong root", &good, &certificates.impostor, "", &anybody),
    ];
    for (case, shown, believed, endpoint, rule) in cases {
        for version in VERSIONS {
            let server = Server::start(&binary, &certificates, shown, version).await;
            for protocol in ["HTTP", "HTTP2"] {
                let address: SocketAddr = server.envoy.address;
                let documents = service(address, protocol, endpoint) + rule;
                let Answer { status, text } = app::ask(&client(Some(identity(&own, believed)), documents).await).await;
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{case}, {protocol}, {version}: {text}");
            }
            assert_eq!(server.count.get(), 0, "{case}: the application has had requests");
        }
    }
}
