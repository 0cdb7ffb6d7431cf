//! Attacks on a gateway, with an application behind it that is no mesh.

use axum::Router;
use mesh_tower::MeshBuilder;
use tokio::net::TcpListener;

use crate::case::{Outcome, Reached, noting, send};
use crate::secure::Caller;

/// A gateway of one server, which sends everything to the application.
fn documents(server: &str, port: u16) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: edge, namespace: default}}\nspec: {{selector: {{app: app}}, servers: [{{hosts: ['*'], {server}}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: edge, namespace: default}}\nspec: {{hosts: ['*'], gateways: [edge], http: [{{route: [{{destination: {{host: behind.example}}}}]}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: behind, namespace: default}}\nspec: {{hosts: [behind.example], resolution: STATIC, location: MESH_EXTERNAL, \
         ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]}}\n"
    )
}

/// Sends bytes to a gateway, and tells what came of them.
pub(crate) async fn attack(builder: MeshBuilder, caller: &Caller, bytes: &[u8], is_http2: bool) -> Outcome {
    let reached = Reached::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = listener.local_addr().unwrap().port();
    let app = Router::new().fallback_service(noting!(&reached));
    let application = tokio::spawn(async move { axum::serve(listener, app).await });
    let (port, server) = match caller {
        Caller::Plaintext => (80, "port: {number: 80, name: http, protocol: HTTP}"),
        Caller::Tls { .. } => (443, "port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: ISTIO_MUTUAL}"),
    };
    let mesh = builder.config_yaml("edge.yaml", documents(server, behind)).build().await.unwrap();
    let gateway = mesh.gateway().map_port(port, 0).address([127, 0, 0, 1]).start().await.unwrap();
    let status = send(gateway.address_of(port).unwrap(), caller, bytes, is_http2).await;
    application.abort();
    Outcome::of(status, &reached)
}
