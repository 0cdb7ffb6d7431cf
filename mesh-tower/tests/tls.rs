//! Certificates, mutual TLS and TLS over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]
#![allow(dead_code, reason = "the support is shared")]

#[cfg(feature = "workload-api")]
#[path = "tls/agent.rs"]
mod agent;
#[path = "support/anybody.rs"]
mod anybody;
#[path = "tls/authority.rs"]
mod authority;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/credentials.rs"]
mod credentials;
#[path = "tls/gateway_clients.rs"]
mod gateway_clients;
#[path = "tls/mesh_config.rs"]
mod mesh_config;
#[path = "tls/modes.rs"]
mod modes;
#[path = "tls/rotation.rs"]
mod rotation;
#[path = "tls/stranger.rs"]
mod stranger;
#[cfg(feature = "workload-api")]
#[path = "tls/workload_api.rs"]
mod workload_api;
#[path = "tls/world.rs"]
mod world;
