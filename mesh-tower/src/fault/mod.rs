//! Delays and aborts on purpose, for a share of the requests.
//!
//! What a service does when those it calls are slow or broken is better found out on a Tuesday morning.
//! Delay and abort are drawn independently, the delay comes first, and an aborted request never reaches
//! the service inside: it fails with [`Failure::FaultAbort`](crate::Failure::FaultAbort), which
//! [`local_reply`](crate::local_reply) answers with the status that was asked for. As `fault` of a
//! VirtualService.
//!
//! ```
//! use std::time::Duration;
//!
//! use mesh_tower::fault::FaultLayer;
//! use mesh_tower::{Body, BoxError, Error, Failure};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use http::{Request, Response, StatusCode};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), BoxError> {
//! # async fn answer(_: Request<Body>) -> Result<Response<Body>, BoxError> { Ok(Response::default()) }
//!
//! let faults = FaultLayer::new().delay(10.0, Duration::from_secs(2)).abort(100.0, StatusCode::IM_A_TEAPOT);
//! let service = ServiceBuilder::new().layer(faults).service(service_fn(answer));
//! let error = service.oneshot(Request::new(Body::empty())).await.unwrap_err();
//! assert_eq!(error.downcast::<Error>()?.failure(), Failure::FaultAbort(StatusCode::IM_A_TEAPOT));
//! # Ok(()) }
//! ```

mod future;
mod layer;
mod service;

pub use future::ResponseFuture;
pub use layer::FaultLayer;
pub use service::Fault;

#[cfg(test)]
mod tests;
