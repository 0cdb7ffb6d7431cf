//! Leaves a service that keeps failing alone for a while.
//!
//! Around a service that stands for one endpoint: after so many failures in a row it is out, and
//! requests fail at once with [`Failure::NoHealthyUpstream`](crate::Failure::NoHealthyUpstream) instead
//! of waiting for something that does not work; the next sweep after its time takes it back. What
//! counts as a failure, how long an ejection lasts and how repeated ones grow is Envoy's outlier
//! detection, see [`mesh_core::outlier`]. All services of one layer are one endpoint.
//!
//! Other circuit breakers let a request through to see whether things are better; this one is open for
//! its time, and then open to everybody.
//!
//! ```
//! use mesh_tower::outlier::OutlierLayer;
//! use mesh_tower::{Body, BoxError, Error, Failure};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use http::{Request, Response, StatusCode};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # async fn broken(_: Request<Body>) -> Result<Response<Body>, BoxError> { let mut response = Response::<Body>::default(); *response.status_mut() = StatusCode::BAD_GATEWAY; Ok(response) }
//!
//! let service = ServiceBuilder::new().layer(OutlierLayer::consecutive_5xx(3)).service(service_fn(broken));
//! for _ in 0..3 {
//!     assert_eq!(service.clone().oneshot(Request::new(Body::empty())).await?.status(), 502);
//! }
//! let error = service.oneshot(Request::new(Body::empty())).await.unwrap_err();
//! assert_eq!(error.downcast::<Error>()?.failure(), Failure::NoHealthyUpstream);
//! # Ok(()) }
//! ```

mod future;
mod layer;
mod service;
mod watch;

pub use future::ResponseFuture;
pub use layer::OutlierLayer;
pub use service::Outlier;

#[cfg(test)]
mod tests;
