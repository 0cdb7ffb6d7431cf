//! What a decision and a request cost, told as ratios to a peer in the same run.
//!
//! | command | measures |
//! |-|-|
//! | `cargo bench -p benches` | the decision alone: route, split, endpoint, at 10 to 10,000 routes |
//! | `cargo bench -p benches --bench authorization` | who may do what, by 10 and 1,000 policies |
//! | `cargo run --release -p benches --bin allocations` | allocations of that decision, of a request that is let in, and of a whole one |
//! | `cargo run --release -p benches --bin compare` | whole requests, with and without the mesh |
//! | `cargo run --release -p benches --bin handshakes` | mutual TLS, against bare rustls |
//! | `cargo run --release -p benches --bin overhead` | instructions of a whole request, with telemetry and without |
//! | `cargo run --release -p benches --bin tokens` | verified tokens, against the check of the signature alone |
//!
//! Absolute figures hold for one machine on one day. Ratios from interleaved rounds travel better.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

pub mod authorization;
pub mod decision;
pub mod guarded;
pub mod instructions;
pub mod stats;
pub mod whole;
