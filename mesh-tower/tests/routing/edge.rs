//! The how-to's Gateway and the VirtualService bound to it, asked with `curl`.

use std::net::SocketAddr;

use mesh_tower::{Gateway, Mesh};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::how_to::MyApp;
use crate::support::curl::Curl;
use crate::support::lies_in_band;

const FILES: &[&str] = &["gateway-gateway.yaml", "virtualservice-my-app.yaml"];

/// Opens the gateway; it closes when dropped.
pub(crate) async fn open(mesh: &Mesh) -> (Gateway, SocketAddr) {
    let gateway = mesh.gateway().map_port(80, 0).map_port(443, 0).address([127, 0, 0, 1]).start().await.unwrap();
    let address = gateway.address_of(80).expect("the HTTP server is served");
    (gateway, address)
}

fn my_app(address: SocketAddr, path: &str) -> Curl {
    Curl::at(address, path).header("Host: my-app.example.com")
}

#[tokio::test]
async fn the_version_header_leads_to_v2_and_the_rest_is_split() {
    const REQUESTS: usize = 2_000;
    let Some(app) = MyApp::start().await else { return };
    let mesh = app.ingress(FILES).await;
    let (_gateway, address) = open(&mesh).await;
    assert_eq!(my_app(address, "/").header("version: v2").run_many(100).await, [200; 100]);
    assert_eq!((app.v1.count(), app.v2.count()), (0, 100));
    // Whoever asks for anything else is among all others.
    for line in ["version: v1", "version: v22", "version: V2", "x-version: v2"] {
        assert_eq!(my_app(address, "/").header(line).run().await.status, 200, "{line}");
    }
    let before = (app.v1.count(), app.v2.count());
    assert_eq!(my_app(address, "/").run_many(REQUESTS).await, [200; REQUESTS]);
    let counts = (app.v1.count() - before.0, app.v2.count() - before.1);
    assert_eq!(counts.0 + counts.1, REQUESTS);
    assert!(lies_in_band(counts.0, REQUESTS, 90.0), "{counts:?}");
}

#[tokio::test]
async fn the_upstream_sees_what_an_edge_tells_it() {
    let Some(app) = MyApp::start().await else { return };
    let mesh = app.ingress(FILES).await;
    let (_gateway, address) = open(&mesh).await;
    let claims = ["x-request-id: mine", "x-forwarded-for: 9.9.9.9", "x-forwarded-proto: https", "version: v2"];
    let curl = claims.iter().fold(my_app(address, "/a/b?c=d"), |curl, line| curl.header(line));
    let printed = curl.run().await;
    assert_eq!((printed.status, printed.by()), (200, "v2".into()));
    let seen = app.v2.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/a/b?c=d"));
    assert_eq!(seen.header("host"), "my-app.example.com");
    assert_eq!(seen.header("x-forwarded-for"), "9.9.9.9,127.0.0.1");
    assert_eq!(seen.header("x-forwarded-proto"), "http");
    assert_eq!(seen.header("x-envoy-attempt-count"), "1");
    assert!(seen.header("x-request-id").len() == 36, "an id of the edge's own: {}", seen.header("x-request-id"));
}

#[tokio::test]
async fn the_host_decides_however_it_is_written() {
    let Some(app) = MyApp::start().await else { return };
    let mesh = app.ingress(FILES).await;
    let (_gateway, address) = open(&mesh).await;
    for host in ["my-app.example.com", "MY-APP.Example.com", "my-app.example.com:80", "my-app.example.com:8443"] {
        assert_eq!(Curl::at(address, "/").header(&format!("Host: {host}")).run().await.status, 200, "{host}");
    }
    let reached = app.v1.count() + app.v2.count();
    // The server takes the second, but no rule is about it.
    for host in ["my-app.elsewhere.org", "other.example.com", "example.com", "my-app", "a.my-app.example.com"] {
        let printed = Curl::at(address, "/").header(&format!("Host: {host}")).run().await;
        assert_eq!((printed.status, &*printed.body), (404, ""), "{host}");
    }
    assert_eq!(app.v1.count() + app.v2.count(), reached);
    // In the form in which proxies are asked, the target names the host, whatever the header says.
    for (named, status) in [("my-app.example.com", 200), ("other.example.com", 404)] {
        let target = format!("http://{named}/");
        let proxied = Curl::at(address, "/").header("Host: my-app.example.com");
        assert_eq!(proxied.with(&["--request-target", &target]).run().await.status, status, "{named}");
    }
    let over_http2 = my_app(address, "/").with(&["--http2-prior-knowledge"]).run().await;
    assert_eq!(over_http2.status, 200);
}

#[tokio::test]
async fn the_https_server_refuses_connections_without_its_secret_and_the_other_one_works() {
    let Some(app) = MyApp::start().await else { return };
    let mesh = app.ingress(FILES).await;
    let (gateway, address) = open(&mesh).await;
    let secure = gateway.address_of(443).expect("it listens");
    assert!(gateway.not_served().is_empty());
    let mut plain = TcpStream::connect(secure).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: my-app.example.com\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "no plaintext is answered there");
    assert_eq!(my_app(address, "/").run().await.status, 200);
}

#[tokio::test]
async fn a_workload_that_the_gateway_does_not_select_serves_nothing() {
    let Some(app) = MyApp::start().await else { return };
    let mesh = app.caller(FILES).await;
    let gateway = mesh.gateway().address([127, 0, 0, 1]).start().await.unwrap();
    assert!(gateway.addresses().is_empty() && gateway.not_served().is_empty());
}

#[tokio::test]
async fn a_port_of_which_nobody_says_what_it_speaks_gets_http1_from_a_gateway_whatever_its_caller_speaks() {
    // Speaks nothing else.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            let app = hyper::service::service_fn(|_| async {
                Ok::<_, std::convert::Infallible>(http::Response::new("one".to_owned()))
            });
            let io = hyper_util::rt::TokioIo::new(io);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, app));
        }
    });
    let (ip, port) = (upstream.ip(), upstream.port());
    let text = format!(
        "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: default}}
spec: {{servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*']}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: app, namespace: default}}
spec: {{ports: [{{port: 80, name: web}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: app-1, namespace: default, labels: {{kubernetes.io/service-name: app}}}}
addressType: IPv4
ports: [{{name: web, port: {port}}}]
endpoints: [{{addresses: ['{ip}']}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: app, namespace: default}}
spec: {{hosts: ['*'], gateways: [edge], http: [{{route: [{{destination: {{host: app, port: {{number: 80}}}}}}]}}]}}
"
    );
    let mesh = Mesh::builder().workload("default/edge").config_yaml("edge.yaml", text).build().await.unwrap();
    let gateway = mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
    let address = gateway.address_of(80).expect("it is served");
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let printed = Curl::at(address, "/").with(&[version]).run().await;
        assert_eq!((printed.status, &*printed.body), (200, "one"), "{version}");
    }
}

#[tokio::test]
async fn how_long_a_stranger_waits_is_not_told_to_those_inside() {
    let Some(app) = MyApp::start().await else { return };
    let mesh = app.ingress(FILES).await;
    let (_gateway, address) = open(&mesh).await;
    let printed = my_app(address, "/").header("x-envoy-expected-rq-timeout-ms: 1").header("version: v2").run().await;
    assert_eq!(printed.status, 200);
    assert_ne!(app.v2.seen().pop().unwrap().header("x-envoy-expected-rq-timeout-ms"), "1");
}
