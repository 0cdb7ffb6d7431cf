//! Bookinfo, the book shop of Istio's documentation, written in Rust: every service embeds the mesh as a library.
//!
//! ```text
//!                       outside            each box is a process with a mesh of its own, or all of them are one process
//! probe --> gateway --> productpage --> details (4 replicas)
//!                                  \--> reviews v1 v2 v3 --> ratings v1 v2 (gRPC)
//! ```
//!
//! The library holds the services ([`roles`]), the one-process set-up ([`stage`]) and the scenarios ([`scenarios`])
//! that play the YAML files of the folder `mesh/` with real requests. What a scenario observes comes from two places
//! that know nothing of the mesh: the [`ledger`] in which each service writes what reached it, and the plain client of
//! [`probe`].

pub mod check;
pub mod config;
pub mod control;
pub mod ledger;
pub mod mesh;
pub mod probe;
pub mod roles;
pub mod scenarios;
pub mod stage;

/// What `proto/ratings.proto` says.
#[allow(missing_docs, unreachable_pub, reason = "generated code")]
#[allow(clippy::too_many_lines, clippy::needless_pass_by_value, reason = "generated code")]
pub mod ratings {
    tonic::include_proto!("bookinfo.ratings.v1");
}

/// An error of the example: told to the person who runs it, never handled.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result with the example's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
