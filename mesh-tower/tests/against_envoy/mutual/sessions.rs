//! Sessions are taken up again, by Envoy with our server and by our client with Envoy's, and what has to be checked is
//! checked again: whoever is known stays who he is, and a change of certificates begins anew.

use mesh_tower::identity::{Material, MemoryIdentity};
use serde_json::json;

use super::app;
use super::sidecar::{self, Http, Tls, Way};
use super::{CLIENT, Certificates, SERVER, STRANGER, forwarded};
use crate::authority::Issued;
use crate::envoy::{self, Envoy};
use crate::world::{builder, peer_authentication, service};

const VERSIONS: [&str; 2] = ["TLSv1_2", "TLSv1_3"];
/// So that each request makes a connection.
const ONE_REQUEST: &str = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: s, namespace: default}\n\
    spec: {host: server.default.svc.cluster.local, trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}}\n";

fn material(certificates: &Certificates, issued: &Issued) -> Material {
    Material::from_pem(&issued.chain, &issued.key, certificates.ca.pem()).unwrap()
}

/// Handshakes, and how many of them took a session up again.
async fn counts(envoy: &Envoy, of: &str) -> (u64, u64) {
    (envoy.counted(&format!("{of}.ssl.handshake")).await, envoy.counted(&format!("{of}.ssl.session_reused")).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_takes_sessions_with_our_server_up_again_until_its_certificate_changes() {
    let Some(binary) = envoy::binary() else { return };
    let certificates = Certificates::new();
    let (own, roots) = (certificates.of(CLIENT), certificates.ca.pem());
    let identity = MemoryIdentity::new(material(&certificates, &certificates.of(SERVER)));
    let strict = peer_authentication("{mtls: {mode: STRICT}}");
    let mesh = builder(Some(identity.clone())).config_yaml("server.yaml", strict).build().await.unwrap();
    let (address, _) = app::by_mesh(&mesh).await;
    let way = |version: &'static str| {
        let tls = Tls { version, shown: Some(&own), roots: &roots, expected: ("exact", SERVER) };
        let offered: &[&str] = &["istio-http/1.1", "istio", "http/1.1"];
        Way { name: version.to_owned(), offered, http: Http::One, tls: Some(tls) }
    };
    let ways = VERSIONS.map(way);
    let mut config = sidecar::of_client(&ways, address);
    for cluster in config["static_resources"]["clusters"].as_array_mut().unwrap() {
        let options = &mut cluster["typed_extension_protocol_options"];
        let options = &mut options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
        options["common_http_protocol_options"] = json!({"max_requests_per_connection": 1});
    }
    let envoy = Envoy::run(&binary, &config.to_string()).await;
    for version in VERSIONS {
        let cluster = format!("cluster.{version}");
        let known = async || {
            let seen = app::through(envoy.address, version, None).await.seen();
            assert_eq!(seen["principal"], "cluster.local/ns/default/sa/client", "{version}");
            assert_eq!(seen["forwarded"], forwarded(&own, CLIENT), "{version}");
        };
        for _ in 0..6 {
            known().await;
        }
        let (made, again) = counts(&envoy, &cluster).await;
        assert!(made == 6 && again >= 4, "{version}: {again} of {made}");
        identity.replace(material(&certificates, &certificates.of(SERVER)));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        known().await;
        assert_eq!(counts(&envoy, &cluster).await, (7, again), "{version}: the first one is a new one");
        known().await;
        let (made, later) = counts(&envoy, &cluster).await;
        assert!(made == 8 && later > again, "{version}: {later} of {made}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_takes_sessions_with_envoy_up_again_until_its_own_certificate_changes() {
    let Some(binary) = envoy::binary() else { return };
    let certificates = Certificates::new();
    let (own, shown, roots) = (certificates.of(CLIENT), certificates.of(SERVER), certificates.ca.pem());
    for version in VERSIONS {
        let (application, _) = app::behind_sidecar().await;
        let tls = Tls { version, shown: Some(&shown), roots: &roots, expected: ("prefix", "spiffe://cluster.local/") };
        let envoy = Envoy::run(&binary, &sidecar::of_server(&tls, application).to_string()).await;
        let identity = MemoryIdentity::new(material(&certificates, &own));
        let documents = service(envoy.address, "HTTP", ", serviceAccount: server") + ONE_REQUEST;
        let mesh = builder(Some(identity.clone())).config_yaml("client.yaml", documents).build().await.unwrap();
        for _ in 0..6 {
            assert_eq!(app::ask(&mesh).await.seen()["forwarded"], forwarded(&own, CLIENT), "{version}");
        }
        let (made, again) = counts(&envoy, "listener.main").await;
        assert!(made == 6 && again >= 4, "{version}: {again} of {made}");
        // Another session would tell Envoy that we are who we were.
        let other = certificates.of(STRANGER);
        identity.replace(material(&certificates, &other));
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(app::ask(&mesh).await.seen()["forwarded"], forwarded(&other, STRANGER), "{version}");
        assert_eq!(counts(&envoy, "listener.main").await, (7, again), "{version}");
        assert_eq!(app::ask(&mesh).await.seen()["forwarded"], forwarded(&other, STRANGER), "{version}");
        let (made, later) = counts(&envoy, "listener.main").await;
        assert!(made == 8 && later > again, "{version}: {later} of {made}");
    }
}
