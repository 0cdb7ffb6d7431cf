//! The kinds of Istio as Rust structs: every field, Istio's names, no behaviour.
//!
//! A struct mirrors one proto message, a file one kind; messages that several kinds use stand in `selector`, `port` and
//! `tls`. Field names are Istio's in snake_case, with two exceptions that Rust's keywords ask for: `match` is `matches` and
//! `type` is `kind`. What proto cannot tell apart is one value here too (an empty string is an unset one); wrapper types,
//! messages and the members of a oneof are `Option`.
//!
//! The structs read any serde format by the rules of proto JSON: lowerCamelCase or the original snake_case, null for unset,
//! enums by name or number. They pass over fields they do not know; a strict reader finds those with `serde_ignored`.
//!
//! ```
//! use mesh_config::api::VirtualService;
//! use mesh_config::value::StringMatch;
//!
//! let service: VirtualService = serde_json::from_str(
//!     r#"{"hosts": ["reviews"],
//!         "http": [{"match": [{"uri": {"prefix": "/v2"}}],
//!                   "route": [{"destination": {"host": "reviews", "subset": "v2"}}]}]}"#,
//! )?;
//! assert_eq!(
//!     service.http[0].matches[0].uri,
//!     Some(StringMatch::Prefix("/v2".into()))
//! );
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod authorization_policy;
pub mod destination_rule;
pub mod gateway;
pub mod kubernetes;
pub mod mesh_config;
pub mod peer_authentication;
pub mod port;
pub mod proxy_config;
pub mod request_authentication;
pub mod selector;
pub mod service_entry;
pub mod sidecar;
pub mod telemetry;
pub mod tls;
pub mod virtual_service;
pub mod workload_entry;
pub mod workload_group;

pub use authorization_policy::AuthorizationPolicy;
pub use destination_rule::DestinationRule;
pub use gateway::Gateway;
pub use mesh_config::MeshConfig;
pub use peer_authentication::PeerAuthentication;
pub use proxy_config::ProxyConfig;
pub use request_authentication::RequestAuthentication;
pub use service_entry::ServiceEntry;
pub use sidecar::Sidecar;
pub use telemetry::Telemetry;
pub use virtual_service::VirtualService;
pub use workload_entry::WorkloadEntry;
pub use workload_group::WorkloadGroup;

#[cfg(test)]
mod tests;
