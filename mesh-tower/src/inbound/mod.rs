//! The server side of the mesh, in front of the application.
//!
//! [`InboundLayer`] gives a request the form in which policy, routing and the application see it, as
//! Istio's inbound sidecar does:
//!
//! * a request without a host, and one whose `connection` header names `host`, is answered 400;
//!   `CONNECT` and `OPTIONS *` 404; an upgrade other than WebSocket 403;
//! * `x-request-id` is made where it is missing or empty, and lines are joined where there are two;
//! * `x-forwarded-proto` is `http` where it is missing;
//! * `x-forwarded-client-cert` is removed, since no caller has proved an identity;
//! * headers that concern one connection only are removed, except those of a WebSocket upgrade.
//!
//! While the application handles a request, and while its response body is read, the request's
//! [`RequestContext`] is there for calls through a mesh client: they carry the request id and the
//! trace headers on without the application's help. See [`RequestContext::scope`] for work that is
//! spawned.
//!
//! An error that the application answers after retries of such a call have been in vain says so, and a mesh
//! that gets it does not try again (`x-mesh-retries: spent`).
//!
//! One event per request is logged to the target `mesh_tower::inbound`, at level `debug`.
//!
//! `Mesh::serve` puts the layer around the whole application. Who keeps a server of another kind
//! wraps the finished application, since a route that is added after a layer stands outside it:
//!
//! ```
//! # use tower_layer::Layer as _;
//! use mesh_tower::inbound::InboundLayer;
//!
//! let routes = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
//! let app = InboundLayer::new().layer(routes);
//! # fn is_service<S: tower_service::Service<http::Request<axum::body::Body>>>(_: &S) {}
//! # is_service(&app);
//! ```

mod body;
pub(crate) mod context;
mod future;
mod headers;
mod layer;
mod record;
mod service;

#[cfg(test)]
mod tests;

pub use self::body::ResponseBody;
pub use self::context::{RequestContext, spawn};
pub(crate) use self::context::{note_spent, propagate, time_left};
pub use self::future::ResponseFuture;
pub use self::layer::InboundLayer;
pub use self::service::Inbound;
