//! Meshes that call one another, and servers that tell what they got.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use mesh_tower::{Body, Mesh};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A service of the mesh, by its host and where it is served.
pub(crate) fn service(host: &str, at: SocketAddr) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {host}, namespace: shop}}
spec:
  hosts: [{host}.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9080, name: http-web, protocol: \"\"}}, {{number: 9090, name: grpc-web, protocol: GRPC}}]
  endpoints: [{{address: {}, ports: {{http-web: {port}, grpc-web: {port}}}}}]
---
",
        at.ip(),
        port = at.port()
    )
}

pub(crate) async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves an application in a mesh, as long as the set lives.
pub(crate) fn serve(serving: &mut JoinSet<()>, mesh: &Mesh, listener: TcpListener, app: Router) {
    let mesh = mesh.clone();
    serving.spawn(async move { mesh.serve(listener, app).await.unwrap() });
}

/// A server outside all meshes that keeps the heads it gets; it answers by the statuses that it is given, and then 200.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<HeaderMap>>>,
    _serving: JoinSet<()>,
}

impl Upstream {
    pub(crate) async fn start(statuses: &[u16]) -> Self {
        let (listener, address) = bind().await;
        let heads: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let (kept, mut statuses) = (Arc::clone(&heads), statuses.to_vec());
        statuses.reverse();
        let statuses = Arc::new(Mutex::new(statuses));
        let app = Router::new().fallback(move |request: Request<axum::body::Body>| {
            kept.lock().unwrap().push(request.headers().clone());
            let status = statuses.lock().unwrap().pop().unwrap_or(200);
            async move { StatusCode::from_u16(status).unwrap() }
        });
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, heads, _serving: serving }
    }

    /// The values of a header in all heads so far; empty where one does not have it.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        let value =
            |head: &HeaderMap| head.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
        heads.iter().map(value).collect()
    }
}

/// Asks, and reads the answer to its end.
pub(crate) async fn ask(mesh: &Mesh, url: &str, headers: &[(&str, &str)]) -> Response<String> {
    let mut request = Request::get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    read(mesh.client().send(request.body(Body::empty()).unwrap()).await).await
}

pub(crate) async fn read(response: Response<Body>) -> Response<String> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
}
