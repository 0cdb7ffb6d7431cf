//! What a policy says about the caller's certificate.
//!
//! The identity is the whole URI, `spiffe://td/ns/x/sa/y`. A caller without one is none of these.

use regex::Regex;

use super::text::TextMatch;

const SCHEME: &str = "spiffe://";

/// An identity, `td/ns/x/sa/y`, in one of the forms of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalMatch(TextMatch);

impl PrincipalMatch {
    /// Reads an identity as a policy writes it.
    pub fn parse(text: &str) -> Self {
        Self(TextMatch::parse(text))
    }

    /// Whether an identity is as it says.
    pub fn matches(&self, identity: &str) -> bool {
        match &self.0 {
            // Any identity, whatever its scheme.
            TextMatch::Present => !identity.is_empty(),
            text => without_scheme(identity).is_some_and(|rest| text.matches(rest.as_bytes())),
        }
    }

    /// The one identity that it can be, without its scheme.
    pub(super) fn exact(&self) -> Option<&[u8]> {
        self.0.exact()
    }
}

/// An identity as principals are compared with.
pub(super) fn without_scheme(identity: &str) -> Option<&str> {
    identity.strip_prefix(SCHEME)
}

/// A namespace, in which every star stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceMatch {
    /// What stands between the stars of `*/ns/NAMESPACE/*`.
    parts: Box<[Box<str>]>,
}

impl NamespaceMatch {
    /// Reads a namespace as a policy writes it.
    pub fn parse(text: &str) -> Self {
        Self { parts: format!("/ns/{text}/").split('*').map(Into::into).collect() }
    }

    /// Whether an identity is of the namespace.
    pub fn matches(&self, identity: &str) -> bool {
        // Both ends are open, so the first place of each part after the one before is as good as any.
        let mut rest = identity;
        self.parts.iter().all(|part| match rest.find(&**part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }

    /// The segment behind `/ns/` that an identity of it has to have, where that is one.
    pub(super) fn exact(&self) -> Option<&str> {
        let [part] = &*self.parts else { return None };
        part.strip_prefix("/ns/")?.strip_suffix('/').filter(|namespace| !namespace.contains('/'))
    }
}

/// A service account of one namespace, in any trust domain.
#[derive(Clone, Debug)]
pub struct AccountMatch {
    identity: Regex,
    namespace: Box<str>,
    account: Box<str>,
}

impl AccountMatch {
    /// Reads `account`, which is one of `namespace`, or `namespace/account`.
    pub fn parse(text: &str, namespace: &str) -> Option<Self> {
        let (namespace, account) = text.split_once('/').unwrap_or((namespace, text));
        let (escaped, escaped_account) = (regex::escape(namespace), regex::escape(account));
        // Other attributes may stand beside those that count.
        let pattern = format!(r"\Aspiffe://.+/ns/{escaped}/(?:.+/|)sa/{escaped_account}(?:/.+)?\z");
        let identity = Regex::new(&pattern).ok()?;
        Some(Self { identity, namespace: namespace.into(), account: account.into() })
    }

    /// Whether an identity is of the account.
    pub fn matches(&self, identity: &str) -> bool {
        self.identity.is_match(identity)
    }

    /// The segments behind `/ns/` and `/sa/` that an identity of it has to have, where each is one.
    pub(super) fn exact(&self) -> Option<(&str, &str)> {
        let are_segments = !self.namespace.contains('/') && !self.account.contains('/');
        are_segments.then_some((&*self.namespace, &*self.account))
    }
}

/// A trust domain, in one of the forms of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainMatch(TextMatch);

impl DomainMatch {
    /// Reads a trust domain as a policy writes it.
    pub fn parse(text: &str) -> Self {
        Self(TextMatch::parse(text))
    }

    /// Whether an identity is of the trust domain.
    pub fn matches(&self, identity: &str) -> bool {
        let domain = identity.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/')).map(|(domain, _)| domain);
        domain.is_some_and(|domain| self.0.matches(domain.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_compared_without_its_scheme() {
        for (text, identity, expected) in [
            ("td/ns/a/sa/b", "spiffe://td/ns/a/sa/b", true),
            ("td/ns/a/sa/b", "spiffe://td/ns/a/sa/bc", false),
            ("td/ns/a/sa/b", "td/ns/a/sa/b", false),
            ("td/ns/a/*", "spiffe://td/ns/a/sa/b", true),
            ("*/sa/b", "spiffe://x/ns/a/sa/b", true),
            ("*/sa/b", "https://x/ns/a/sa/b", false),
            ("*", "spiffe://x", true),
            ("*", "", false),
        ] {
            assert_eq!(PrincipalMatch::parse(text).matches(identity), expected, "{text} {identity}");
        }
    }

    #[test]
    fn a_namespace_is_a_whole_part_of_the_identity() {
        for (text, identity, expected) in [
            ("a", "spiffe://td/ns/a/sa/b", true),
            ("a", "spiffe://td/ns/ab/sa/b", false),
            ("a*", "spiffe://td/ns/ab/sa/b", true),
            ("*b", "spiffe://td/ns/ab/sa/b", true),
            ("x.*.y", "spiffe://td/ns/x.1.y/sa/b", true),
            ("x.*.y", "spiffe://td/ns/x1y/sa/b", false),
            ("*", "spiffe://td/ns/a/sa/b", true),
            ("a", "spiffe://td/ns/a", false),
        ] {
            assert_eq!(NamespaceMatch::parse(text).matches(identity), expected, "{text} {identity}");
        }
    }

    #[test]
    fn an_account_is_one_of_its_namespace() {
        let account = AccountMatch::parse("b", "a").unwrap();
        assert!(account.matches("spiffe://td/ns/a/sa/b"));
        assert!(account.matches("spiffe://td/ns/a/k/v/sa/b/k"));
        assert!(!account.matches("spiffe://td/ns/x/sa/b"));
        assert!(!account.matches("spiffe://td/ns/a/sa/bc"));
        assert!(AccountMatch::parse("x/b", "a").unwrap().matches("spiffe://td/ns/x/sa/b"));
        assert!(!AccountMatch::parse("a.b/c", "a").unwrap().matches("spiffe://td/ns/aXb/sa/c"));
    }

    #[test]
    fn a_trust_domain_ends_at_the_first_slash() {
        for (text, identity, expected) in [
            ("td", "spiffe://td/ns/a/sa/b", true),
            ("td", "spiffe://tdx/ns/a/sa/b", false),
            ("t*", "spiffe://td/ns/a/sa/b", true),
            ("*.local", "spiffe://cluster.local/ns/a/sa/b", true),
            ("*.local", "spiffe://x/ns/a/sa/b.local", false),
            ("*", "spiffe://x/ns/a/sa/b", true),
        ] {
            assert_eq!(DomainMatch::parse(text).matches(identity), expected, "{text} {identity}");
        }
    }
}
