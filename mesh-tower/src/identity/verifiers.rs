//! What rustls asks about a peer's certificate.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::anchors::{self, Anchors};
use super::leaf::Leaf;
use super::peer_check::{MeshTrust, carries};
use super::provider::provider;

macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signature, &provider().signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &provider().signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            provider().signature_verification_algorithms.supported_schemes()
        }
    };
}

/// Takes clients of the mesh, and nobody without a certificate.
#[derive(Debug)]
pub(super) struct MeshClients {
    trust: MeshTrust,
    hints: Vec<DistinguishedName>,
}

impl MeshClients {
    pub(super) fn new(trust: MeshTrust) -> Self {
        Self { hints: trust.subjects(), trust }
    }
}

impl ClientCertVerifier for MeshClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let id = self.trust.identify(&Leaf::read(leaf)?, others, KeyUsage::client_auth(), now)?;
        // As Istio's servers: who has roots here is to be called, perhaps, and is no peer of the mesh for that.
        if !self.trust.is_of_the_mesh(&id) {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ClientCertVerified::assertion())
    }

    signatures!();
}

/// Takes servers of the mesh that are who they are expected to be.
#[derive(Debug)]
pub(super) struct MeshServers {
    pub(super) trust: MeshTrust,
    /// Where there are none, anybody of the mesh is.
    pub(super) names: Vec<Box<str>>,
}

impl ServerCertVerifier for MeshServers {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = Leaf::read(leaf)?;
        let id = self.trust.identify(&leaf, others, KeyUsage::server_auth(), now)?;
        let expected = |name: &str| self.trust.is_expected(&id, name) || carries(&leaf.parsed, name);
        if self.names.is_empty() || self.names.iter().any(|name| expected(name)) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    }

    signatures!();
}

/// Takes servers that some authorities vouch for and that have one of some names.
#[derive(Debug)]
pub(super) struct NamedServers {
    pub(super) anchors: Anchors,
    /// Never empty.
    pub(super) names: Vec<Box<str>>,
}

impl ServerCertVerifier for NamedServers {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = EndEntityCert::try_from(leaf).map_err(anchors::refusal)?;
        self.anchors.check_chain(&parsed, others, KeyUsage::server_auth(), now)?;
        if self.names.iter().any(|name| carries(&parsed, name)) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    }

    signatures!();
}

/// Takes any server: only where the process allows it by name.
#[derive(Debug)]
pub(super) struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

/// Takes clients that some authorities vouch for, and further conditions of a gateway's server.
#[derive(Debug)]
pub(super) struct GatewayClients {
    anchors: Anchors,
    hints: Vec<DistinguishedName>,
    conditions: ClientConditions,
    is_optional: bool,
}

/// What a gateway's server asks of client certificates beside their chain. Each list that is empty asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientConditions {
    /// Names of which it has to carry one.
    pub(super) names: Vec<Box<str>>,
    /// SHA-256 hashes, of which one is that of its public key, or of itself.
    pub(super) public_keys: Vec<[u8; 32]>,
    pub(super) certificates: Vec<[u8; 32]>,
}

impl GatewayClients {
    pub(super) fn new(anchors: Anchors, conditions: ClientConditions, is_optional: bool) -> Arc<Self> {
        Arc::new(Self { hints: anchors.subjects(), anchors, conditions, is_optional })
    }
}

impl ClientConditions {
    fn meets(&self, leaf: &CertificateDer<'_>, parsed: &EndEntityCert<'_>) -> bool {
        let named = self.names.is_empty() || self.names.iter().any(|name| carries(parsed, name));
        let pinned = self.public_keys.is_empty() && self.certificates.is_empty()
            || self.certificates.contains(&super::sha256(leaf))
            || self.public_keys.contains(&super::sha256(parsed.subject_public_key_info().as_ref()));
        named && pinned
    }
}

impl ClientCertVerifier for GatewayClients {
    fn client_auth_mandatory(&self) -> bool {
        !self.is_optional
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let parsed = EndEntityCert::try_from(leaf).map_err(anchors::refusal)?;
        self.anchors.check_chain(&parsed, others, KeyUsage::client_auth(), now)?;
        if self.conditions.meets(leaf, &parsed) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
    }

    signatures!();
}
