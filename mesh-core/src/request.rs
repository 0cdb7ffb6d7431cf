//! What routing may look at.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderMap, Method};

use crate::Failure;
use crate::jwt::Claims;

/// A borrowed view of a request: built for free, copied freely.
///
/// It prints the names of headers alone, and not the query: either may hold what nobody else may know.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// `:method`, compared with case.
    pub method: &'a Method,
    /// `:scheme` as Envoy would see it (on HTTP/1 a trusted `x-forwarded-proto`).
    pub scheme: Scheme,
    /// `:authority` as the caller sent it, port and case kept.
    pub authority: &'a str,
    /// The path without the query, not decoded.
    pub path: &'a str,
    /// What follows `?`, not decoded; `None` without a `?`.
    pub query: Option<&'a str>,
    /// The headers, `host` excluded (that is [`authority`](Self::authority)).
    pub headers: &'a HeaderMap,
    /// Who is calling, as far as the connection tells.
    pub peer: PeerView<'a>,
    /// The listener port: the port of the URI, or that of the gateway server.
    pub port: u16,
}

impl fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestView")
            .field("method", self.method)
            .field("scheme", &self.scheme)
            .field("authority", &self.authority)
            .field("path", &self.path)
            .field("headers", &Names(self.headers))
            .field("peer", &self.peer)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Prints the names of headers without their values.
pub(crate) struct Names<'a>(pub(crate) &'a HeaderMap);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// The scheme of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    #[default]
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The scheme as it is written in a URI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URI of this scheme means when it names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The scheme that a request on HTTP/1 names by `x-forwarded-proto`: a single one that is `http` or `https`, in any
/// case. `None` where it names none.
///
/// # Errors
/// [`Failure::NoRoute`] for an empty one, with which no rule takes the request.
pub fn scheme_told(headers: &HeaderMap) -> Result<Option<Scheme>, Failure> {
    let mut lines = headers.get_all("x-forwarded-proto").iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) if line.is_empty() => Err(Failure::NoRoute),
        (Some(line), None) if line.as_bytes().eq_ignore_ascii_case(b"https") => Ok(Some(Scheme::Https)),
        (Some(line), None) if line.as_bytes().eq_ignore_ascii_case(b"http") => Ok(Some(Scheme::Http)),
        _ => Ok(None),
    }
}

/// The other end of the connection that a request came in on.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerView<'a> {
    /// Its address; `None` for a request that starts in this process.
    pub address: Option<IpAddr>,
    /// Its SPIFFE identity, proved by mutual TLS, as in its certificate: `spiffe://td/ns/x/sa/y`.
    pub principal: Option<&'a str>,
    /// The server name that it asked for in the TLS handshake.
    pub sni: Option<&'a str>,
    /// Our own end of the connection.
    pub local_address: Option<IpAddr>,
    /// What the valid token says that came with the request.
    pub claims: Option<&'a Claims>,
}
