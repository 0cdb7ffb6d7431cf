//! The admin server, asked by real requests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use http::Request;
use http_body_util::BodyExt as _;
use mesh_tower::admin::Admin;
use mesh_tower::{Body, Mesh, MeshBuilder};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "tls/authority.rs"]
mod authority;
#[path = "admin/browser.rs"]
mod browser;
#[path = "admin/changes.rs"]
mod changes;
#[path = "admin/doors.rs"]
mod doors;
#[path = "admin/graph.rs"]
mod graph;
#[path = "admin/meshctl.rs"]
mod meshctl;
#[path = "admin/page.rs"]
mod page;
#[path = "admin/policies.rs"]
mod policies;
#[path = "admin/reading.rs"]
mod reading;
#[path = "admin/secrets.rs"]
mod secrets;
#[path = "admin/several.rs"]
mod several;

/// A mesh that calls `reviews`, which has a good endpoint and one that fails.
struct World {
    mesh: Mesh,
    good: SocketAddr,
    bad: SocketAddr,
    _serving: JoinSet<()>,
}

impl World {
    async fn start(with: impl FnOnce(MeshBuilder) -> MeshBuilder) -> Self {
        let mut serving = JoinSet::new();
        let good = upstream(&mut serving, StatusCode::OK).await;
        let bad = upstream(&mut serving, StatusCode::SERVICE_UNAVAILABLE).await;
        let builder = Mesh::builder().workload("shop/web").config_yaml("rules.yaml", rules(good, bad));
        let mesh = with(builder).build().await.unwrap();
        Self { mesh, good, bad, _serving: serving }
    }

    async fn plain() -> Self {
        Self::start(|builder| builder.admin("127.0.0.1:0")).await
    }

    async fn call(&self, version: &str) -> u16 {
        let request = Request::get("http://reviews:9080/1?token=hush").header("version", version);
        let request = request.header("authorization", "Bearer hush").body(Body::empty()).unwrap();
        let response = self.mesh.client().send(request).await;
        let status = response.status().as_u16();
        response.into_body().collect().await.unwrap();
        status
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Sends these bytes and reads until the server closes.
    async fn ask(&self, bytes: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(Duration::from_secs(5), stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.mesh.admin_address().unwrap()).await.unwrap()
    }

    /// The endpoint of a version, as it is told.
    async fn endpoint(&self, version: &str) -> Value {
        let clusters = self.json(&format!("/mesh/endpoints?host=9080|{version}|")).await;
        clusters[0]["endpoints"][0].clone()
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn upstream(serving: &mut JoinSet<()>, status: StatusCode) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(get(move || async move { status }));
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn rules(good: SocketAddr, bad: SocketAddr) -> String {
    let (good, bad) = (good.port(), bad.port());
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: reviews, namespace: shop}}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9080, name: http, protocol: HTTP}}]
  endpoints:
  - {{address: 127.0.0.1, ports: {{http: {good}}}, labels: {{version: v1}}}}
  - {{address: 127.0.0.1, ports: {{http: {bad}}}, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: shop}}
spec:
  host: reviews.shop.svc.cluster.local
  trafficPolicy:
    tls: {{mode: DISABLE}}
    connectionPool: {{tcp: {{maxConnections: 7}}}}
    outlierDetection:
      {{consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 30s, maxEjectionPercent: 100}}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: shop}}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  http:
  - name: broken
    match: [{{headers: {{version: {{exact: v2}}}}}}]
    retries: {{attempts: 0}}
    route: [{{destination: {{host: reviews.shop.svc.cluster.local, subset: v2}}}}]
  - name: usual
    route: [{{destination: {{host: reviews.shop.svc.cluster.local, subset: v1}}}}]
"
    )
}
