//! Trust domains: the mesh's own, and patterns for those of callers.

use super::host::is_dns_label;
use super::wildcard;

/// Checks the name of a trust domain. One trailing dot is allowed.
///
/// # Errors
/// Istio's text.
pub fn check_trust_domain(domain: &str) -> Result<(), String> {
    if domain.is_empty() {
        return Err("empty domain name not allowed".to_owned());
    }
    if domain.strip_suffix('.').unwrap_or(domain).split('.').all(is_dns_label) {
        return Ok(());
    }
    Err(format!("trust domain name {domain:?} invalid"))
}

/// Checks a trust domain in an authorization policy, which may have a star at its start or end. `field` is named in the
/// text.
///
/// # Errors
/// Istio's text.
pub fn check_pattern(value: &str, field: &str) -> Result<(), String> {
    if value.contains('/') {
        return Err(format!("trust domain must not contain '/', found in {field}: {value:?}"));
    }
    wildcard::check_affix(value, field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_domain_is_made_of_labels() {
        for (domain, valid) in [
            ("cluster.local", true),
            ("cluster.local.", true),
            ("f-oo", true),
            ("", false),
            (".", false),
            ("-foo", false),
            ("foo-", false),
            ("foo/bar", false),
            ("a..b", false),
        ] {
            assert_eq!(check_trust_domain(domain).is_ok(), valid, "{domain}");
        }
    }

    #[test]
    fn a_pattern_has_one_star_at_an_end_and_no_slash() {
        for (value, valid) in [
            ("cluster.local", true),
            ("*", true),
            ("*.local", true),
            ("cluster-*", true),
            ("", false),
            ("a*b", false),
            ("*a*", false),
            ("td/ns/a", false),
            ("spiffe://td", false),
        ] {
            assert_eq!(check_pattern(value, "TrustDomains").is_ok(), valid, "{value}");
        }
    }
}
