//! Whose certificate it is: the checks of a peer of the mesh, on either side of a connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_core::identity::{NotAnId, SpiffeId, TrustDomains};
use rustls::{CertificateError, Error, OtherError};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::Material;
use super::anchors::{self, Anchors};
use super::leaf::Leaf;
use super::state::Credentials;

/// Whom a peer of the mesh may be.
#[derive(Clone, Debug)]
pub(super) struct MeshTrust {
    material: Arc<Material>,
    domains: Arc<TrustDomains>,
    roots: Arc<BTreeMap<Box<str>, Anchors>>,
}

impl MeshTrust {
    /// As a process with this material has it.
    pub(super) fn new(material: Arc<Material>, credentials: &Credentials) -> Self {
        Self { material, domains: Arc::clone(&credentials.domains), roots: Arc::clone(&credentials.roots) }
    }

    /// The roots that vouch for identities of a trust domain: its own, where it has some; those of our own domain for
    /// the mesh's own name and its aliases. Nobody else's.
    fn roots(&self, domain: &str) -> Option<&Anchors> {
        if let Some(own) = self.roots.get(domain) {
            return Some(own);
        }
        let ours = self.material.id.trust_domain();
        self.domains.contains(domain).then(|| self.roots.get(ours)).flatten()
    }

    /// Who a peer is, by its certificate alone.
    ///
    /// # Errors
    /// Whatever keeps it from being a peer of the mesh.
    pub(super) fn identify(
        &self,
        leaf: &Leaf<'_>,
        others: &[CertificateDer<'_>],
        usage: KeyUsage,
        now: UnixTime,
    ) -> Result<SpiffeId, Error> {
        let id = identity_of(leaf)?;
        let roots = self.roots(id.trust_domain()).ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        roots.check_chain(&leaf.parsed, others, usage, now)?;
        anchors::check_leaf_usage(&leaf.facts)?;
        Ok(id)
    }

    /// Whether an identity is of the mesh: of its trust domain, or of an alias.
    pub(super) fn is_of_the_mesh(&self, id: &SpiffeId) -> bool {
        let domain = id.trust_domain();
        domain == self.material.id.trust_domain() || self.domains.contains(domain)
    }

    /// Whether an identity is one of those expected: the same, or the same under another name of the mesh.
    pub(super) fn is_expected(&self, id: &SpiffeId, name: &str) -> bool {
        self.domains.stands_for(id, name)
    }

    /// Every authority, as it is hinted to clients.
    pub(super) fn subjects(&self) -> Vec<rustls::DistinguishedName> {
        self.roots.values().flat_map(Anchors::subjects).collect()
    }
}

/// The identity that a certificate names.
pub(super) fn identity_of(leaf: &Leaf<'_>) -> Result<SpiffeId, Error> {
    // A second URI that is not even text is one all the same.
    let several = leaf.facts.uris > 1;
    let id = if several { Err(NotAnId::SeveralUris) } else { SpiffeId::of_uris(leaf.parsed.valid_uri_names()) };
    id.map_err(|why| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why)))))
}

/// Whether a certificate carries a name, of whichever kind the name is.
pub(super) fn carries(certificate: &EndEntityCert<'_>, name: &str) -> bool {
    if name.contains("://") {
        return certificate.valid_uri_names().any(|uri| uri == name);
    }
    ServerName::try_from(name).is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
}
