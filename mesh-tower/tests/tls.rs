//! Certificates, mutual TLS and TLS over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]
#![allow(dead_code, reason = "the support is shared")]

#[path = "support/anybody.rs"]
mod anybody;
#[path = "tls/authority.rs"]
mod authority;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/credentials.rs"]
mod credentials;
#[path = "tls/modes.rs"]
mod modes;
#[path = "tls/rotation.rs"]
mod rotation;
#[path = "tls/world.rs"]
mod world;
