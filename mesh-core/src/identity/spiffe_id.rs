//! [`SpiffeId`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::TrustDomain;

/// A SPIFFE id with a path, such as `spiffe://cluster.local/ns/default/sa/reviews`; clones share its text.
///
/// At most 2,048 bytes: the scheme and the trust domain in lower case, no port, user, query or fragment, no percent
/// encoding, and segments of letters, digits, `.`, `-` and `_` of which none is empty, `.` or `..` (SPIFFE-ID 2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: Arc<str>,
    /// Where the path begins.
    path: u16,
}

const SCHEME: &str = "spiffe://";
/// The longest id in bytes (SPIFFE-ID 2.3).
const LONGEST: u16 = 2048;

impl SpiffeId {
    /// The id of a service account, as Istio forms it.
    ///
    /// # Errors
    /// If one of the names cannot stand in an id.
    pub fn of_service_account(domain: &TrustDomain, namespace: &str, account: &str) -> Result<Self, NotAnId> {
        format!("{SCHEME}{domain}/ns/{namespace}/sa/{account}").parse()
    }

    /// The id that the URI names of a certificate make.
    ///
    /// # Errors
    /// Unless there is exactly one, and it is an id.
    pub fn of_uris<'a>(uris: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAnId> {
        only_uri(uris)?.parse()
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id as policies name principals: without the scheme.
    pub fn principal(&self) -> &str {
        &self.text[SCHEME.len()..]
    }

    /// Its trust domain.
    pub fn trust_domain(&self) -> &str {
        &self.text[SCHEME.len()..usize::from(self.path)]
    }

    /// What comes after the trust domain, from the slash on.
    pub fn path(&self) -> &str {
        &self.text[usize::from(self.path)..]
    }

    /// Namespace and service account, where the path is that of a Kubernetes workload: `/ns/NAMESPACE/sa/ACCOUNT`.
    pub fn workload(&self) -> Option<(&str, &str)> {
        let mut segments = self.path().strip_prefix("/ns/")?.split('/');
        match (segments.next(), segments.next(), segments.next(), segments.next()) {
            (Some(namespace), Some("sa"), Some(account), None) => Some((namespace, account)),
            _ => None,
        }
    }

    /// The namespace of a Kubernetes workload.
    pub fn namespace(&self) -> Option<&str> {
        self.workload().map(|(namespace, _)| namespace)
    }

    /// The service account of a Kubernetes workload.
    pub fn service_account(&self) -> Option<&str> {
        self.workload().map(|(_, account)| account)
    }
}

impl FromStr for SpiffeId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if text.len() > usize::from(LONGEST) {
            return Err(NotAnId::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(NotAnId::Scheme)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (domain, path) = rest.split_at(end);
        TrustDomain::check(domain)?;
        let path = path.strip_prefix('/').filter(|path| !path.is_empty()).ok_or(NotAnId::NoPath)?;
        if !path.split('/').all(is_segment) {
            return Err(NotAnId::Path);
        }
        let path = u16::try_from(SCHEME.len() + end).map_err(|_| NotAnId::TooLong)?;
        Ok(Self { text: text.into(), path })
    }
}

fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.text)
    }
}

/// The one URI among the names of a certificate.
///
/// # Errors
/// If there is none, or more than one, whatever they are (X509-SVID 2).
pub fn only_uri<'a>(uris: impl IntoIterator<Item = &'a str>) -> Result<&'a str, NotAnId> {
    let mut uris = uris.into_iter();
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri),
        (None, _) => Err(NotAnId::NoUri),
        (Some(_), Some(_)) => Err(NotAnId::SeveralUris),
    }
}

/// Why something is no SPIFFE id, or a certificate has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotAnId {
    /// The trust domain is empty, too long, or has characters that it may not have.
    Domain,
    /// There is nothing after the trust domain: that is the id of the domain, not of a workload.
    NoPath,
    /// The certificate names no URI.
    NoUri,
    /// A segment of the path is empty, `.` or `..`, or has characters that it may not have.
    Path,
    /// It does not begin with `spiffe://`, in lower case.
    Scheme,
    /// The certificate names more than one URI.
    SeveralUris,
    /// It is longer than 2,048 bytes.
    TooLong,
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Domain => "its trust domain is not of lower-case letters, digits, '.', '-' and '_'",
            Self::NoPath => "it names a trust domain and no workload",
            Self::NoUri => "no URI is named",
            Self::Path => "its path has a segment that is empty, '.', '..' or of other characters than letters, digits, '.', '-' and '_'",
            Self::Scheme => "it does not begin with spiffe://",
            Self::SeveralUris => "more than one URI is named",
            Self::TooLong => "it is longer than 2048 bytes",
        })
    }
}

impl std::error::Error for NotAnId {}
