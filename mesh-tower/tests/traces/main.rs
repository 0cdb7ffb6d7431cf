//! Spans and metrics, as a collector of OpenTelemetry gets them over gRPC.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

mod applications;
mod collector;
mod contexts;
mod hanging;
mod logs;
mod one_trace;
mod outcomes;
mod points;
mod world;
