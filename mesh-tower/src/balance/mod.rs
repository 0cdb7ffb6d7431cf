//! Spreads requests over several endpoints, by a mesh's algorithms.
//!
//! Around a service that can reach any endpoint, such as an HTTP client: for each request one is chosen, and the request
//! is sent there by its URI. The `host` that the caller meant stays in its header. What cannot be written in a URI (a
//! Unix socket), or is rather read elsewhere, stands in the request's extensions as an [`Endpoint`].
//!
//! The algorithms are those of a DestinationRule's `loadBalancer`: least request, round robin, random, ring hash and
//! Maglev, by weights; see [`LbSpec`](mesh_core::lb::LbSpec). A request counts at its endpoint until its response body
//! has been read or dropped, as in Envoy. All services of one layer share what they count, and their endpoints, which
//! [can be changed](BalanceLayer::set_endpoints). Where there is none a request fails at once with
//! [`Failure::NoHealthyUpstream`](crate::Failure::NoHealthyUpstream).
//!
//! Compare `tower::balance`, which chooses before it has seen the request, so that it cannot go by a hash.
//!
//! ```
//! use std::net::SocketAddr;
//!
//! use mesh_tower::balance::BalanceLayer;
//! use mesh_tower::mesh_core::lb::LbSpec;
//! use mesh_tower::{Body, BoxError};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use http::{Request, Response};
//! # use http_body_util::BodyExt;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! // In place of an HTTP client: says where it was sent.
//! let client = service_fn(|request: Request<Body>| async move {
//!     let host = request.headers()["host"].to_str()?;
//!     Ok::<_, BoxError>(Response::new(Body::from(format!("{} for {host}", request.uri()))))
//! });
//! let endpoints = ["10.0.0.1:9080", "10.0.0.2:9080"].map(|address| address.parse::<SocketAddr>().unwrap());
//! let service = ServiceBuilder::new().layer(BalanceLayer::new(LbSpec::RoundRobin, endpoints)).service(client);
//! let request = || Request::get("http://reviews/1").body(Body::empty());
//! let one = service.clone().oneshot(request()?).await?.into_body().collect().await?.to_bytes();
//! let other = service.oneshot(request()?).await?.into_body().collect().await?.to_bytes();
//! assert!(one != other && one.starts_with(b"http://10.0.0.") && one.ends_with(b":9080/1 for reviews"));
//! # Ok(()) }
//! ```

mod layer;
mod service;

pub use layer::BalanceLayer;
pub use service::{Balance, Endpoint};

/// A response body whose request counts at its endpoint until all of it has been read.
pub type ResponseBody<R> = crate::limit::ResponseBody<R, mesh_core::cluster::endpoint::Active>;

/// The response of a [`Balance`] to come.
pub type ResponseFuture<F> = crate::limit::ResponseFuture<F, mesh_core::cluster::endpoint::Active>;

#[cfg(test)]
mod tests;
