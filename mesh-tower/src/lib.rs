//! An Istio-compatible service mesh inside your process: a client, a server and an ingress that
//! behave by the YAML you already have, as tower services.
//!
//! The server, an axum `Router` here (tonic's `Routes` are taken alike):
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> Result<(), mesh_tower::BoxError> {
//! let mesh = mesh_tower::Mesh::builder().config_dir("mesh/").workload("default/reviews").label("app", "reviews").build().await?;
//! let app = axum::Router::new().route("/reviews/{id}", axum::routing::get(|| async { "five stars" }));
//! mesh.serve(tokio::net::TcpListener::bind("0.0.0.0:9080").await?, app).await?;
//! # Ok(()) }
//! ```
//!
//! The client, which with tonic is the transport:
//!
//! ```no_run
//! # async fn f(mesh: mesh_tower::Mesh) -> Result<(), mesh_tower::BoxError> {
//! let request = http::Request::get("http://reviews:9080/reviews/1").body(mesh_tower::Body::empty())?;
//! let response = mesh.client().send(request).await;
//! # Ok(()) }
//! ```
//!
//! # What happens where
//!
//! [`mesh_config`] reads documents, [`mesh_core`] compiles them and decides, this crate does: it
//! owns the sockets, the clock and the tasks. A request takes one immutable version of everything
//! ([`Live`]) and keeps it to its end; a change of the configuration swaps a pointer. The steps of a
//! request on its way out stand on one page, in `outbound/mod.rs`.
//!
//! # Layers alone
//!
//! The mechanisms stand alone too, in a plain `ServiceBuilder`, with a policy given by hand and no
//! YAML:
//!
//! | layer | does |
//! |-|-|
//! | [`retry::RetryLayer`] | tries again: conditions, pauses, budget, bodies played again |
//! | [`timeout::TimeoutLayer`] | limits the time of the whole exchange, `grpc-timeout` included |
//! | [`limit::LimitLayer`] | limits the requests at once; over it they fail at once |
//! | [`balance::BalanceLayer`] | spreads requests over several endpoints |
//! | [`outlier::OutlierLayer`] | leaves a service that keeps failing alone for a while |
//! | [`fault::FaultLayer`] | delays and aborts on purpose |
//! | [`mirror::MirrorLayer`] | copies a share of the requests |
//! | [`local_reply::LocalReplyLayer`] | answers what failed, as HTTP or gRPC |
//!
//! They forward readiness, call the instance that was made ready, and keep errors of the service inside
//! as they are.
//!
//! # Testing one's own rules
//!
//! With `feature = "testing"` the module `testing` has a mesh in memory: endpoints are routers or scripted replies, time
//! is virtual and chance pinned.
//!
//! # Backpressure
//!
//! [`MeshClient`] is always ready: where a request goes is known only once it is there. Limits take
//! the place of waiting, and what is over one is answered at once with 503 and the flag `UO`.
//!
//! # Cancel safety
//!
//! Dropping a call or a response body gives back every slot it held. On HTTP/1 the connection
//! closes, since the rest of an answer is still on it; on HTTP/2 the stream is reset.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods,
        reason = "tests say what they expect, and read the real clock where they measure it"
    )
)]

#[cfg(feature = "admin")]
pub mod admin;
pub mod balance;
pub mod body;
mod builder;
mod chance;
mod client;
mod clock;
mod cluster;
mod config;
pub mod discovery;
mod endpoint;
mod error;
mod explained;
pub mod fault;
pub mod gateway;
mod gauges;
mod grpc;
mod hops;
pub mod identity;
pub mod inbound;
mod layers;
pub mod limit;
mod live;
pub mod local_reply;
mod mesh;
pub mod mirror;
mod outbound;
pub mod outlier;
mod repeatable;
mod request_form;
mod request_id;
pub mod retry;
pub mod serve;
pub mod source;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timeout;

pub use mesh_config;
pub use mesh_core;
pub use mesh_core::{Failure, Profile, ResponseFlags};

pub use body::Body;
pub use builder::{BuildError, MeshBuilder};
pub use client::{MeshClient, ResponseFuture};
pub use error::{BoxError, Error};
pub use gateway::{Gateway, GatewayBuilder};
pub use gauges::{ClusterGauges, Gauges, Refused};
pub use inbound::spawn;
pub use live::Live;
pub use mesh::Mesh;
pub use outbound::{AddedHeader, RouteInfo};

/// The README's examples compile; one of them needs the test kit.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct ReadmeDoctests;
