//! Decides what happens to a request: which route, which cluster, which endpoint, whether again.
//!
//! **No clock, no sockets, no randomness of its own.** Time comes in as an `Instant`, chance as a
//! [`Rng`], so that every decision can be replayed: a test is a seed and a list of instants.
//!
//! The way through this crate is the way of a document: [`compile()`] turns a
//! [`ConfigSet`](mesh_config::ConfigSet) into an immutable [`Snapshot`]; a request borrows it as a
//! [`RequestView`] and gets a [`Routed`](route::Routed); an attempt asks the
//! [`lb`] for an endpoint, reports its outcome to the [`outlier`] detector and asks
//! [`retry`] whether to go on.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::disallowed_methods,
        reason = "tests say what they expect, and start their clock somewhere"
    )
)]

pub mod access_log;
pub mod authn;
pub mod authz;
pub mod cel;
pub mod classify;
pub mod cluster;
pub mod compile;
pub mod cookie;
pub mod deadline;
pub mod explain;
pub mod failure;
pub mod flags;
pub mod frames;
pub mod framing;
pub mod gateway_tls;
pub mod grpc_status;
pub mod host_index;
pub mod identity;
pub mod jwt;
pub mod lb;
pub mod limits;
pub mod mesh_tls;
pub mod network;
pub mod opening;
pub mod outlier;
pub mod path_normalization;
pub mod protobuf;
pub mod request;
pub mod request_form;
pub mod retry;
pub mod rng;
pub mod route;
pub mod secrets;
pub mod selection;
pub mod site;
pub mod snapshot;
mod sync;
pub mod telemetry;

pub use compile::{Compiled, compile};
pub use failure::Failure;
pub use flags::ResponseFlags;
pub use request::{PeerView, RequestView, Scheme};
pub use rng::{Rng, SplitMix64};
pub use site::{Profile, Site};
pub use snapshot::Snapshot;
