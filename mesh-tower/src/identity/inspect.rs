//! What certificates say, for people.

use std::time::{Duration, SystemTime};

use mesh_core::identity::SpiffeId;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::{BadMaterial, der, pem};

/// What a certificate says about itself, checked by nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateInfo {
    /// Its owner, as RFC 2253 writes names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its URIs.
    pub uris: Vec<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// From when it counts.
    pub not_before: SystemTime,
    /// Until when.
    pub not_after: SystemTime,
    /// Whether it may sign others.
    pub is_authority: bool,
}

impl CertificateInfo {
    /// The identity, if it is one.
    pub fn id(&self) -> Option<SpiffeId> {
        SpiffeId::of_uris(self.uris.iter().map(String::as_str)).ok()
    }
}

/// Reads the certificates of a PEM text.
///
/// # Errors
/// If there is none, or one cannot be read.
pub fn inspect(text: impl AsRef<[u8]>) -> Result<Vec<CertificateInfo>, BadMaterial> {
    pem::certificates(text.as_ref())?.iter().map(info).collect()
}

pub(super) fn info(certificate: &CertificateDer<'_>) -> Result<CertificateInfo, BadMaterial> {
    let facts = der::facts(certificate).ok_or(BadMaterial::Certificate)?;
    let parsed = EndEntityCert::try_from(certificate).map_err(|_| BadMaterial::Certificate)?;
    let at = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Ok(CertificateInfo {
        subject: der::name_in_words(facts.subject),
        issuer: der::name_in_words(facts.issuer),
        uris: parsed.valid_uri_names().map(str::to_owned).collect(),
        dns_names: parsed.valid_dns_names().map(str::to_owned).collect(),
        not_before: at(facts.not_before),
        not_after: at(facts.not_after),
        is_authority: facts.is_authority,
    })
}

/// In base64, padded.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let part = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = part(0) << 16 | part(1) << 8 | part(2);
        for digit in 0..4 {
            let index = word >> (18 - 6 * digit) & 63;
            let is_there = digit <= chunk.len();
            out.push(if is_there { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    out
}

/// The 32 bytes that a base64 text stands for.
pub(super) fn hash_of_base64(text: &str) -> Option<[u8; 32]> {
    let digits = text.trim_end_matches('=');
    let (mut word, mut bits, mut bytes) = (0_u32, 0, Vec::new());
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = (word << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits & 0xff) as u8);
        }
    }
    bytes.try_into().ok()
}
