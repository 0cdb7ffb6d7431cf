//! [`TrustDomain`], and which of them are this mesh's.

use std::fmt;
use std::str::FromStr;

use mesh_config::api::MeshConfig;

use super::{NotAnId, SpiffeId};

/// The name of a trust domain: at most 255 lower-case letters, digits, `.`, `-` and `_` (SPIFFE-ID 2.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Box<str>);

impl TrustDomain {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn check(name: &str) -> Result<(), NotAnId> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        let is_name = !name.is_empty() && name.len() <= 255 && name.bytes().all(allowed);
        if is_name { Ok(()) } else { Err(NotAnId::Domain) }
    }
}

impl FromStr for TrustDomain {
    type Err = NotAnId;

    fn from_str(name: &str) -> Result<Self, NotAnId> {
        Self::check(name).map(|()| Self(name.into()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The trust domain of a mesh, and the names that stand for it (`trustDomain`, `trustDomainAliases`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustDomains {
    names: Vec<Box<str>>,
}

impl TrustDomains {
    /// Those of a mesh: its own first. Names that no id can have are kept: they match none.
    pub fn of(mesh: &MeshConfig) -> Self {
        Self::new(std::iter::once(mesh.trust_domain()).chain(mesh.trust_domain_aliases.iter().map(String::as_str)))
    }

    /// The mesh's own, and its aliases; each counts once.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut domains = Self::default();
        for name in names {
            if !domains.contains(name) {
                domains.names.push(name.into());
            }
        }
        domains
    }

    /// The mesh's own.
    pub fn own(&self) -> Option<&str> {
        self.iter().next()
    }

    /// All of them, the mesh's own first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Whether an identity is the one that a name means: the same, or the same under another name of the mesh.
    pub fn stands_for(&self, id: &SpiffeId, name: &str) -> bool {
        let ours = |domain: &str| self.contains(domain);
        let is_same = |name: SpiffeId| name.path() == id.path() && ours(name.trust_domain()) && ours(id.trust_domain());
        id.as_str() == name || name.parse().is_ok_and(is_same)
    }

    /// Whether ids of a domain are the mesh's.
    pub fn contains(&self, domain: &str) -> bool {
        self.iter().any(|name| name == domain)
    }
}
