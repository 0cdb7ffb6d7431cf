//! Policies about our own port and address, where it is known and where it is not.

use std::net::SocketAddr;

use http::StatusCode;
use mesh_tower::serve::{Listener, ServeOptions};
use mesh_tower::{Body, Mesh};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tower::ServiceExt as _;
use tower_layer::Layer as _;

async fn guarded(spec: &str) -> Mesh {
    let policy = format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: default}}\nspec: {spec}\n"
    );
    Mesh::builder().workload("default/app").label("app", "app").config_yaml("p", policy).build().await.unwrap()
}

fn app() -> axum::Router {
    axum::Router::new().fallback(|| async { "hello" })
}

async fn status_over(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> u16 {
    stream.write_all(b"GET /a HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Serves, and lets the task go on with the test.
fn serve<L: Listener>(mesh: Mesh, listener: L, options: ServeOptions) {
    tokio::spawn(async move { mesh.serve_with(listener, app(), options).await });
}

#[tokio::test]
async fn a_layer_that_does_not_know_its_port_lets_nobody_in_by_a_rule_about_ports() {
    let request = || http::Request::get("/a").header("host", "app").body(Body::empty()).unwrap();
    for (spec, at_8080, unsaid) in [
        ("{action: DENY, rules: [{to: [{operation: {paths: [/a], ports: [\"8080\"]}}]}]}", 403, 403),
        ("{action: DENY, rules: [{to: [{operation: {paths: [/b], ports: [\"8080\"]}}]}]}", 200, 200),
        ("{action: DENY, rules: [{to: [{operation: {notPorts: [\"8080\"]}}]}]}", 200, 403),
        ("{rules: [{to: [{operation: {ports: [\"8080\"]}}]}]}", 200, 403),
        ("{rules: [{to: [{operation: {notPorts: [\"9090\"]}}]}]}", 200, 403),
        ("{rules: [{when: [{key: destination.ip, notValues: [10.0.0.1]}]}]}", 200, 403),
    ] {
        let mesh = guarded(spec).await;
        let said = mesh.inbound().at(([127, 0, 0, 1], 8080).into()).layer(app());
        assert_eq!(said.oneshot(request()).await.unwrap().status().as_u16(), at_8080, "{spec}");
        let layer = mesh.inbound().layer(app());
        assert_eq!(layer.oneshot(request()).await.unwrap().status().as_u16(), unsaid, "{spec}");
    }
    let unrelated = guarded("{action: DENY, rules: [{to: [{operation: {paths: [/b]}}]}]}").await;
    let layer = unrelated.inbound().layer(app());
    assert_eq!(layer.oneshot(request()).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn bound_to_all_addresses_ours_is_that_of_the_connection() {
    for (spec, expected) in [
        ("{action: DENY, rules: [{when: [{key: destination.ip, values: [127.0.0.1]}]}]}", 403),
        ("{action: DENY, rules: [{when: [{key: destination.ip, values: [10.0.0.1]}]}]}", 200),
        ("{rules: [{when: [{key: destination.ip, values: [127.0.0.0/8]}]}]}", 200),
    ] {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        serve(guarded(spec).await, vec![listener], ServeOptions::new());
        let status = status_over(TcpStream::connect(("127.0.0.1", port)).await.unwrap()).await;
        assert_eq!(status, expected, "{spec}");
    }
}

#[tokio::test]
async fn a_unix_socket_has_the_port_that_it_is_given_and_counts_as_any_without_one() {
    let spec = "{rules: [{to: [{operation: {ports: [\"8080\"]}}]}]}";
    let directory = tempfile::tempdir().unwrap();
    let somewhere: SocketAddr = ([127, 0, 0, 1], 8080).into();
    for (name, options, expected) in [
        ("none", ServeOptions::new(), 403),
        ("port", ServeOptions::new().workload_port(8080), 200),
        ("other", ServeOptions::new().workload_port(9090), 403),
        ("place", ServeOptions::new().policy_address(somewhere), 200),
    ] {
        let path = directory.path().join(name);
        serve(guarded(spec).await, UnixListener::bind(&path).unwrap(), options);
        assert_eq!(status_over(UnixStream::connect(&path).await.unwrap()).await, expected, "{name}");
    }
}
