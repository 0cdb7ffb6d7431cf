//! One condition of a rule: an attribute and the values of which one has to match, or none may.
//!
//! Each attribute is one line in [`Attribute::parse`], which makes the matching of its values, and an arm of
//! [`Check::holds`].

use std::net::IpAddr;

use super::access::Access;
use super::header::{HeaderMatch, Lines};
use super::identity::{AccountMatch, DomainMatch, NamespaceMatch, PrincipalMatch};
use super::path::PathMatch;
use super::text::TextMatch;
use super::token::RequestPrincipalMatch;
use crate::network::Network;

/// What is compared, with the values, of which one has to match.
#[derive(Clone, Debug)]
pub(super) enum Check {
    /// A claim of the token, by its way.
    Claim(Box<[Box<str>]>, Box<[TextMatch]>),
    /// Our own address.
    DestinationIp(Box<[Network]>),
    /// A header.
    Header(HeaderMatch),
    /// The authority, in any case.
    Host(Box<[TextMatch]>),
    /// The method.
    Method(Box<[TextMatch]>),
    /// The path.
    Path(Box<[PathMatch]>),
    /// Our port.
    Port(Box<[u16]>),
    /// The original client's address.
    RemoteIp(Box<[Network]>),
    /// Issuer and subject of the token.
    RequestPrincipal(Box<[RequestPrincipalMatch]>),
    /// The server name of the handshake.
    ServerName(Box<[TextMatch]>),
    /// The caller's service account.
    SourceAccount(Box<[AccountMatch]>),
    /// The peer's address.
    SourceIp(Box<[Network]>),
    /// The caller's namespace.
    SourceNamespace(Box<[NamespaceMatch]>),
    /// The caller's identity.
    SourcePrincipal(Box<[PrincipalMatch]>),
    /// The caller's trust domain.
    SourceTrustDomain(Box<[DomainMatch]>),
    /// Nothing ever matches it: metadata of a proxy, which is none here.
    Nothing,
}

/// What policies look at beside the request and the caller's identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LooksAt {
    /// Our own port or address.
    pub place: bool,
    /// What a verified token says.
    pub token: bool,
    /// What only the connection tells: addresses, and the server name of its handshake.
    pub connection: bool,
}

impl LooksAt {
    pub(super) fn add(&mut self, other: Self) {
        self.place |= other.place;
        self.token |= other.token;
        self.connection |= other.connection;
    }

    /// In words, what of it is not known before the request is there.
    pub(crate) fn unknown_in_advance(self) -> Vec<&'static str> {
        let words = [(self.token, "a token"), (self.connection, "addresses or the server name of the connection")];
        words.into_iter().filter_map(|(is_looked_at, words)| is_looked_at.then_some(words)).collect()
    }
}

/// A check, or its opposite.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    /// What is compared.
    pub(super) check: Check,
    /// Whether it must not match.
    pub(super) negated: bool,
    /// Whether it belongs to a rule that lets in; all others keep out, or only watch.
    pub(super) lets_in: bool,
}

impl Condition {
    /// Whether an access is as the condition says.
    pub(super) fn holds(&self, access: &Access<'_>) -> bool {
        if access.unknown_place_closes && self.check.lacks_place(access) {
            return !self.lets_in;
        }
        self.check.holds(access) != self.negated
    }
}

impl Check {
    /// What it looks at beside the request and the caller's identity.
    pub(super) const fn looks_at(&self) -> LooksAt {
        LooksAt {
            place: matches!(self, Self::Port(_) | Self::DestinationIp(_)),
            token: matches!(self, Self::Claim(..) | Self::RequestPrincipal(_)),
            connection: matches!(
                self,
                Self::SourceIp(_) | Self::RemoteIp(_) | Self::ServerName(_) | Self::DestinationIp(_)
            ),
        }
    }

    /// Whether it looks at our own port or address, which is not known.
    fn lacks_place(&self, access: &Access<'_>) -> bool {
        match self {
            Self::Port(_) => access.port == 0,
            Self::DestinationIp(_) => access.peer.local_address.is_none(),
            _ => false,
        }
    }

    /// Whether a value matches. What an access does not have matches nothing.
    fn holds(&self, access: &Access<'_>) -> bool {
        match self {
            Self::Claim(way, texts) => {
                let any = |text: &str| texts.iter().any(|wanted| wanted.matches(text.as_bytes()));
                access.peer.claims.is_some_and(|claims| claims.has(way, any))
            }
            Self::DestinationIp(blocks) => is_in(blocks, access.peer.local_address),
            Self::Header(header) => access.request.is_some_and(|request| header.matches(request)),
            Self::Host(texts) => access
                .request
                .is_some_and(|request| texts.iter().any(|text| text.matches_in_any_case(request.authority.as_bytes()))),
            Self::Method(texts) => access
                .request
                .is_some_and(|request| texts.iter().any(|text| text.matches(request.method.as_str().as_bytes()))),
            Self::Path(paths) => {
                access.request.is_some_and(|request| paths.iter().any(|path| path.matches(request.path)))
            }
            Self::Port(ports) => ports.contains(&access.port),
            Self::RemoteIp(blocks) => is_in(blocks, access.remote_address()),
            Self::RequestPrincipal(principals) => {
                access.peer.claims.is_some_and(|claims| principals.iter().any(|wanted| wanted.matches(claims)))
            }
            Self::ServerName(texts) => {
                access.peer.sni.is_some_and(|name| texts.iter().any(|text| text.matches_lowered(name.as_bytes())))
            }
            Self::SourceAccount(accounts) => is_caller(access, accounts, AccountMatch::matches),
            Self::SourceIp(blocks) => is_in(blocks, access.peer.address),
            Self::SourceNamespace(namespaces) => is_caller(access, namespaces, NamespaceMatch::matches),
            Self::SourcePrincipal(principals) => is_caller(access, principals, PrincipalMatch::matches),
            Self::SourceTrustDomain(domains) => is_caller(access, domains, DomainMatch::matches),
            Self::Nothing => false,
        }
    }
}

fn is_caller<M>(access: &Access<'_>, wanted: &[M], matches: impl Fn(&M, &str) -> bool) -> bool {
    access.peer.principal.is_some_and(|principal| wanted.iter().any(|wanted| matches(wanted, principal)))
}

/// An IPv4 address may have come in at a socket of IPv6.
fn is_in(blocks: &[Network], address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| blocks.iter().any(|block| block.contains(address.to_canonical())))
}

/// An attribute by its key in `when`, or by the field that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attribute<'a> {
    /// `connection.sni`
    ConnectionSni,
    /// `destination.ip`
    DestinationIp,
    /// `destination.port`, `ports`
    DestinationPort,
    /// `hosts`
    Host,
    /// `methods`
    Method,
    /// `experimental.envoy.filters.*`
    Metadata,
    /// `paths`
    Path,
    /// `remote.ip`, `remoteIpBlocks`
    RemoteIp,
    /// `request.auth.audiences`
    RequestAudiences,
    /// `request.auth.claims[a][b]`
    RequestClaim(Vec<&'a str>),
    /// `request.headers[name]`, and whether its value is a list
    RequestHeader(&'a str, bool),
    /// `request.auth.presenter`
    RequestPresenter,
    /// `request.auth.principal`, `requestPrincipals`
    RequestPrincipal,
    /// `source.ip`, `ipBlocks`
    SourceIp,
    /// `source.namespace`, `namespaces`
    SourceNamespace,
    /// `source.principal`, `principals`
    SourcePrincipal,
    /// `source.serviceAccount`, `serviceAccounts`
    SourceServiceAccount,
    /// `source.trustDomain`, `trustDomains`
    SourceTrustDomain,
}

impl<'a> Attribute<'a> {
    /// The attribute of a key in `when`; `None` for one that Istio does not have.
    pub(super) fn parse(key: &'a str) -> Option<Self> {
        Some(match key {
            "connection.sni" => Self::ConnectionSni,
            "destination.ip" => Self::DestinationIp,
            "destination.port" => Self::DestinationPort,
            "remote.ip" => Self::RemoteIp,
            "request.auth.audiences" => Self::RequestAudiences,
            "request.auth.presenter" => Self::RequestPresenter,
            "request.auth.principal" => Self::RequestPrincipal,
            "source.ip" => Self::SourceIp,
            "source.namespace" => Self::SourceNamespace,
            "source.principal" => Self::SourcePrincipal,
            "source.serviceAccount" => Self::SourceServiceAccount,
            "source.trustDomain" => Self::SourceTrustDomain,
            key => {
                let (name, _) = key.split_once('[')?;
                let brackets = &key[name.len()..];
                match name {
                    "request.auth.claims" => Self::RequestClaim(names_in_brackets(brackets)?),
                    "request.headers" => Self::RequestHeader(name_in_brackets(brackets)?, false),
                    "request.experimental.inline.headers" => Self::RequestHeader(name_in_brackets(brackets)?, true),
                    name if name.starts_with("experimental.envoy.filters.") => {
                        name_in_brackets(brackets).map(|_| Self::Metadata)?
                    }
                    _ => return None,
                }
            }
        })
    }

    /// Whether only a request has it.
    pub(super) fn is_of_requests(&self) -> bool {
        matches!(
            self,
            Self::Host
                | Self::Method
                | Self::Path
                | Self::RequestAudiences
                | Self::RequestClaim(_)
                | Self::RequestHeader(..)
                | Self::RequestPresenter
                | Self::RequestPrincipal
        )
    }

    /// Makes the check of values; `None` if one of them is none that could be compared.
    ///
    /// `namespace` is that of the policy; trust domains stand as they are.
    pub(super) fn check(&self, values: &[String], namespace: &str, lines: Lines) -> Option<Check> {
        Some(match self {
            Self::ConnectionSni => Check::ServerName(texts(values)),
            Self::DestinationIp => Check::DestinationIp(all(values, Network::parse)?),
            Self::DestinationPort => Check::Port(all(values, |value| port(value).ok())?),
            Self::Host => Check::Host(texts(values)),
            Self::Method => Check::Method(texts(values)),
            Self::Metadata => Check::Nothing,
            Self::Path => Check::Path(all(values, PathMatch::parse)?),
            Self::RemoteIp => Check::RemoteIp(all(values, Network::parse)?),
            Self::RequestAudiences => Check::Claim(["aud".into()].into(), texts(values)),
            Self::RequestClaim(way) => Check::Claim(way.iter().map(|name| (*name).into()).collect(), texts(values)),
            Self::RequestHeader(name, list) => {
                let header = HeaderMatch::new(name, values, lines);
                Check::Header(if *list { header.of_elements() } else { header })
            }
            Self::RequestPresenter => Check::Claim(["azp".into()].into(), texts(values)),
            Self::RequestPrincipal => {
                Check::RequestPrincipal(values.iter().map(|value| RequestPrincipalMatch::parse(value)).collect())
            }
            Self::SourceIp => Check::SourceIp(all(values, Network::parse)?),
            Self::SourceNamespace => {
                Check::SourceNamespace(values.iter().map(|value| NamespaceMatch::parse(value)).collect())
            }
            Self::SourcePrincipal => {
                Check::SourcePrincipal(values.iter().map(|value| PrincipalMatch::parse(value)).collect())
            }
            Self::SourceServiceAccount => {
                Check::SourceAccount(all(values, |value| AccountMatch::parse(value, namespace))?)
            }
            Self::SourceTrustDomain => {
                Check::SourceTrustDomain(values.iter().map(|value| DomainMatch::parse(value)).collect())
            }
        })
    }
}

fn texts(values: &[String]) -> Box<[TextMatch]> {
    values.iter().map(|value| TextMatch::parse(value)).collect()
}

fn all<T>(values: &[String], parse: impl Fn(&str) -> Option<T>) -> Option<Box<[T]>> {
    values.iter().map(|value| parse(value)).collect()
}

/// Reads a port of a policy.
///
/// # Errors
/// Istio's text.
pub fn port(text: &str) -> Result<u16, String> {
    text.parse::<u64>().ok().and_then(|port| port.try_into().ok()).ok_or_else(|| format!("invalid port {text}:"))
}

/// What stands between the first bracket and the last.
pub fn name_in_brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

/// What stands in each of several brackets.
pub fn names_in_brackets(text: &str) -> Option<Vec<&str>> {
    // Brackets within a name are a part of it.
    Some(name_in_brackets(text)?.split("][").collect())
}
