//! A small gRPC service, `echo.v1.Echo`, written out as tonic's generated code would be: no `protoc` is needed.

pub(crate) mod client;
pub(crate) mod python;
pub(crate) mod server;

use std::time::Duration;

use mesh_tower::{Mesh, Profile};
use tokio::net::TcpListener;

use self::server::EchoServer;

/// The name under which the service is served.
pub(crate) const NAME: &str = "echo.v1.Echo";

/// A text, and what shall become of the call that brings it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Text {
    #[prost(string, tag = "1")]
    pub(crate) value: String,
    /// How many answers are wanted of a call that has several.
    #[prost(uint32, tag = "2")]
    pub(crate) count: u32,
}

pub(crate) fn text(value: impl Into<String>) -> Text {
    Text { value: value.into(), count: 0 }
}

pub(crate) fn times(value: impl Into<String>, count: u32) -> Text {
    Text { value: value.into(), count }
}

/// Documents for the echo at `port` of this machine: in the mesh as `echo:9000`, at a gateway as `echo.example.com`.
/// A call says in its header `x-want` what shall happen to it; without the header no rule takes it.
pub(crate) fn documents(protocol: &str, port: u16) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: echo, namespace: default}}
spec:
  hosts: [echo.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9000, name: main, protocol: {protocol}}}]
  endpoints: [{{address: 127.0.0.1, ports: {{main: {port}}}, labels: {{version: v1}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: echo, namespace: default}}
spec:
  host: echo
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: nobody, labels: {{version: v9}}}}
  - name: one
    labels: {{version: v1}}
    trafficPolicy: {{connectionPool: {{http: {{http2MaxRequests: 1}}}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: gateway, namespace: default}}
spec:
  selector: {{istio: ingress}}
  servers: [{{port: {{number: 80, name: main, protocol: {protocol}}}, hosts: ['*.example.com']}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: echo, namespace: default}}
spec:
  hosts: [echo, echo.example.com]
  gateways: [mesh, gateway]
  http:
  - match: [{{headers: {{x-want: {{exact: abort}}}}}}]
    fault: {{abort: {{grpcStatus: RESOURCE_EXHAUSTED, percentage: {{value: 100}}}}}}
    route: [{{destination: {{host: echo, subset: v1}}}}]
  - match: [{{headers: {{x-want: {{exact: timeout}}}}}}]
    timeout: 150ms
    route: [{{destination: {{host: echo, subset: v1}}}}]
  - match: [{{headers: {{x-want: {{exact: nobody}}}}}}]
    route: [{{destination: {{host: echo, subset: nobody}}}}]
  - match: [{{headers: {{x-want: {{exact: missing}}}}}}]
    route: [{{destination: {{host: echo, subset: no-such-subset}}}}]
  - match: [{{headers: {{x-want: {{exact: one}}}}}}]
    route: [{{destination: {{host: echo, subset: one}}}}]
  - match: [{{headers: {{x-want: {{exact: retry}}}}}}]
    retries: {{attempts: 2, retryOn: unavailable, backoff: 1ms}}
    route: [{{destination: {{host: echo, subset: v1}}}}]
  - match: [{{headers: {{x-want: {{exact: answer}}}}}}]
    route: [{{destination: {{host: echo, subset: v1}}}}]
"
    )
}

/// The echo, and a mesh in front of it. Both sides embed a mesh.
pub(crate) struct World {
    pub(crate) mesh: Mesh,
    pub(crate) echo: EchoServer,
}

impl World {
    pub(crate) async fn start(protocol: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let echo = EchoServer::default();
        let routes = tonic::service::Routes::new(echo.clone());
        tokio::spawn(async move {
            let own = Mesh::builder().workload("default/echo").label("app", "echo").build().await.unwrap();
            own.serve(listener, routes).await
        });
        let builder = Mesh::builder().workload("default/gateway").label("istio", "ingress").profile(Profile::Istio);
        let mesh = builder.config_yaml("echo.yaml", documents(protocol, port)).seed(11).build().await.unwrap();
        Self { mesh, echo }
    }
}

/// Waits until something has come about, for at most five seconds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
