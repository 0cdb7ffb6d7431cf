//! A time limit for the whole exchange, to the end of the response.
//!
//! It counts from the end of the request's body, so that a slow upload or a stream that goes both ways
//! is not cut while the caller still sends. What takes longer fails with
//! [`Failure::RequestTimeout`](crate::Failure::RequestTimeout), which a mesh answers with 504; a
//! response that has begun by then ends with that error. This is the route `timeout` of a
//! VirtualService, as in Envoy.
//!
//! A gRPC caller's `grpc-timeout` shortens the limit, and stands alone in a layer
//! [without one](TimeoutLayer::of_callers). The service inside is told the limit in that header, so that nobody
//! further on works for longer than somebody waits; not how much of it is left at a retry inside, which a mesh tells
//! each try, nor by `x-envoy-expected-rq-timeout-ms`, which is between proxies. A response that nobody reads is not
//! cut off until somebody does: where it occupies a connection, a mesh's client gives that back in time. Around a [retry](crate::retry) the limit covers all tries
//! and their pauses; a limit for each try is the retry policy's own. One timer serves a request, and it
//! is armed only where the request has to wait.
//!
//! Compare `tower::timeout`, which knows neither bodies nor callers, and `tower_http::timeout`, which
//! answers itself: here [`local_reply`](crate::local_reply) does that, for all failures alike.
//!
//! ```
//! use std::time::Duration;
//!
//! use mesh_tower::timeout::TimeoutLayer;
//! use mesh_tower::{Body, BoxError, Error, Failure};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use http::{Request, Response};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), BoxError> {
//! # async fn slow(_: Request<Body>) -> Result<Response<Body>, BoxError> { tokio::time::sleep(Duration::from_secs(3)).await; Ok(Response::default()) }
//!
//! let service = ServiceBuilder::new().layer(TimeoutLayer::new(Duration::from_secs(2))).service(service_fn(slow));
//! let error = service.oneshot(Request::new(Body::empty())).await.unwrap_err();
//! assert_eq!(error.downcast::<Error>()?.failure(), Failure::RequestTimeout);
//! # Ok(()) }
//! ```

mod body;
pub(crate) mod clock;
pub(crate) mod cut_off;
mod future;
mod layer;
mod service;
pub(crate) mod timer;

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use layer::TimeoutLayer;
pub use service::Timeout;

#[cfg(test)]
mod tests;
