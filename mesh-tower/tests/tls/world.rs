//! Servers that tell who calls, and clients that call them.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use mesh_tower::identity::{IdentitySource, Peer};
use mesh_tower::{Body, Mesh, MeshBuilder};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

pub(crate) const ME: &str = "spiffe://cluster.local/ns/default/sa/server";

pub(crate) fn peer_authentication(spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p, namespace: default}}\nspec: {spec}\n"
    )
}

pub(crate) fn builder(identity: Option<impl IdentitySource>) -> MeshBuilder {
    let builder = Mesh::builder().workload("default/app").label("app", "app");
    match identity {
        Some(identity) => builder.identity(identity),
        None => builder,
    }
}

/// Answers who has called, and which header says so.
pub(crate) fn app() -> Router {
    #[cfg(feature = "axum")]
    let router = Router::new().route(
        "/extracted",
        get(|peer: Peer| async move { format!("{} {}", peer.principal().unwrap_or("nobody"), peer.is_tls()) }),
    );
    #[cfg(not(feature = "axum"))]
    let router = Router::new();
    router.route(
        "/",
        get(|Extension(peer): Extension<Peer>, headers: HeaderMap| async move {
            let told = headers.get("x-forwarded-client-cert").map(|value| value.to_str().unwrap().to_owned());
            let scheme = headers["x-forwarded-proto"].to_str().unwrap().to_owned();
            format!("{} {} {}", peer.principal().unwrap_or("nobody"), scheme, told.unwrap_or_default())
        }),
    )
}

/// A mesh that serves, and where.
pub(crate) async fn server(builder: MeshBuilder) -> (Mesh, SocketAddr) {
    let mesh = builder.build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = mesh.clone();
    tokio::spawn(async move { serving.serve(listener, app()).await });
    (mesh, address)
}

/// A service `server.default` at an address; `endpoint` says more about it.
pub(crate) fn service(address: SocketAddr, protocol: &str, endpoint: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: server, namespace: default}}\nspec:\n  hosts: [server.default.svc.cluster.local]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  ports: [{{number: 80, name: main, protocol: {protocol}}}]\n  endpoints: [{{address: {}, ports: {{main: {}}}{endpoint}}}]\n",
        address.ip(),
        address.port()
    )
}

pub(crate) fn destination_rule(tls: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: server, namespace: default}}\nspec: {{host: server.default.svc.cluster.local, trafficPolicy: {{tls: {tls}}}}}\n"
    )
}

/// Asks the service, or another URI.
pub(crate) async fn ask(mesh: &Mesh, uri: &str) -> (StatusCode, String) {
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = mesh.client().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

pub(crate) const SERVICE: &str = "http://server.default.svc.cluster.local/";

/// Who the server says has called.
pub(crate) async fn caller(mesh: &Mesh) -> String {
    let (status, text) = ask(mesh, SERVICE).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    text.split(' ').next().unwrap().to_owned()
}

/// TLS of a server that is no mesh.
pub(crate) fn web_config(chain: &str, key: &str) -> std::sync::Arc<rustls::ServerConfig> {
    let groups = rustls::crypto::aws_lc_rs::default_provider().kx_groups;
    web_config_of(chain, key, rustls::DEFAULT_VERSIONS, &groups)
}

/// The same, with versions and groups.
pub(crate) fn web_config_of(
    chain: &str,
    key: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
    groups: &[&'static dyn rustls::crypto::SupportedKxGroup],
) -> std::sync::Arc<rustls::ServerConfig> {
    use rustls_pki_types::pem::PemObject as _;
    let chain =
        rustls_pki_types::CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = groups.to_vec();
    let config = rustls::ServerConfig::builder_with_provider(provider.into()).with_protocol_versions(versions).unwrap();
    std::sync::Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}
