//! A peer's own certificate, read once.

use rustls::Error;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::anchors;
use super::der::{self, Facts};

/// The certificate of a peer, as far as it can be read; nothing of it is believed for that.
pub(super) struct Leaf<'a> {
    pub(super) der: &'a CertificateDer<'a>,
    pub(super) parsed: EndEntityCert<'a>,
    pub(super) facts: Facts<'a>,
}

impl<'a> Leaf<'a> {
    /// # Errors
    /// If it is no certificate.
    pub(super) fn read(der: &'a CertificateDer<'a>) -> Result<Self, Error> {
        let parsed = EndEntityCert::try_from(der).map_err(anchors::refusal)?;
        let facts = der::facts(der).ok_or_else(|| anchors::refusal(webpki::Error::BadDer))?;
        Ok(Self { der, parsed, facts })
    }
}
