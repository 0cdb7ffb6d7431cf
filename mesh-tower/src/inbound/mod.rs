//! The server side of the mesh, in front of the application.
//!
//! [`InboundLayer`] gives a request the form in which policy, routing and the application see it, as
//! Istio's inbound sidecar does:
//!
//! * a request without a host or with two, and one whose `connection` header names `host`, is answered 400;
//!   `CONNECT` and `OPTIONS *` 404; an upgrade other than WebSocket 403;
//! * `x-request-id` is made where it is missing or empty, and lines are joined where there are two;
//! * `x-forwarded-proto` is `http` where it is missing;
//! * `x-forwarded-client-cert` ends in what the caller's certificate proves, in Istio's form, and is removed from a
//!   caller without one, who could only have made it up;
//! * headers that concern one connection only are removed, except those of a WebSocket upgrade.
//!
//! The layer of a mesh ([`Mesh::inbound`](crate::Mesh::inbound), [`Mesh::serve`](crate::Mesh::serve)) also lets in only
//! whom the `AuthorizationPolicy`s that select this workload let in, as [`mesh_core::authz`] decides: all others get
//! 403 `RBAC: access denied`, or gRPC's status 7. Which rule decided is told to the log, to the span around (its field
//! `policy`, where it has one) and by `explain`, and never to the caller. The path is in its
//! normal form before policies look at it, and the application gets that form. A policy with the action `CUSTOM` asks an
//! [`ExternalAuthorizer`], or the service of an `envoyExtAuthzHttp` or `envoyExtAuthzGrpc` of the MeshConfig, with the
//! request's body where it says so. A layer that is mounted in a server of another kind can tell nobody the body: what
//! would need it is denied there. Until every [source](crate::source) of the configuration has delivered once, all requests are
//! answered 503. Under [`Profile::Safe`](mesh_core::Profile::Safe) a method in lower case, a user name in the
//! host and, on HTTP/2, a `host` other than `:authority` are answered 400, which Envoy lets through.
//!
//! Tokens are verified by the `RequestAuthentication`s that select this workload: one that is no good gets 401 (403 for
//! another audience) in Envoy's words, and what a good one says is there for policies, in the headers that rules ask for,
//! and for the application as [`TokenClaims`]. A request without a token goes on, as in Istio.
//!
//! While the application handles a request, and while its response body is read, the request's
//! [`RequestContext`] is there for calls through a mesh client: they carry the request id and the
//! trace headers on without the application's help. See [`RequestContext::scope`] for work that is
//! spawned.
//!
//! An error that the application answers after retries of such a call have been in vain says so, and a mesh
//! that gets it does not try again (`x-mesh-retries: spent`).
//!
//! One event per request is logged to the target `mesh_tower::inbound`, at level `debug`, with the rule that decided.
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
mod check_body;
pub(crate) mod context;
mod custom;
mod decided;
mod entrance;
mod future;
mod guard;
mod headers;
mod jwks;
mod keys;
mod layer;
mod peer;
mod provider;
mod record;
mod service;
mod token;
mod trials;

#[cfg(test)]
mod tests;

pub use self::body::ResponseBody;
pub use self::check_body::CheckBody;
pub use self::context::{RequestContext, spawn};
pub(crate) use self::context::{is_trace_header, note_spent, propagate, time_left};
pub(crate) use self::custom::Authorizers;
pub use self::custom::{Allowed, BodyInCheck, CheckAnswer, CheckRequest, Checking, ExternalAuthorizer};
pub(crate) use self::entrance::RoutedBy;
pub use self::future::ResponseFuture;
pub(crate) use self::guard::{Guard, append};
pub(crate) use self::keys::RuleKeys;
pub use self::layer::InboundLayer;
pub use self::peer::PeerIdentity;
pub use self::service::Inbound;
pub use self::token::TokenClaims;
pub(crate) use self::token::with_claims;
pub use self::trials::DryRunCounts;
pub(crate) use self::trials::Trials;
