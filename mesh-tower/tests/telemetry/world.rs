//! `web` calls `reviews`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_tower::{Body, Mesh, MeshBuilder};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) struct World {
    pub(crate) web: Mesh,
    pub(crate) reviews: Mesh,
    pub(crate) at: SocketAddr,
    _serving: JoinSet<()>,
}

impl World {
    /// With further documents for both sides.
    pub(crate) async fn start(documents: &str) -> Self {
        let both = |builder: MeshBuilder| builder.config_yaml("both.yaml", documents);
        Self::of(both, both).await
    }

    pub(crate) async fn of(
        at_web: impl FnOnce(MeshBuilder) -> MeshBuilder,
        at_reviews: impl FnOnce(MeshBuilder) -> MeshBuilder,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let reviews = at_reviews(Mesh::builder().workload("shop/reviews").label("app", "reviews"));
        let reviews = reviews.build().await.unwrap();
        let web =
            at_web(Mesh::builder().workload("shop/web").label("app", "web").config_yaml("reviews.yaml", entry(at)));
        let web = web.build().await.unwrap();
        let mut serving = JoinSet::new();
        let server = reviews.clone();
        serving.spawn(async move { server.serve(listener, app()).await.unwrap() });
        Self { web, reviews, at, _serving: serving }
    }

    /// The answer, read to its end.
    pub(crate) async fn send(&self, request: http::request::Builder, body: Body) -> Response<Bytes> {
        let answer = self.web.client().send(request.body(body).unwrap()).await;
        let (parts, body) = answer.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    pub(crate) async fn get(&self, path: &str) -> Response<Bytes> {
        self.send(Request::get(format!("http://reviews:9080{path}")), Body::empty()).await
    }
}

fn entry(at: SocketAddr) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: reviews, namespace: shop}}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9080, name: web, protocol: \"\"}}, {{number: 9081, name: none, protocol: HTTP}}]
  endpoints: [{{address: {}, ports: {{web: {}, none: 1}}, labels: {{app: reviews}}}}]
",
        at.ip(),
        at.port()
    )
}

fn app() -> Router {
    let call = || async {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "5".parse().unwrap())]);
        let frames = [Frame::data(Bytes::from_static(b"\0\0\0\0\0")), Frame::trailers(trailers)];
        let body = StreamBody::new(tokio_stream::iter(frames.map(Ok::<_, Infallible>)));
        Response::builder().header("content-type", "application/grpc").body(axum::body::Body::new(body)).unwrap()
    };
    Router::new()
        .route("/reviews/{id}", get(|| async { "five stars" }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/hang", get(std::future::pending::<()>))
        .route("/error", get(|| async { http::StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/shop.Reviews/Get", post(call))
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("within 10 s")
}
