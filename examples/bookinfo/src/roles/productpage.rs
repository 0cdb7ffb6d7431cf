//! The page of a book. Serves HTTP; asks details and reviews over HTTP and the ratings over gRPC, all through the mesh.
//!
//! | Path | What |
//! |---|---|
//! | `/productpage` | the page (`?u=jason` signs in for who cannot send the header `end-user`) |
//! | `/api/v1/products/{id}` | what details says |
//! | `/api/v1/products/{id}/reviews` | what reviews says |
//! | `/api/v1/products/{id}/ratings` | what ratings says: `GetRating` |
//! | `/api/v1/products/{id}/ratings/watch/{n}` | the versions that sent the `n` messages of a `WatchRatings` |
//! | `/api/v1/products/{id}/ratings/rate/{n}` | the versions that answered `n` messages of a `RateStream` |

mod html;

use std::io;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use mesh_tower::{Mesh, MeshClient};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tower_http::trace::TraceLayer;

use super::connection::Connections;
use super::{Observer, observe, passed_on, ratings};
use crate::Result;
use crate::ledger::Ledger;
use crate::ratings::ratings_client::RatingsClient;
use crate::ratings::{GetRatingRequest, RateRequest, WatchRatingsRequest};

/// Headers of an upstream's answer that are handed on.
const HANDED_ON: [HeaderName; 2] = [CONTENT_TYPE, HeaderName::from_static("x-envoy-overloaded")];

#[derive(Clone)]
struct Shop {
    client: MeshClient,
    ratings: RatingsClient<MeshClient>,
}

/// Serves the page until the mesh shuts down.
pub async fn serve(mesh: &Mesh, listener: TcpListener, ledger: Ledger) -> io::Result<()> {
    let shop = Shop { client: mesh.client(), ratings: ratings::client(mesh) };
    let observer = Observer { ledger, connections: Connections::default() };
    let app = Router::new()
        .route("/productpage", get(page))
        .route("/api/v1/products/{id}", get(details))
        .route("/api/v1/products/{id}/reviews", get(reviews))
        .route("/api/v1/products/{id}/ratings", get(rating))
        .route("/api/v1/products/{id}/ratings/watch/{n}", get(watch))
        .route("/api/v1/products/{id}/ratings/rate/{n}", get(rate))
        .with_state(shop)
        .layer(middleware::from_fn_with_state(observer, observe))
        .layer(TraceLayer::new_for_http());
    mesh.serve(listener, app).await
}

async fn page(State(shop): State<Shop>, uri: Uri, headers: HeaderMap) -> Html<String> {
    let mut headers = passed_on(&headers);
    if let Some(user) = uri.query().and_then(|query| query.strip_prefix("u=")).and_then(|user| user.parse().ok()) {
        headers.insert("end-user", user);
    }
    let (details, reviews) = tokio::join!(
        shop.json("http://details:9080/details/0", &headers),
        shop.json("http://reviews:9080/reviews/0", &headers),
    );
    let user = headers.get("end-user").and_then(|user| user.to_str().ok());
    Html(html::page(user, details.as_ref(), reviews.as_ref()))
}

async fn details(State(shop): State<Shop>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    shop.hand_on(&format!("http://details:9080/details/{id}"), &headers).await
}

async fn reviews(State(shop): State<Shop>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    shop.hand_on(&format!("http://reviews:9080/reviews/{id}"), &headers).await
}

async fn rating(State(mut shop): State<Shop>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Grpc> {
    let request = on_behalf_of(&headers, GetRatingRequest { product_id: id });
    let rating = shop.ratings.get_rating(request).await?.into_inner();
    Ok(Json(serde_json::json!({ "id": rating.product_id, "ratings": rating.stars, "version": rating.version }))
        .into_response())
}

async fn watch(
    State(mut shop): State<Shop>,
    Path((id, messages)): Path<(String, u32)>,
    headers: HeaderMap,
) -> Result<Json<Vec<String>>, Grpc> {
    let request = on_behalf_of(&headers, WatchRatingsRequest { product_id: id, messages });
    let mut stream = shop.ratings.watch_ratings(request).await?.into_inner();
    let mut versions = Vec::new();
    while let Some(rating) = stream.message().await? {
        versions.push(rating.version);
    }
    Ok(Json(versions))
}

async fn rate(
    State(mut shop): State<Shop>,
    Path((_, messages)): Path<(String, u32)>,
    headers: HeaderMap,
) -> Result<Json<Vec<String>>, Grpc> {
    let stars = tokio_stream::iter(0..messages).map(|n| RateRequest { stars: n % 5 + 1 });
    let mut answers = shop.ratings.rate_stream(on_behalf_of(&headers, stars)).await?.into_inner();
    let mut versions = Vec::new();
    while let Some(average) = answers.message().await? {
        versions.push(average.version);
    }
    Ok(Json(versions))
}

impl Shop {
    async fn get(&self, uri: &str, headers: &HeaderMap) -> Result<http::Response<mesh_tower::Body>> {
        let mut request = Request::get(uri).body(Body::empty())?;
        *request.headers_mut() = passed_on(headers);
        Ok(self.client.send(request).await)
    }

    /// Answers with what the called service, or the mesh in its place, answers.
    async fn hand_on(&self, uri: &str, headers: &HeaderMap) -> Response {
        let Ok(upstream) = self.get(uri, headers).await else { return StatusCode::BAD_REQUEST.into_response() };
        let mut response = Response::builder().status(upstream.status());
        for name in HANDED_ON {
            if let Some(value) = upstream.headers().get(&name) {
                response = response.header(name, value);
            }
        }
        response.body(Body::new(upstream.into_body())).unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
    }

    /// The JSON that a service answers with, or else what it said instead.
    async fn json<T: DeserializeOwned>(&self, uri: &str, headers: &HeaderMap) -> Result<T, String> {
        let response = self.get(uri, headers).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }
}

fn on_behalf_of<T>(headers: &HeaderMap, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    *request.metadata_mut() = MetadataMap::from_headers(passed_on(headers));
    request
}

/// A gRPC error as an HTTP answer: the code and the message as JSON.
struct Grpc(Status);

impl From<Status> for Grpc {
    fn from(status: Status) -> Self {
        Self(status)
    }
}

impl IntoResponse for Grpc {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "grpc": self.0.code() as i32, "message": self.0.message() });
        let mut response = Json(body).into_response();
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response.headers_mut().insert("x-grpc-status", HeaderValue::from(self.0.code() as i32));
        response
    }
}
