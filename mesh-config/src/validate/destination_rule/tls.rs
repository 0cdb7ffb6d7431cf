//! TLS of a client.

use super::super::checker::{At, Checker};
use crate::api::tls::{ClientTlsMode, ClientTlsSettings};

pub(super) fn check(cx: &mut Checker<'_>, at: &At<'_>, tls: &ClientTlsSettings) {
    let names_a_ca = !tls.ca_certificates.is_empty();
    if tls.insecure_skip_verify == Some(true) {
        let has_names = !tls.subject_alt_names.is_empty();
        match tls.mode {
            ClientTlsMode::Simple if names_a_ca || has_names || !tls.credential_name.is_empty() => {
                let message = "cannot specify CaCertificates or CredentialName or SubjectAltNames when InsecureSkipVerify \
                               is set true";
                cx.error(at, message);
            }
            ClientTlsMode::Mutual if names_a_ca || has_names => {
                cx.error(at, "cannot specify CaCertificates or SubjectAltNames when InsecureSkipVerify is set true");
            }
            _ => {}
        }
    }
    let fetches = matches!(tls.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual) && !tls.credential_name.is_empty();
    if fetches {
        let files = [&tls.client_certificate, &tls.private_key, &tls.ca_certificates, &tls.ca_crl];
        if files.iter().any(|file| !file.is_empty()) {
            let message = "cannot specify client certificates or CA certificate or CA CRL If credentialName is set";
            cx.error(at, message);
        }
    } else if tls.mode == ClientTlsMode::Mutual {
        cx.error_if(tls.client_certificate.is_empty(), at, "client certificate required for mutual tls");
        cx.error_if(tls.private_key.is_empty(), at, "private key required for mutual tls");
    }
}
