//! Certificates change while requests are made.

use std::time::Duration;

use http::StatusCode;
use mesh_tower::identity::FileIdentity;

use crate::authority::Authority;
use crate::world::{SERVICE, ask, builder, caller, peer_authentication, server, service};

const STRICT: &str = "{mtls: {mode: STRICT}}";

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_certificates_are_replaced() {
    let ca = Authority::new();
    let own = ca.workload("server");
    let strict = builder(Some(own.clone())).config_yaml("p", peer_authentication(STRICT));
    let (_server, address) = server(strict).await;
    // Every connection serves one request, so that each makes a handshake.
    let entry = service(address, "HTTP", ", serviceAccount: server")
        + "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: s, namespace: default}\nspec: {host: server.default.svc.cluster.local, trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}}\n";
    let theirs = ca.workload("client");
    let client = builder(Some(theirs.clone())).config_yaml("s", entry).build().await.unwrap();
    let asking = tokio::spawn(async move {
        for _ in 0..400 {
            assert_eq!(caller(&client).await, "cluster.local/ns/default/sa/client");
        }
    });
    let mut rotations = 0;
    while rotations < 200 || !asking.is_finished() {
        own.replace(ca.material("spiffe://cluster.local/ns/default/sa/server"));
        theirs.replace(ca.material("spiffe://cluster.local/ns/default/sa/client"));
        rotations += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    asking.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_followed_and_broken_ones_leave_the_last_good() {
    let (ca, other) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().unwrap();
    ca.write(directory.path(), "server");
    let files = FileIdentity::directory(directory.path());
    let (_server, address) = server(builder(Some(files)).config_yaml("p", peer_authentication(STRICT))).await;
    let entry = service(address, "HTTP", ", serviceAccount: server");
    let client = |ca: &Authority| builder(Some(ca.workload("client"))).config_yaml("s", entry.clone()).build();
    assert_eq!(caller(&client(&ca).await.unwrap()).await, "cluster.local/ns/default/sa/client");

    // A key that belongs to nothing, then half a file: the old certificate serves on.
    std::fs::write(directory.path().join("key.pem"), other.issue(&[], |_| {}).key).unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(caller(&client(&ca).await.unwrap()).await, "cluster.local/ns/default/sa/client");
    std::fs::write(directory.path().join("cert-chain.pem"), "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(caller(&client(&ca).await.unwrap()).await, "cluster.local/ns/default/sa/client");

    other.write(directory.path(), "server");
    let stranger = client(&other).await.unwrap();
    let mut status = StatusCode::SERVICE_UNAVAILABLE;
    for _ in 0..100 {
        status = ask(&stranger, SERVICE).await.0;
        if status == StatusCode::OK {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ask(&client(&ca).await.unwrap(), SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_mesh_does_not_start_with_what_is_no_identity() {
    let directory = tempfile::tempdir().unwrap();
    let started = builder(Some(FileIdentity::directory(directory.path()))).build().await;
    assert!(started.unwrap_err().to_string().contains("cert-chain.pem"));
}
