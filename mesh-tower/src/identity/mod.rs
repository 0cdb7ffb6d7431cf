//! Certificates, and TLS made with them.
//!
//! A workload proves who it is by a certificate with one SPIFFE id, and believes those that the roots of its trust domain
//! vouch for. All of it is one [`Material`], which [`FileIdentity`] reads from a directory and follows,
//! [`MemoryIdentity`] is given by the application, and [`MeshBuilder::identity`](crate::MeshBuilder::identity) takes:
//!
//! ```no_run
//! # async fn f() -> Result<(), mesh_tower::BoxError> {
//! use mesh_tower::Mesh;
//! use mesh_tower::identity::FileIdentity;
//!
//! // The layout of Istio's agent; `meshctl certs dev-ca` writes the same.
//! let mesh = Mesh::builder().identity(FileIdentity::directory("/var/run/secrets/workload-spiffe-credentials")).build().await?;
//! # Ok(()) }
//! ```
//!
//! With the feature `workload-api` an agent of SPIFFE gives it: `WorkloadApi`.
//!
//! Material is replaced as a whole: new handshakes are made with the new one, with fresh session tickets, and what is
//! broken leaves the last good one in use. Connections that are open stay; a server ends them with the certificate of their
//! caller.
//!
//! # What is checked
//!
//! rustls and webpki check signatures, dates, path length, name constraints and purpose. Beyond that a peer's certificate
//! has to name exactly one URI, a strictly written [SPIFFE id](mesh_core::identity::SpiffeId) of a trust domain of the
//! mesh or of one with roots of its own; to end at a root of that very domain; to be for signatures and not for signing
//! certificates. Those that signed it have to be allowed to, and the root must not have expired. Names other than that
//! URI are never an identity.
//!
//! Private keys are never printed, logged or given out.

mod admitted;
mod anchors;
mod choice;
mod client;
mod credentials;
pub mod danger;
mod der;
mod files;
mod gateway;
mod inspect;
mod leaf;
mod material;
mod memory;
mod peer;
mod peer_check;
mod pem;
mod provider;
mod recent;
mod server;
mod source;
mod state;
mod verifiers;
#[cfg(feature = "workload-api")]
mod workload_api;

#[cfg(test)]
mod tests;

pub use files::FileIdentity;
pub use inspect::{CertificateInfo, inspect};
pub use material::Material;
pub use memory::MemoryIdentity;
pub use peer::Peer;
pub use pem::BadMaterial;
pub use source::{IdentitySink, IdentitySource};
#[cfg(feature = "workload-api")]
pub use workload_api::{WorkloadApi, WorkloadApiIdentity};

pub(crate) use client::{NoTls, Originator};
pub(crate) use gateway::GatewayTls;
#[cfg(feature = "admin")]
pub(crate) use inspect::base64;
pub(crate) use peer::TlsPeer;
pub(crate) use server::WorkloadTls;
pub(crate) use state::{IdentityHandle, Options};

/// The SHA-256 of something.
fn sha256(data: &[u8]) -> [u8; 32] {
    let suite = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let hash = suite.tls13().map(|suite| suite.common.hash_provider.hash(data));
    hash.and_then(|hash| hash.as_ref().try_into().ok()).unwrap_or_default()
}
