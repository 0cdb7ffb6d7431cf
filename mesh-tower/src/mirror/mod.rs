//! Copies of a share of the requests for a service that only listens.
//!
//! A new version sees real traffic before anybody depends on its answers. A copy runs in a task of its
//! own, reads the body along as it streams to the service inside (it may lie 64 KiB behind; one that falls
//! back further is given up and [counted](MirrorLayer::cut)), and has a time limit of its own. It never delays, fails or changes the
//! main call, whose future and error are those of the service inside. So many copies may be under way
//! at once; what is over that is [skipped](MirrorLayer::skipped). As `mirror` of a VirtualService.
//!
//! ```
//! use mesh_tower::mirror::MirrorLayer;
//! use mesh_tower::{Body, BoxError};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use http::{Request, Response};
//! # use http_body_util::BodyExt;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # async fn answer(request: Request<Body>) -> Result<Response<Body>, BoxError> { request.into_body().collect().await?; Ok(Response::default()) }
//!
//! let (copied, mut copies) = tokio::sync::mpsc::unbounded_channel();
//! let listener = service_fn(move |request: Request<Body>| {
//!     let copied = copied.clone();
//!     async move {
//!         copied.send(request.into_body().collect().await?.to_bytes())?;
//!         Ok::<_, BoxError>(Response::new(Body::empty()))
//!     }
//! });
//! let service = ServiceBuilder::new().layer(MirrorLayer::new(listener, 100.0)).service(service_fn(answer));
//! service.oneshot(Request::post("/").body(Body::from("text"))?).await?;
//! assert_eq!(copies.recv().await.unwrap(), "text");
//! # Ok(()) }
//! ```

mod layer;
mod service;
pub(crate) mod slots;

pub use layer::MirrorLayer;
pub use service::Mirror;

#[cfg(test)]
mod tests;
