//! Turns a failure into the response that a sidecar would have sent, as HTTP or as gRPC.
//!
//! Inside a stack of layers a failure is an [`Error`](crate::Error), so that those further out can
//! count it and try again. At its outer end somebody has to answer: status, body and headers are
//! Envoy's, from the table in [`mesh_core::failure`]. A gRPC caller gets trailers only, with the code
//! that stands for the failure, and the answer to HEAD has no body.
//!
//! A client of the mesh does this itself; the layer is for stacks that are made by hand.
//!
//! ```
//! use mesh_tower::limit::LimitLayer;
//! use mesh_tower::local_reply::LocalReplyLayer;
//! use mesh_tower::{Body, BoxError};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use http::{Request, Response};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # async fn answer(_: Request<Body>) -> Result<Response<Body>, BoxError> { Ok(Response::default()) }
//!
//! // Nothing is let through, so that there is something to answer.
//! let service = ServiceBuilder::new()
//!     .layer(LocalReplyLayer::new())
//!     .layer(LimitLayer::new(0))
//!     .service(service_fn(answer));
//! let response = service.clone().oneshot(Request::new(Body::empty())).await?;
//! assert_eq!((response.status().as_u16(), &response.headers()["x-envoy-overloaded"]), (503, &"true".parse()?));
//! let grpc = Request::post("/").header("content-type", "application/grpc").body(Body::empty())?;
//! assert_eq!(service.oneshot(grpc).await?.headers()["grpc-status"], "14");
//! # Ok(()) }
//! ```

mod future;
mod layer;
mod reply;
mod service;

pub use future::ResponseFuture;
pub use layer::LocalReplyLayer;
pub use reply::reply;
pub use service::LocalReply;

#[cfg(test)]
mod tests;
