//! [`Material`]: what a workload proves its identity with, and whose it believes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::identity::{SpiffeId, TrustDomain};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use webpki::EndEntityCert;

use super::anchors::Anchors;
use super::pem::{self, BadMaterial};
use super::{der, provider};

/// A certificate with its key, and the roots of each trust domain.
///
/// It is good as a whole or not at all: the key belongs to the certificate, which has exactly one SPIFFE id. Nothing of
/// the key is ever printed.
#[derive(Clone)]
pub struct Material {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) id: SpiffeId,
    /// By trust domain; that of the certificate is always there.
    pub(super) roots: BTreeMap<Box<str>, Anchors>,
    not_after: i64,
}

/// What makes a [`Material`], in DER.
#[cfg(feature = "workload-api")]
pub(super) struct Parts {
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// In PKCS#8.
    pub(super) key: Vec<u8>,
    pub(super) roots: Anchors,
}

impl Material {
    /// Reads PEM: the certificate, followed by those that lead to its root, its private key, and the roots of its own
    /// trust domain.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_pem(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
        roots: impl AsRef<[u8]>,
    ) -> Result<Self, BadMaterial> {
        let key = certified(chain.as_ref(), key.as_ref())?;
        Self::with(key, Anchors::from_pem(roots.as_ref())?)
    }

    /// Of what an agent tells in DER.
    #[cfg(feature = "workload-api")]
    pub(super) fn of(parts: Parts) -> Result<Self, BadMaterial> {
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(parts.key);
        Self::with(fitting(parts.chain, key.into())?, parts.roots)
    }

    fn with(key: CertifiedKey, roots: Anchors) -> Result<Self, BadMaterial> {
        let leaf = key.cert.first().ok_or(BadMaterial::NoCertificate)?;
        let id = {
            let parsed = EndEntityCert::try_from(leaf).map_err(|_| BadMaterial::Certificate)?;
            SpiffeId::of_uris(parsed.valid_uri_names()).map_err(BadMaterial::Identity)?
        };
        let not_after = der::facts(leaf).ok_or(BadMaterial::Certificate)?.not_after;
        let roots = BTreeMap::from([(id.trust_domain().into(), roots)]);
        Ok(Self { key: Arc::new(key), id, roots, not_after })
    }

    /// Believes identities of another trust domain too, by roots of its own: those of one domain never vouch for
    /// another.
    ///
    /// # Errors
    /// What is wrong with the roots.
    pub fn with_roots(mut self, domain: &TrustDomain, roots: impl AsRef<[u8]>) -> Result<Self, BadMaterial> {
        self.roots.insert(domain.as_str().into(), Anchors::from_pem(roots.as_ref())?);
        Ok(self)
    }

    /// Refuses certificates of its own trust domain that these lists name (PEM).
    ///
    /// # Errors
    /// What is wrong with the lists.
    pub fn with_revoked(mut self, lists: impl AsRef<[u8]>) -> Result<Self, BadMaterial> {
        if let Some(own) = self.roots.get_mut(self.id.trust_domain()) {
            *own = own.clone().with_revoked(lists.as_ref())?;
        }
        Ok(self)
    }

    /// Believes identities of another trust domain by roots that were read.
    #[cfg(feature = "workload-api")]
    pub(super) fn with_anchors(mut self, domain: &str, roots: Anchors) -> Self {
        self.roots.insert(domain.into(), roots);
        self
    }

    /// Refuses certificates of any trust domain that these lists name.
    #[cfg(feature = "workload-api")]
    pub(super) fn with_revoked_everywhere(
        mut self,
        lists: &[rustls_pki_types::CertificateRevocationListDer<'_>],
    ) -> Result<Self, BadMaterial> {
        for roots in self.roots.values_mut() {
            *roots = roots.clone().with_revocation_lists(lists)?;
        }
        Ok(self)
    }

    /// Who this workload is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Until when the certificate counts.
    pub fn expires(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(self.not_after).unwrap_or(0))
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("id", &self.id)
            .field("trust_domains", &self.roots.keys())
            .finish_non_exhaustive()
    }
}

/// A certificate chain with the key that belongs to it.
pub(super) fn certified(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, BadMaterial> {
    fitting(pem::certificates(chain)?, pem::key(key)?)
}

/// A certificate chain with a key, which has to belong to it.
fn fitting(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, BadMaterial> {
    CertifiedKey::from_der(chain, key, provider::provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => BadMaterial::KeyMismatch,
        rustls::Error::InvalidCertificate(_) => BadMaterial::Certificate,
        _ => BadMaterial::Key,
    })
}
