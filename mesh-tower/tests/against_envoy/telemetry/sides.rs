//! An Envoy and a gateway of ours in front of the same application, with the same routes.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use http::{HeaderMap, StatusCode};
use mesh_tower::{Gateway, Mesh, Profile};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::bootstrap::{address, filter, typed};
use crate::envoy::Envoy;

pub(super) const CLUSTER: &str = "outbound|80||up.shop.svc.cluster.local";
const NOBODY: &str = "outbound|81||up.shop.svc.cluster.local";

pub(super) struct Sides {
    envoy: Envoy,
    gateway: Gateway,
    folder: TempDir,
}

/// What is sent to both.
pub(super) struct Ask {
    /// Names it, in the header `x-mark`.
    pub(super) mark: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: &'static str,
}

/// The requests that are logged: answered, refused, failed to connect, answered by the rule, without a rule, gRPC.
pub(super) const ASKED: [Ask; 7] = [
    Ask {
        mark: "answered",
        method: "GET",
        path: "/reviews/1?q=1&x=y",
        headers: &[("x-user", "ann"), ("user-agent", "curl/8"), ("referer", "http://r/")],
        body: "",
    },
    Ask {
        mark: "failed",
        method: "POST",
        path: "/reviews",
        headers: &[("x-status", "503"), ("x-two", "1"), ("x-two", "2"), ("x-odd", "a\tb\"c\\d")],
        body: "hello",
    },
    Ask { mark: "nobody", method: "GET", path: "/none", headers: &[], body: "" },
    Ask { mark: "direct", method: "GET", path: "/direct", headers: &[], body: "" },
    Ask { mark: "unrouted", method: "GET", path: "/unrouted", headers: &[("user-agent", "")], body: "" },
    Ask {
        mark: "grpc",
        method: "POST",
        path: "/shop.Reviews/Get",
        headers: &[("content-type", "application/grpc"), ("x-status", "404")],
        body: "",
    },
    Ask { mark: "head", method: "HEAD", path: "/reviews/2", headers: &[("x-user", "")], body: "" },
];

impl Sides {
    /// Envoy with these access logs, the gateway with this MeshConfig and these documents. `FOLDER` in each is where files go.
    pub(super) async fn start(binary: &Path, logs: Vec<Value>, mesh_config: &str, documents: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = |text: &str| text.replace("FOLDER", folder.path().to_str().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(application)).await });
        let envoy = Envoy::run(binary, &here(&configuration(logs, port).to_string())).await;
        let mesh = Mesh::builder()
            .workload("shop/edge")
            .label("app", "edge")
            .profile(Profile::Istio)
            .mesh_config_yaml(here(mesh_config))
            .config_yaml("routes.yaml", routes(port))
            .config_yaml("telemetry.yaml", here(documents))
            .build()
            .await
            .unwrap();
        let gateway = mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
        Self { envoy, gateway, folder }
    }

    /// Asks both all that there is to ask, one after the other.
    pub(super) async fn ask_all(&self) {
        for ask in &ASKED {
            send(self.envoy.address, ask).await;
            send(self.gateway.address_of(80).unwrap(), ask).await;
        }
    }

    /// The lines of a file in the folder, once there is one that ends with `last`.
    pub(super) async fn lines(&self, name: &str, last: &str) -> Vec<String> {
        self.lines_when(name, |lines| lines.iter().any(|line| line.ends_with(last))).await
    }

    /// The lines of a file in the folder, once they are as they should be.
    pub(super) async fn lines_when(&self, name: &str, are_all: impl Fn(&Vec<String>) -> bool) -> Vec<String> {
        let path = self.folder.path().join(name);
        for _ in 0..2_000 {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
            if text.ends_with('\n') && are_all(&lines) {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{name} is not all there: {:?}", std::fs::read_to_string(&path));
    }
}

async fn send(to: std::net::SocketAddr, ask: &Ask) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let headers: String = ask.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!(
        "{} {} HTTP/1.1\r\nhost: reviews:9080\r\nx-mark: {}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{}",
        ask.method,
        ask.path,
        ask.mark,
        ask.body.len(),
        ask.body
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}

async fn application(headers: HeaderMap, _: bytes::Bytes) -> impl axum::response::IntoResponse {
    let status = headers.get("x-status").and_then(|status| status.to_str().ok()?.parse().ok());
    (StatusCode::from_u16(status.unwrap_or(200)).unwrap(), [("x-answer", "yes")], "five stars")
}

/// Envoy as a gateway of Istio's is configured.
fn configuration(logs: Vec<Value>, port: u16) -> Value {
    let cluster = |name: &str, port: u16| {
        json!({"name": name, "type": "STATIC", "connect_timeout": "2s", "load_assignment": {"cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address("127.0.0.1", port)}}]}]}})
    };
    let manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "main", "use_remote_address": true, "normalize_path": true, "access_log": logs,
            "server_name": "istio-envoy",
            "http_filters": [filter("router", "extensions.filters.http.router.v3.Router")],
            "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "include_request_attempt_count": true, "routes": [
                {"name": "none", "match": {"prefix": "/none"}, "route": {"cluster": NOBODY, "timeout": "0s"}},
                {"name": "direct", "match": {"prefix": "/direct"}, "direct_response": {"status": 418}},
                {"name": "ruled", "match": {"prefix": "/reviews"}, "route": {"cluster": CLUSTER, "timeout": "0s"}},
                {"name": "grpc", "match": {"prefix": "/shop."}, "route": {"cluster": CLUSTER, "timeout": "0s"}},
            ]}]},
        }),
    );
    json!({
        "node": {"id": "edge", "cluster": "edge"},
        "admin": {"address": address("127.0.0.1", 0)},
        "static_resources": {
            "listeners": [{"name": "main", "address": address("127.0.0.1", 0), "traffic_direction": "OUTBOUND",
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
            "clusters": [cluster(CLUSTER, port), cluster(NOBODY, 1)],
        },
    })
}

fn routes(port: u16) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: up, namespace: shop}}
spec:
  hosts: [up.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: web, protocol: HTTP}}, {{number: 81, name: none, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{web: {port}, none: 1}}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: shop}}
spec:
  selector: {{app: edge}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*']}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec:
  hosts: ['*']
  gateways: [edge]
  http:
  - name: none
    match: [{{uri: {{prefix: /none}}}}]
    route: [{{destination: {{host: up.shop.svc.cluster.local, port: {{number: 81}}}}}}]
    retries: {{attempts: 0}}
  - {{name: direct, match: [{{uri: {{prefix: /direct}}}}], directResponse: {{status: 418}}}}
  - name: ruled
    match: [{{uri: {{prefix: /reviews}}}}]
    route: [{{destination: {{host: up.shop.svc.cluster.local, port: {{number: 80}}}}}}]
    retries: {{attempts: 0}}
  - name: grpc
    match: [{{uri: {{prefix: /shop.}}}}]
    route: [{{destination: {{host: up.shop.svc.cluster.local, port: {{number: 80}}}}}}]
    retries: {{attempts: 0}}
"
    )
}

/// A log of Envoy's into a file of the folder.
pub(super) fn file_log(name: &str, format: &str, expression: Option<&str>) -> Value {
    let mut log = json!({"name": "file", "typed_config": typed(
        "extensions.access_loggers.file.v3.FileAccessLog",
        json!({"path": format!("FOLDER/{name}"), "log_format": {"text_format_source": {"inline_string": format!("{format}\n")}}}),
    )});
    if let Some(expression) = expression {
        let filter =
            typed("extensions.access_loggers.filters.cel.v3.ExpressionFilter", json!({"expression": expression}));
        log["filter"] = json!({"extension_filter": {"name": "cel", "typed_config": filter}});
    }
    log
}
