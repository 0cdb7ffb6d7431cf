//! The versions and algorithms that are spoken, where documents choose them.

use std::sync::Arc;

use mesh_core::mesh_tls::TlsChoice;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{CipherSuite, NamedGroup, SupportedProtocolVersion};

use super::provider::provider;

/// Versions of TLS, and what is spoken in them.
pub(super) type Spoken = (Arc<CryptoProvider>, Vec<&'static SupportedProtocolVersion>);

/// What is left of versions, the highest first, and of what they can do.
pub(super) fn spoken(
    mut versions: Vec<&'static SupportedProtocolVersion>,
    cipher_suites: &[Box<str>],
    curves: &[Box<str>],
) -> Spoken {
    if cipher_suites.is_empty() && curves.is_empty() {
        return (Arc::clone(provider()), versions);
    }
    let mut provider = CryptoProvider::clone(provider());
    if !cipher_suites.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let is_named = || cipher_suites.iter().any(|name| openssl_name(suite.suite()) == Some(name));
            suite.tls13().is_some() || is_named()
        });
        if provider.cipher_suites.iter().all(|suite| suite.tls13().is_some()) {
            versions.retain(|version| version.version == rustls::ProtocolVersion::TLSv1_3);
        }
    }
    if !curves.is_empty() {
        // In the order in which they are named: the first is what a client begins with.
        let known = |name: &str| groups().iter().copied().find(|group| curve_name(group.name()) == Some(name));
        provider.kx_groups = curves.iter().filter_map(|name| known(name)).collect();
    }
    (Arc::new(provider), versions)
}

/// Both versions, or what a choice leaves of them.
pub(super) fn chosen(choice: &TlsChoice) -> Spoken {
    let mut versions = vec![&rustls::version::TLS13, &rustls::version::TLS12];
    if choice.without_1_2 {
        versions.truncate(1);
    }
    spoken(versions, &choice.cipher_suites, &choice.curves)
}

fn groups() -> &'static [&'static dyn SupportedKxGroup] {
    rustls::crypto::aws_lc_rs::ALL_KX_GROUPS
}

/// What OpenSSL, and so Istio, calls a group.
fn curve_name(group: NamedGroup) -> Option<&'static str> {
    match group {
        NamedGroup::X25519 => Some("X25519"),
        NamedGroup::X25519MLKEM768 => Some("X25519MLKEM768"),
        NamedGroup::secp256r1 => Some("P-256"),
        NamedGroup::secp384r1 => Some("P-384"),
        _ => None,
    }
}

/// What OpenSSL, and so Istio, calls a cipher suite.
fn openssl_name(suite: CipherSuite) -> Option<&'static str> {
    match suite {
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => Some("ECDHE-ECDSA-AES256-GCM-SHA384"),
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => Some("ECDHE-ECDSA-AES128-GCM-SHA256"),
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => Some("ECDHE-ECDSA-CHACHA20-POLY1305"),
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Some("ECDHE-RSA-AES256-GCM-SHA384"),
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Some("ECDHE-RSA-AES128-GCM-SHA256"),
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => Some("ECDHE-RSA-CHACHA20-POLY1305"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::mesh_tls::{SPOKEN_CURVES, SPOKEN_SUITES};

    use super::*;

    fn names(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn what_is_said_to_be_spoken_is() {
        let (provider, versions) = chosen(&TlsChoice {
            without_1_2: false,
            cipher_suites: names(&SPOKEN_SUITES),
            curves: names(&SPOKEN_CURVES),
        });
        let old = provider.cipher_suites.iter().filter(|suite| suite.tls13().is_none()).count();
        assert_eq!((old, provider.kx_groups.len(), versions.len()), (SPOKEN_SUITES.len(), SPOKEN_CURVES.len(), 2));
        assert_eq!(provider.kx_groups[2].name(), NamedGroup::secp256r1);
    }

    #[test]
    fn what_is_not_spoken_is_left_out_and_tls_1_3_has_suites_of_its_own() {
        let choice = TlsChoice { cipher_suites: names(&["AES128-SHA"]), curves: names(&["P-521"]), without_1_2: false };
        let (provider, versions) = chosen(&choice);
        assert_eq!(versions.len(), 1);
        assert!(provider.kx_groups.is_empty());
        assert!(provider.cipher_suites.iter().all(|suite| suite.tls13().is_some()));
        assert_eq!(chosen(&TlsChoice { without_1_2: true, ..TlsChoice::default() }).1.len(), 1);
    }
}
