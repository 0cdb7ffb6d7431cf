//! Who calls whom by their certificates, on both sides.

use axum::Router;
use axum::routing::get;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use mesh_tower::{Body, Mesh};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::authority::Authority;
use super::{REQUESTS, Scrape};

/// `server` at two ports, of which one takes mutual TLS only where it is asked for.
fn service(port: u16) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: server, namespace: default}}
spec:
  hosts: [server.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http-main, protocol: HTTP}}, {{number: 81, name: http2-more, protocol: HTTP2}}, {{number: 82, name: http-plain, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http-main: {port}, http2-more: {port}, http-plain: {port}}}, labels: {{app: server}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: server, namespace: default}}
spec:
  host: server.default.svc.cluster.local
  trafficPolicy:
    tls: {{mode: ISTIO_MUTUAL}}
    portLevelSettings: [{{port: {{number: 82}}, tls: {{mode: DISABLE}}}}]
"
    )
}

#[tokio::test]
async fn both_sides_tell_who_the_other_has_proved_to_be_and_nothing_where_nobody_has() {
    let ca = Authority::new();
    let (at_client, at_server) = (Scrape::new(), Scrape::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Mesh::builder().workload("default/server").label("app", "server").identity(ca.workload("server"));
    let server = server.meter_provider(&at_server.provider).build().await.unwrap();
    let mut serving = JoinSet::new();
    let app = Router::new().route("/", get(|| async { "here" }));
    serving.spawn(async move { server.serve(listener, app).await.unwrap() });
    let client = Mesh::builder().workload("default/client").label("app", "client").identity(ca.workload("client"));
    let client = client.config_yaml("server.yaml", service(port)).meter_provider(&at_client.provider);
    let client = client.build().await.unwrap();
    let ask = async |port: u16| {
        let request = Request::get(format!("http://server:{port}/")).body(Body::empty()).unwrap();
        let response = client.client().send(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    };
    for (port, times) in [(80, 3), (81, 2), (82, 4)] {
        for _ in 0..times {
            ask(port).await;
        }
    }
    let proved = [
        ("source_principal", "spiffe://cluster.local/ns/default/sa/client"),
        ("destination_principal", "spiffe://cluster.local/ns/default/sa/server"),
    ];
    let unknown = [("source_principal", "unknown"), ("destination_principal", "unknown")];
    for (labels, times) in [(proved, 5.0), (unknown, 4.0)] {
        // The caller's side does not say how the connection is protected, as in Istio.
        let source = [("reporter", "source"), ("connection_security_policy", "unknown")];
        at_client.until(REQUESTS, &[&labels[..], &source].concat(), times).await;
        let policy = if labels == proved { "mutual_tls" } else { "none" };
        let destination = [("reporter", "destination"), ("connection_security_policy", policy)];
        at_server.until(REQUESTS, &[&labels[..], &destination].concat(), times).await;
    }
    for scrape in [&at_client, &at_server] {
        assert_eq!(scrape.lines(REQUESTS, &[("destination_service_name", "server")]).len(), 2, "{}", scrape.text());
    }
}
