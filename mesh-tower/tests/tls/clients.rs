//! TLS as DestinationRules ask for it.

use std::path::Path;

use http::StatusCode;
use mesh_tower::identity::{MemoryIdentity, danger};

use crate::authority::{Authority, Issued};
use crate::world::{SERVICE, ask, builder, caller, destination_rule, peer_authentication, server, service};

const NOBODY: Option<MemoryIdentity> = None;

async fn status(config: String, ca: &Authority) -> StatusCode {
    let client = builder(Some(ca.workload("client"))).config_yaml("s", config).build().await.unwrap();
    ask(&client, SERVICE).await.0
}

#[tokio::test]
async fn a_server_of_the_mesh_has_to_be_who_it_is_expected_to_be() {
    let ca = Authority::new();
    let strict = builder(Some(ca.workload("server"))).config_yaml("p", peer_authentication("{mtls: {mode: STRICT}}"));
    let (_server, address) = server(strict).await;
    let with = |endpoint: &str, tls: &str| service(address, "HTTP", endpoint) + &destination_rule(tls);
    assert_eq!(status(with("", "{mode: ISTIO_MUTUAL}"), &ca).await, StatusCode::OK, "anybody of the mesh");
    let own = with(", serviceAccount: server", "{mode: ISTIO_MUTUAL}");
    assert_eq!(status(own.clone(), &ca).await, StatusCode::OK);
    let other = with(", serviceAccount: other", "{mode: ISTIO_MUTUAL}");
    assert_eq!(status(other, &ca).await, StatusCode::SERVICE_UNAVAILABLE);
    let named = "{mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://cluster.local/ns/default/sa/server']}";
    assert_eq!(status(with(", serviceAccount: other", named), &ca).await, StatusCode::OK);
    assert_eq!(status(own, &Authority::new()).await, StatusCode::SERVICE_UNAVAILABLE, "another root");
    // Nothing is sent unprotected for want of a certificate.
    let client = builder(NOBODY).config_yaml("s", with("", "{mode: ISTIO_MUTUAL}")).build().await.unwrap();
    assert_eq!(ask(&client, SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

/// A server of the web, with a certificate for DNS names.
pub(crate) async fn web(ca: &Authority, names: &[&str]) -> std::net::SocketAddr {
    let Issued { chain, key } = ca.issue(names, |_| {});
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = crate::world::web_config(&chain, &key);
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(config.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(io).await else { return };
                let name = stream.get_ref().1.server_name().unwrap_or("-").to_owned();
                let answer = hyper::service::service_fn(move |_| {
                    let name = name.clone();
                    async move {
                        Ok::<_, std::convert::Infallible>(http::Response::new(
                            http_body_util::Full::<bytes::Bytes>::from(name),
                        ))
                    }
                });
                let _gone = hyper::server::conn::http1::Builder::new()
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), answer)
                    .await;
            });
        }
    });
    address
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn simple_tls_sends_a_name_and_checks_one() {
    let ca = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    let roots = write(directory.path(), "ca.pem", &ca.pem());
    let foreign = write(directory.path(), "foreign.pem", &Authority::new().pem());
    let address = web(&ca, &["server.default.svc.cluster.local", "db.example.com"]).await;
    let asked = async |tls: &str| {
        let config = service(address, "HTTP", "") + &destination_rule(tls);
        let client = builder(NOBODY).config_yaml("s", config).build().await.unwrap();
        ask(&client, SERVICE).await
    };
    let host = "server.default.svc.cluster.local".to_owned();
    assert_eq!(asked(&format!("{{mode: SIMPLE, caCertificates: {roots}}}")).await, (StatusCode::OK, host));
    let (status, name) = asked(&format!("{{mode: SIMPLE, caCertificates: {roots}, sni: db.example.com}}")).await;
    assert_eq!((status, name.as_str()), (StatusCode::OK, "db.example.com"));
    for refused in [
        format!("{{mode: SIMPLE, caCertificates: {foreign}}}"),
        format!("{{mode: SIMPLE, caCertificates: {roots}, subjectAltNames: [other.example.com]}}"),
        format!("{{mode: SIMPLE, caCertificates: {}/none.pem}}", directory.path().display()),
        "{mode: SIMPLE, insecureSkipVerify: true}".to_owned(),
        "{mode: SIMPLE}".to_owned(),
    ] {
        assert_eq!(asked(&refused).await.0, StatusCode::SERVICE_UNAVAILABLE, "{refused}");
    }
    let config = service(address, "HTTP", "") + &destination_rule("{mode: SIMPLE, insecureSkipVerify: true}");
    let client = danger::allow_insecure_skip_verify(builder(NOBODY)).config_yaml("s", config).build().await.unwrap();
    assert_eq!(ask(&client, SERVICE).await.0, StatusCode::OK);
}

#[tokio::test]
async fn mutual_tls_shows_the_certificate_of_the_files() {
    let ca = Authority::new();
    let strict = builder(Some(ca.workload("server"))).config_yaml("p", peer_authentication("{mtls: {mode: STRICT}}"));
    let (_server, address) = server(strict).await;
    let directory = tempfile::tempdir().unwrap();
    let Issued { chain, key } = ca.issue(&["spiffe://cluster.local/ns/default/sa/file"], |_| {});
    let (roots, chain, key) = (
        write(directory.path(), "ca.pem", &ca.pem()),
        write(directory.path(), "chain.pem", &chain),
        write(directory.path(), "key.pem", &key),
    );
    let tls = format!(
        "{{mode: MUTUAL, caCertificates: {roots}, clientCertificate: {chain}, privateKey: {key}, subjectAltNames: ['spiffe://cluster.local/ns/default/sa/server']}}"
    );
    let config = service(address, "HTTP", "") + &destination_rule(&tls);
    let client = builder(NOBODY).config_yaml("s", config).build().await.unwrap();
    assert_eq!(caller(&client).await, "cluster.local/ns/default/sa/file");
}

#[tokio::test]
async fn a_request_to_https_is_never_sent_in_plaintext() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let (_server, plain) = server(builder(NOBODY)).await;
    let config = service(plain, "HTTP", "");
    let client = builder(NOBODY).config_yaml("s", config).build().await.unwrap();
    assert_eq!(ask(&client, SERVICE).await.0, StatusCode::OK);
    let uri = format!("https://127.0.0.1:{}/", plain.port());
    assert_eq!(ask(&client, &uri).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let _nobody = address;
}
