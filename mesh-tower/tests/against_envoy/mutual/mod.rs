//! Mutual TLS with a real Envoy, which is configured as Istio configures a sidecar: it calls our server
//! ([`from_envoy`]), our client calls it ([`to_envoy`]), each refuses whom it has to, and both take sessions up again
//! ([`sessions`]).

mod app;
mod from_envoy;
mod sessions;
mod sidecar;
mod to_envoy;

use rcgen::CertificateParams;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::authority::{Authority, Issued};

const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";
const STRANGER: &str = "spiffe://cluster.local/ns/default/sa/stranger";
/// Of a trust domain that nobody here knows, though the same authority vouches for it.
const FOREIGN: &str = "spiffe://elsewhere.example/ns/default/sa/client";
const SERVER: &str = crate::world::ME;
/// The name that Istio's clients send.
const SERVER_NAME: &str = "outbound_.80_._.server.default.svc.cluster.local";

/// The certificates of a test.
struct Certificates {
    ca: Authority,
    /// Of another root, under the names of this mesh.
    impostor: Authority,
}

impl Certificates {
    fn new() -> Self {
        Self { ca: Authority::new(), impostor: Authority::new() }
    }

    fn of(&self, id: &str) -> Issued {
        self.ca.issue(&[id], |_| {})
    }

    fn expired(&self, id: &str) -> Issued {
        let past = |params: &mut CertificateParams| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 2);
        };
        self.ca.issue(&[id], past)
    }
}

/// The element of `x-forwarded-client-cert` by which both sides tell the application who has called.
fn forwarded(certificate: &Issued, id: &str) -> String {
    let leaf = CertificateDer::from_pem_slice(certificate.chain.as_bytes()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf);
    let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("By={SERVER};Hash={hash};Subject=\"\";URI={id}")
}
