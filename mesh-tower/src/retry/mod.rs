//! Tries again: with conditions, pauses and a budget as in Envoy.
//!
//! A retry hides a failure that was a moment's; too many of them turn a moment's failure into an
//! outage, since everything that is slow or broken is now asked several times over. So a budget bounds
//! them: every fifth request allows one, and every second ten on top, unless
//! [another one](RetryLayer::budget) is given. All services of one layer share it.
//!
//! The policy is data in the words of `retryOn`, see [`RetryPolicy`](mesh_core::retry::RetryPolicy);
//! its limit for each try counts from the end of the request's body. Bodies stream to the first try
//! while they are recorded (64 KiB unless set otherwise) and play again, byte for byte, to the next; a
//! body that is longer still streams, and then there is no second try. Compare tower's retry, whose
//! policy is code and whose requests have to be cloned.
//!
//! An error of the service inside that is not one of ours counts as a connection that broke (`reset`,
//! `5xx`), unless one of its causes is hyper's and says more. Whether anything had been sent by then cannot be
//! known from here: where it can, [`RetryLayer::unsent`] says so.
//!
//! Nothing is added to the requests. `x-envoy-attempt-count`, which a mesh's own retries set, says for which of its
//! tries an endpoint is asked, and who sends to it from here is not known to be the last to try.
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//!
//! use mesh_tower::mesh_core::retry::RetryPolicy;
//! use mesh_tower::retry::RetryLayer;
//! use mesh_tower::{Body, BoxError};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use http::{Request, Response, StatusCode};
//! # static CALLS: AtomicU32 = AtomicU32::new(0);
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), BoxError> {
//! # async fn broken_twice(_: Request<Body>) -> Result<Response<Body>, BoxError> { let mut response = Response::<Body>::default(); if CALLS.fetch_add(1, Ordering::SeqCst) < 2 { *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE; } Ok(response) }
//!
//! let retries = RetryLayer::new(RetryPolicy::new(2, "5xx,reset"));
//! let service = ServiceBuilder::new().layer(retries).service(service_fn(broken_twice));
//! let response = service.oneshot(Request::post("/").body(Body::from("the same each time"))?).await?;
//! assert_eq!((response.status().as_u16(), CALLS.load(Ordering::SeqCst)), (200, 3));
//! # Ok(()) }
//! ```

mod future;
mod layer;
mod service;

pub use future::ResponseFuture;
pub use layer::RetryLayer;
pub use service::Retry;

#[cfg(test)]
mod tests;
