//! TLS of a client.

use super::super::checker::{At, Checker};
use crate::api::tls::{ClientTlsMode, ClientTlsSettings};

pub(in super::super) fn check(cx: &mut Checker<'_>, at: &At<'_>, tls: &ClientTlsSettings) {
    if let Some(reference) = tls.credential_name.strip_prefix("configmap://") {
        cx.check(&at.field("credentialName"), check_config_map(reference, cx.namespace()));
    }
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

/// A reference to a ConfigMap, `namespace/name` or `name`, stays in the rule's namespace.
fn check_config_map(reference: &str, namespace: &str) -> Result<(), String> {
    let problem = match reference.split('/').collect::<Vec<_>>().as_slice() {
        [name] if !name.is_empty() => return Ok(()),
        [of, name] if !name.is_empty() && *of == namespace => return Ok(()),
        [of, name] if !name.is_empty() && !of.is_empty() => {
            format!("namespace must match the configuration namespace {namespace:?}")
        }
        _ => format!("invalid resource name {reference:?}. Expected namespace and name"),
    };
    Err(format!("invalid configmap:// credentialName: {problem}"))
}
