//! TLS of a server, at a gateway or a sidecar.

use std::collections::BTreeSet;

use super::checker::{At, Checker};
use crate::api::tls::{ServerTlsMode, ServerTlsSettings, TlsCertificate, TlsProtocol};

pub(super) fn check(cx: &mut Checker<'_>, at: &At<'_>, tls: &ServerTlsSettings) {
    check_cipher_suites(cx, &at.field("cipherSuites"), &tls.cipher_suites);
    check_versions(cx, at, tls);
    if tls.mode != ServerTlsMode::IstioMutual {
        check_sources(cx, at, tls);
    }
    match tls.mode {
        ServerTlsMode::IstioMutual => check_istio_mutual(cx, at, tls),
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => {
            if has_certificates(tls) {
                cx.warn(at, format!("{} mode does not use certificates, they will be ignored", tls.mode));
            }
            if !tls.ca_crl.is_empty() && !tls.credential_name.is_empty() {
                let message = "CRL is not supported with credentialName. CRL has to be specified in the credential";
                cx.error(&at.field("caCrl"), message);
            }
        }
        ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => check_terminated(cx, at, tls),
    }
}

fn has_certificates(tls: &ServerTlsSettings) -> bool {
    let texts = [&tls.server_certificate, &tls.private_key, &tls.ca_certificates, &tls.ca_crl, &tls.credential_name];
    texts.iter().any(|text| !text.is_empty()) || !tls.credential_names.is_empty() || !tls.tls_certificates.is_empty()
}

/// The workload's own certificate is used, so there is nothing to name.
fn check_istio_mutual(cx: &mut Checker<'_>, at: &At<'_>, tls: &ServerTlsSettings) {
    for (field, is_set, what) in [
        ("serverCertificate", !tls.server_certificate.is_empty(), "server certificate"),
        ("privateKey", !tls.private_key.is_empty(), "private key"),
        ("caCertificates", !tls.ca_certificates.is_empty(), "CA bundle"),
        ("tlsCertificates", !tls.tls_certificates.is_empty(), "tlsCertificates"),
        ("credentialName", !tls.credential_name.is_empty(), "credentialName"),
        ("credentialNames", !tls.credential_names.is_empty(), "credentialNames"),
    ] {
        if is_set {
            cx.error(&at.field(field), format!("ISTIO_MUTUAL TLS cannot have associated {what}"));
        }
    }
}

/// Certificates come from one place.
fn check_sources(cx: &mut Checker<'_>, at: &At<'_>, tls: &ServerTlsSettings) {
    // One file alone is not a certificate; what is missing is reported where files are needed.
    let has_files = !tls.server_certificate.is_empty() && !tls.private_key.is_empty();
    let sources = [
        !tls.credential_name.is_empty(),
        !tls.credential_names.is_empty(),
        has_files,
        !tls.tls_certificates.is_empty(),
    ];
    if sources.iter().filter(|is_set| **is_set).count() > 1 {
        let message = "only one of credential_name, credential_names, server_certificate/private_key, tls_certificates \
                       should be specified";
        cx.error(at, message);
    }
}

fn check_terminated(cx: &mut Checker<'_>, at: &At<'_>, tls: &ServerTlsSettings) {
    let mode = if tls.mode == ServerTlsMode::Simple { "SIMPLE TLS" } else { "MUTUAL TLS" };
    for (field, count) in
        [("credentialNames", tls.credential_names.len()), ("tlsCertificates", tls.tls_certificates.len())]
    {
        if count > 2 {
            cx.warn(&at.field(field), format!("{mode} can support up to 2 server certificates"));
        }
    }
    // Credentials are fetched, with the authority's certificate if one is needed.
    if !tls.credential_name.is_empty() || !tls.credential_names.is_empty() {
        return;
    }
    if tls.mode != ServerTlsMode::Simple && tls.ca_certificates.is_empty() {
        cx.error(at, format!("{mode} requires a client CA bundle"));
    }
    check_files(cx, at, tls, mode);
    if tls.mode == ServerTlsMode::Simple && !tls.ca_crl.is_empty() {
        cx.error(&at.field("caCrl"), "CRL is not supported with SIMPLE TLS");
    }
}

fn check_files(cx: &mut Checker<'_>, at: &At<'_>, tls: &ServerTlsSettings, mode: &str) {
    if tls.tls_certificates.is_empty() {
        cx.error_if(tls.server_certificate.is_empty(), at, &format!("{mode} requires a server certificate"));
        cx.error_if(tls.private_key.is_empty(), at, &format!("{mode} requires a private key"));
    }
    for (index, TlsCertificate { server_certificate, private_key, .. }) in tls.tls_certificates.iter().enumerate() {
        let at = at.field("tlsCertificates");
        let at = at.index(index);
        cx.error_if(server_certificate.is_empty(), &at, &format!("{mode} requires a server certificate"));
        cx.error_if(private_key.is_empty(), &at, &format!("{mode} requires a private key"));
    }
}

fn check_cipher_suites(cx: &mut Checker<'_>, at: &At<'_>, suites: &[String]) {
    let (valid, invalid): (Vec<_>, Vec<_>) =
        suites.iter().map(String::as_str).partition(|suite| is_cipher_suite(suite));
    let repeated = valid.iter().enumerate().filter(|(index, suite)| valid[..*index].contains(suite));
    let repeated: BTreeSet<_> = repeated.map(|(_, suite)| *suite).collect();
    for (what, suites) in [("invalid", invalid.into_iter().collect()), ("duplicate", repeated)] {
        if !suites.is_empty() {
            let suites: Vec<_> = suites.into_iter().collect();
            cx.warn(at, format!("ignoring {what} cipher suites: [{}]", suites.join(" ")));
        }
    }
}

/// Whether Istio passes a suite on. Expressions, which begin with an operator, are not looked at.
fn is_cipher_suite(suite: &str) -> bool {
    let is_expression = suite.starts_with(|c: char| !c.is_alphanumeric());
    suite.is_empty() || suite == "ALL" || is_expression || CIPHER_SUITES.contains(&suite)
}

/// The suites that are on by default are not those of the old versions.
fn check_versions(cx: &mut Checker<'_>, at: &At<'_>, tls: &ServerTlsSettings) {
    let old = |version| matches!(version, TlsProtocol::V1_0 | TlsProtocol::V1_1);
    if old(tls.min_protocol_version) && tls.cipher_suites.is_empty() {
        let message = "TLS version below TLSV1_2 require setting compatible ciphers as by default they no longer include \
                       compatible ciphers.";
        cx.warn(&at.field("minProtocolVersion"), message);
    }
    if old(tls.max_protocol_version) && !old(tls.min_protocol_version) {
        let message = format!("maxProtocolVersion {} is below TLSV1_2, the lowest version", tls.max_protocol_version);
        cx.unchecked(|cx| cx.error(&at.field("maxProtocolVersion"), message));
    }
}

const CIPHER_SUITES: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
];
