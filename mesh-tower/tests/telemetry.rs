//! What is told of requests: taps, access logs and Telemetry resources, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

#[path = "telemetry/logs.rs"]
mod logs;
#[path = "telemetry/tap.rs"]
mod tap;
#[path = "telemetry/world.rs"]
mod world;
