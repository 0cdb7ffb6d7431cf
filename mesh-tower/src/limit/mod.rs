//! So many requests at once, and no more: what is over the limit fails at once.
//!
//! Unlike tower's concurrency limit nobody waits, since a queue in front of something that is busy only
//! makes everybody late: the answer is [`Failure::Overflow`](crate::Failure::Overflow), in a mesh a 503
//! with the flag `UO`. A request counts until its response body has been read or dropped, as in Envoy's
//! `http2MaxRequests`. All services of one layer share its limit.
//!
//! ```
//! use mesh_tower::mesh_core::failure::Limit;
//! use mesh_tower::limit::LimitLayer;
//! use mesh_tower::{Body, BoxError, Error, Failure};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use http::{Request, Response};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # async fn answer(_: Request<Body>) -> Result<Response<Body>, BoxError> { Ok(Response::new(Body::from("text"))) }
//!
//! let service = ServiceBuilder::new().layer(LimitLayer::new(1)).service(service_fn(answer));
//! let first = service.clone().oneshot(Request::new(Body::empty())).await?;
//! let second = service.clone().oneshot(Request::new(Body::empty())).await.unwrap_err();
//! assert_eq!(second.downcast::<Error>()?.failure(), Failure::Overflow(Limit::Requests));
//! drop(first);
//! assert!(service.oneshot(Request::new(Body::empty())).await.is_ok());
//! # Ok(()) }
//! ```

mod body;
mod future;
mod layer;
mod service;

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use layer::LimitLayer;
pub use service::Limit;

#[cfg(test)]
mod tests;
