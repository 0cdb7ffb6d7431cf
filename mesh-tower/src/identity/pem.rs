//! Reads PEM strictly: a file that is half written, or has something else in it, is no material.

use std::fmt;

use rustls_pki_types::pem::{PemObject as _, SectionKind};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

/// The certificates of a text, in order.
///
/// # Errors
/// If there is none, or anything in it is not as it should be.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadMaterial> {
    check_sections(text)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = read.map_err(|_| BadMaterial::Pem)?;
    if certificates.is_empty() {
        return Err(BadMaterial::NoCertificate);
    }
    for certificate in &certificates {
        // What comes after a certificate is refused there.
        super::der::facts(certificate).ok_or(BadMaterial::Certificate)?;
    }
    Ok(certificates)
}

/// The private key of a text, in any of the usual forms.
///
/// # Errors
/// If there is none, or it is broken.
pub(super) fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, BadMaterial> {
    check_sections(text)?;
    PrivateKeyDer::from_pem_slice(text).map_err(|_| BadMaterial::Key)
}

/// The revocation lists of a text.
///
/// # Errors
/// If there is none, or one is broken.
pub(super) fn revocation_lists(text: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, BadMaterial> {
    let read: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
    let lists = read.map_err(|_| BadMaterial::Pem)?;
    if lists.is_empty() { Err(BadMaterial::RevocationList) } else { Ok(lists) }
}

/// Every section that begins has to end, and to be readable: else the file is being written.
fn check_sections(text: &[u8]) -> Result<(), BadMaterial> {
    let count = |mark: &str| text.windows(mark.len()).filter(|part| *part == mark.as_bytes()).count();
    if count("-----BEGIN ") != count("-----END ") {
        return Err(BadMaterial::Pem);
    }
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        section.map_err(|_| BadMaterial::Pem)?;
    }
    Ok(())
}

/// Why certificates or keys cannot be used. Tells nothing of what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadMaterial {
    /// A certificate cannot be read.
    Certificate,
    /// The workload's certificate has no SPIFFE id.
    Identity(mesh_core::identity::NotAnId),
    /// The private key is missing or cannot be read.
    Key,
    /// The private key is that of another certificate.
    KeyMismatch,
    /// There is no certificate.
    NoCertificate,
    /// There are no roots.
    NoRoots,
    /// The text is not PEM, or ends within a section.
    Pem,
    /// A revocation list is missing or cannot be read.
    RevocationList,
    /// A file cannot be read.
    Unreadable(String),
}

impl fmt::Display for BadMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate => f.write_str("a certificate cannot be read"),
            Self::Identity(why) => write!(f, "the certificate has no SPIFFE id: {why}"),
            Self::Key => f.write_str("there is no private key that can be read"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::NoCertificate => f.write_str("there is no certificate"),
            Self::NoRoots => f.write_str("there is no root certificate"),
            Self::Pem => f.write_str("it is not PEM, or only half of it is there"),
            Self::RevocationList => f.write_str("there is no revocation list that can be read"),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BadMaterial {}
