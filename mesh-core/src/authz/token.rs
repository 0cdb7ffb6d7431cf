//! `requestPrincipals`: who the token says the caller is.

use super::text::TextMatch;
use crate::jwt::Claims;

/// An issuer and a subject, `issuer/subject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPrincipalMatch {
    issuer: TextMatch,
    subject: TextMatch,
}

impl RequestPrincipalMatch {
    /// Reads a principal as a policy writes it. An issuer may be a URL, so that the last slash divides it; only one star, at
    /// the start or at the end of the whole, is one.
    pub fn parse(text: &str) -> Self {
        let exact = |text: &str| TextMatch::Exact(text.as_bytes().into());
        let (issuer, subject) = match (text.rsplit_once('/'), text.strip_prefix('*'), text.strip_suffix('*')) {
            _ if text == "*" => (TextMatch::Present, TextMatch::Present),
            (None, Some(_), _) => (TextMatch::Present, TextMatch::parse(text)),
            (None, None, Some(_)) => (TextMatch::parse(text), TextMatch::Present),
            (None, None, None) => (exact(text), exact("")),
            (Some((issuer, subject)), Some(_), _) => (TextMatch::parse(issuer), exact(subject)),
            (Some((issuer, subject)), None, Some(_)) => (exact(issuer), TextMatch::parse(subject)),
            (Some((issuer, subject)), None, None) => (exact(issuer), exact(subject)),
        };
        Self { issuer, subject }
    }

    /// The one subject that it can have.
    pub(super) fn exact_subject(&self) -> Option<&[u8]> {
        self.subject.exact()
    }

    /// Whether a token is of this principal. One without a subject is of none.
    pub fn matches(&self, claims: &Claims) -> bool {
        let is = |name: &str, text: &TextMatch| claims.text(name).is_some_and(|value| text.matches(value.as_bytes()));
        is("iss", &self.issuer) && is("sub", &self.subject) && claims.text("sub").is_some_and(|sub| !sub.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn issuer_and_subject_are_parted_by_the_last_slash() {
        for (text, issuer, subject, expected) in [
            ("https://i/alice", "https://i", "alice", true),
            ("https://i/alice", "https://i", "bob", false),
            ("https://i/*", "https://i", "bob", true),
            ("https://i/*", "https://j", "bob", false),
            ("https://i/al*", "https://i", "albert", true),
            ("https://i/al*", "https://i", "bal", false),
            ("*/alice", "x", "alice", true),
            ("*/alice", "x", "xalice", false),
            ("*ice", "x", "mice", true),
            ("*.example/alice", "https://i.example", "alice", true),
            ("acct*", "acct@x", "q", true),
            ("alice", "https://i", "alice", false),
            ("alice", "alice", "", false),
            ("*", "x", "", false),
        ] {
            let Value::Object(claims) = json!({"iss": issuer, "sub": subject}) else { panic!() };
            let found = RequestPrincipalMatch::parse(text).matches(&Claims::new(claims));
            assert_eq!(found, expected, "{text} {issuer} {subject}");
        }
    }
}
