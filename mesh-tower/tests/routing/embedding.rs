//! What an application needs to embed the mesh.

use std::time::Duration;

use axum::Router;
use mesh_tower::{Body, Mesh};
use tokio::net::TcpListener;

use crate::support::ask::ask;
use crate::support::documents::service;

#[tokio::test]
async fn a_service_calls_itself_through_the_mesh() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = service("app", 80, &[("v1", listener.local_addr().unwrap())]);
    let mesh = Mesh::builder().workload("default/app").config_yaml("app.yaml", own).build().await.unwrap();
    let client = mesh.client();
    let app = Router::new().route("/inner", axum::routing::get(|| async { "inner" })).route(
        "/outer",
        axum::routing::get(move || async move {
            let request = http::Request::get("http://app/inner").body(Body::empty()).unwrap();
            axum::body::Body::new(client.send(request).await.into_body())
        }),
    );
    let server = mesh.clone();
    tokio::spawn(async move { server.serve(listener, app).await });
    assert_eq!(ask(&mesh.client(), "http://app/outer", &[]).await.body, "inner");
    mesh.shutdown(Duration::from_secs(1)).await;
}

const _: fn() = || {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn transport<T: tonic::client::GrpcService<tonic::body::Body> + Clone + Send + Sync + 'static>() {}
    fn service<T: tower::Service<http::Request<axum::body::Body>>>() {}
    shared::<Mesh>();
    shared::<mesh_tower::inbound::InboundLayer>();
    transport::<mesh_tower::MeshClient>();
    service::<mesh_tower::MeshClient>();
    #[allow(dead_code, reason = "only has to compile")]
    async fn serves(mesh: Mesh, a: TcpListener, b: TcpListener, router: Router, routes: tonic::service::Routes) {
        let _ = mesh.serve(a, router).await;
        let _ = mesh.serve(b, routes).await;
    }
};
