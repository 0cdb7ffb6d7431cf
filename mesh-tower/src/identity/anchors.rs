//! Whom a chain of certificates may end at, and the checks of a chain that the library leaves out.

use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, Error};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::der::{self, DIGITAL_SIGNATURE, Facts, KEY_CERT_SIGN};
use super::pem::{self, BadMaterial};
use super::provider;

/// The authorities that are believed for some purpose.
#[derive(Clone)]
pub(super) struct Anchors {
    anchors: Arc<[TrustAnchor<'static>]>,
    /// Of each, in the same order.
    limits: Arc<[Limits]>,
    revoked: Arc<[Arc<webpki::CertRevocationList<'static>>]>,
}

/// What is to be checked of an authority.
#[derive(Clone, Copy, Debug)]
struct Limits {
    not_before: i64,
    not_after: i64,
    may_sign: bool,
}

impl Anchors {
    /// Reads certificates.
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, BadMaterial> {
        Self::new(&pem::certificates(text)?)
    }

    pub(super) fn new(certificates: &[CertificateDer<'static>]) -> Result<Self, BadMaterial> {
        let (mut anchors, mut limits) = (Vec::new(), Vec::new());
        for certificate in certificates {
            let anchor = webpki::anchor_from_trusted_cert(certificate).map_err(|_| BadMaterial::Certificate)?;
            anchors.push(anchor.to_owned());
            limits.push(Limits::of(certificate).ok_or(BadMaterial::Certificate)?);
        }
        if anchors.is_empty() {
            return Err(BadMaterial::NoRoots);
        }
        Ok(Self { anchors: anchors.into(), limits: limits.into(), revoked: Arc::new([]) })
    }

    /// These and others, with the revocation lists of both.
    pub(super) fn joined(&self, others: &Self) -> Self {
        let revoked = self.revoked.iter().chain(others.revoked.iter()).cloned().collect();
        Self {
            anchors: self.anchors.iter().chain(others.anchors.iter()).cloned().collect(),
            limits: self.limits.iter().chain(others.limits.iter()).copied().collect(),
            revoked,
        }
    }

    /// Those of the operating system; what cannot be read there is passed over.
    pub(super) fn of_system() -> Result<Self, BadMaterial> {
        let found = rustls_native_certs::load_native_certs();
        let readable: Vec<_> =
            found.certs.into_iter().filter(|one| Self::new(std::slice::from_ref(one)).is_ok()).collect();
        Self::new(&readable)
    }

    /// Refuses certificates that the lists name.
    pub(super) fn with_revoked(self, text: &[u8]) -> Result<Self, BadMaterial> {
        self.with_revocation_lists(&pem::revocation_lists(text)?)
    }

    pub(super) fn with_revocation_lists(
        mut self,
        lists: &[CertificateRevocationListDer<'_>],
    ) -> Result<Self, BadMaterial> {
        let read = |list: &CertificateRevocationListDer<'_>| {
            let list = webpki::OwnedCertRevocationList::from_der(list.as_ref());
            list.map(|list| Arc::new(list.into())).map_err(|_| BadMaterial::RevocationList)
        };
        self.revoked = lists.iter().map(read).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The names of the authorities, as they are hinted to clients.
    pub(super) fn subjects(&self) -> Vec<rustls::DistinguishedName> {
        self.anchors.iter().map(|anchor| rustls::DistinguishedName::in_sequence(anchor.subject.as_ref())).collect()
    }

    /// Whether a chain ends here, at a time when all of it counts.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check_chain(
        &self,
        leaf: &EndEntityCert<'_>,
        others: &[CertificateDer<'_>],
        usage: KeyUsage,
        now: UnixTime,
    ) -> Result<(), Error> {
        let good = |path: &VerifiedPath<'_>| self.check_issuers(path, now);
        let lists: Vec<_> = self.revoked.iter().map(|list| &**list).collect();
        let revocation = webpki::RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_depth(webpki::RevocationCheckDepth::Chain)
                .with_status_policy(webpki::UnknownStatusPolicy::Allow)
                .build()
        });
        let algorithms = provider::provider().signature_verification_algorithms.all;
        leaf.verify_for_usage(algorithms, &self.anchors, others, now, usage, revocation, Some(&good))
            .map(|_| ())
            .map_err(refusal)
    }

    /// Issuers have to be allowed to sign, and the last one, whose dates nobody has looked at, has to count still.
    fn check_issuers(&self, path: &VerifiedPath<'_>, now: UnixTime) -> Result<(), webpki::Error> {
        for issuer in path.intermediate_certificates() {
            let der = issuer.der();
            let facts = der::facts(&der).ok_or(webpki::Error::BadDer)?;
            if facts.key_usage.is_none_or(|usage| usage & KEY_CERT_SIGN == 0) {
                return Err(webpki::Error::UnknownIssuer);
            }
        }
        let known = self.anchors.iter().zip(self.limits.iter()).filter(|(anchor, _)| *anchor == path.anchor());
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        for (_, limits) in known {
            if limits.may_sign && (limits.not_before..=limits.not_after).contains(&now) {
                return Ok(());
            }
        }
        Err(webpki::Error::UnknownIssuer)
    }
}

impl Limits {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let facts = der::facts(certificate)?;
        Some(Self {
            not_before: facts.not_before,
            not_after: facts.not_after,
            // A root that says nothing about it is believed, as it was given by hand.
            may_sign: facts.key_usage.is_none_or(|usage| usage & KEY_CERT_SIGN != 0),
        })
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchors({})", self.anchors.len())
    }
}

/// A workload's certificate has to be for signing handshakes, and not for signing certificates (X509-SVID 4.3).
pub(super) fn check_leaf_usage(leaf: &Facts<'_>) -> Result<(), Error> {
    match leaf.key_usage {
        Some(usage) if usage & DIGITAL_SIGNATURE != 0 && usage & KEY_CERT_SIGN == 0 => Ok(()),
        _ => Err(Error::InvalidCertificate(CertificateError::InvalidPurpose)),
    }
}

/// What is told about a refused chain, and which alert is sent.
pub(super) fn refusal(error: webpki::Error) -> Error {
    use webpki::Error as Chain;
    Error::InvalidCertificate(match error {
        Chain::BadDer | Chain::BadDerTime | Chain::TrailingData(_) => CertificateError::BadEncoding,
        Chain::CertExpired { .. } => CertificateError::Expired,
        Chain::CertNotValidYet { .. } => CertificateError::NotValidYet,
        Chain::CertRevoked => CertificateError::Revoked,
        Chain::UnknownIssuer => CertificateError::UnknownIssuer,
        Chain::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        Chain::CertNotValidForName(_) => CertificateError::NotValidForName,
        Chain::RequiredEkuNotFoundContext(_) | Chain::EndEntityUsedAsCa | Chain::CaUsedAsEndEntity => {
            CertificateError::InvalidPurpose
        }
        other => CertificateError::Other(rustls::OtherError(Arc::new(other))),
    })
}
