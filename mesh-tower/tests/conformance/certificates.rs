//! Certificates of peers, each in a real handshake: the suite `security/spiffe_certs`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use http_body_util::BodyExt as _;
use mesh_tower::identity::{Material, MemoryIdentity, Peer, danger};
use mesh_tower::{Body, Mesh, MeshBuilder};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::anybody::{Anybody, provider, seconds};

#[derive(Debug, Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    peer_role: String,
    chain: PathBuf,
    key: PathBuf,
    roots: PathBuf,
    trust_domains: Vec<String>,
    clock: String,
    expected: Expected,
}

#[derive(Debug, Deserialize)]
struct Expected {
    verdict: String,
    identity: Option<String>,
}

const SERVER: &str = "spiffe://cluster.local/ns/default/sa/server";

/// Each case with what is wrong about it.
pub(crate) async fn play(folder: &Path) -> Vec<(String, Option<String>)> {
    let text = fs::read_to_string(folder.join("spiffe_certs.json")).unwrap();
    let file: File = serde_json::from_str(&text).unwrap();
    let mut results = Vec::new();
    for case in file.cases {
        let seen = match case.peer_role.as_str() {
            "client" => as_client(folder, &case).await,
            "server" => as_server(folder, &case).await,
            _ => load(folder, &case).map(|_| SERVER.to_owned()),
        };
        let wrong = match (case.expected.verdict.as_str(), &seen) {
            ("accept", Ok(id)) if case.expected.identity.as_ref().is_none_or(|wanted| wanted == id) => None,
            ("reject" | "load-error", Err(_)) => None,
            (wanted, seen) => Some(format!("should {wanted}, but {seen:?}")),
        };
        results.push((case.id, wrong));
    }
    results
}

fn read(folder: &Path, name: &Path) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{}: {error}", name.display()))
}

fn load(folder: &Path, case: &Case) -> Result<Material, String> {
    Material::from_pem(read(folder, &case.chain), read(folder, &case.key), read(folder, &case.roots))
        .map_err(|problem| problem.to_string())
}

/// A mesh at the time of a case, with the case's roots. Those beside the mesh's own are another domain's.
fn mesh(folder: &Path, case: &Case) -> MeshBuilder {
    let (chain, key) = (Path::new("certs/server-ok.chain.pem"), Path::new("certs/server-ok.key.pem"));
    let own = String::from_utf8(read(folder, Path::new("certs/root.pem"))).unwrap();
    let roots = String::from_utf8(read(folder, &case.roots)).unwrap();
    let others = roots.replace(own.trim(), "");
    let two_domains = others.contains("BEGIN") && others.len() < roots.len();
    let roots = if two_domains { own } else { roots };
    let mut material = Material::from_pem(read(folder, chain), read(folder, key), roots).unwrap();
    if two_domains {
        material = material.with_roots(&"other.example".parse().unwrap(), others).unwrap();
    }
    let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds(&case.clock));
    let (own, aliases) = case.trust_domains.split_first().unwrap();
    let config = format!("trustDomain: {own}\ntrustDomainAliases: {aliases:?}\n");
    danger::calendar(Mesh::builder().workload("default/server").label("app", "server"), move || clock)
        .identity(MemoryIdentity::new(material))
        .mesh_config_yaml(config)
}

/// The certificate is a caller's.
async fn as_client(folder: &Path, case: &Case) -> Result<String, String> {
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: default}\nspec: {mtls: {mode: STRICT}}\n";
    let mesh = mesh(folder, case).config_yaml("p", strict).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app =
        Router::new().route("/", get(|Extension(peer): Extension<Peer>| async move { peer.id().unwrap().to_string() }));
    let serving = tokio::spawn({
        let mesh = mesh.clone();
        async move { mesh.serve(listener, app).await }
    });
    let answer = call(folder, case, address).await;
    serving.abort();
    answer
}

async fn call(folder: &Path, case: &Case, address: SocketAddr) -> Result<String, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let key = shown(folder, case)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("server").unwrap();
    let mut stream = connector.connect(name, stream).await.map_err(|error| said(&error))?;
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    asked.map_err(|error| said(&error))?;
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    match answer.strip_prefix("HTTP/1.1 200") {
        Some(rest) => Ok(rest.rsplit("\r\n").next().unwrap_or_default().to_owned()),
        None => Err(format!("{read:?} {answer}")),
    }
}

/// The certificate is an endpoint's.
async fn as_server(folder: &Path, case: &Case) -> Result<String, String> {
    let key = shown(folder, case)?;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&read(folder, Path::new("certs/root.pem"))) {
        roots.add(root.unwrap()).unwrap();
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let serving = tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(io).await else { continue };
            let mut head = [0; 4096];
            let _gone = stream.read(&mut head).await;
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    let documents = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s, namespace: default}}\nspec:\n  hosts: [s.default.svc.cluster.local]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n  endpoints: [{{address: 127.0.0.1, ports: {{http: {}}}}}]\n---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: s, namespace: default}}\nspec: {{host: s.default.svc.cluster.local, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL, subjectAltNames: ['{SERVER}']}}}}}}\n",
        address.port()
    );
    let mesh = mesh(folder, case).config_yaml("s", documents).build().await.unwrap();
    let request = http::Request::get("http://s.default.svc.cluster.local/").body(Body::empty()).unwrap();
    let response = mesh.client().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serving.abort();
    if status.is_success() { Ok(SERVER.to_owned()) } else { Err(format!("{status} {body:?}")) }
}

/// What the peer shows, whether its key fits or not.
fn shown(folder: &Path, case: &Case) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(&read(folder, &case.chain)).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&read(folder, &case.key)).unwrap();
    // A key that our own side of TLS cannot use cannot be shown.
    let key = provider().key_provider.load_private_key(key).map_err(|error| error.to_string())?;
    Ok(CertifiedKey::new(chain, key))
}
