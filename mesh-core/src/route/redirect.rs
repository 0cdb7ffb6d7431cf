//! Redirects: the `location` that a caller is sent to.

use http::{HeaderValue, StatusCode};
use mesh_config::api::virtual_service::{HttpRedirect, RedirectPortSelection};

use super::condition::path::Matched;
use super::lower::LowerError;
use crate::{RequestView, Scheme};

/// An answer that sends the caller elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    scheme: Option<Scheme>,
    authority: Option<Box<str>>,
    port: Option<u16>,
    path: RedirectPath,
    /// Whether the request's authority stays as it is, with whatever port.
    keeps_authority: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RedirectPath {
    /// The path and query of the request.
    Keep,
    /// What the rule matched is replaced, the rest and the query stay.
    Prefix { matched: Matched, with: Box<str> },
    /// Another path; with a query of its own it drops that of the request.
    Whole { path: Box<str>, has_query: bool },
}

impl Redirect {
    /// 301 to the same URL with `https`: what `httpsRedirect` of a gateway's server asks for. A port of
    /// the authority stays, be it 80.
    pub fn to_https() -> Self {
        Self {
            status: StatusCode::MOVED_PERMANENTLY,
            scheme: Some(Scheme::Https),
            authority: None,
            port: None,
            path: RedirectPath::Keep,
            keeps_authority: true,
        }
    }

    /// The `location` for a request.
    ///
    /// The scheme is the rule's or the request's. A port of the rule replaces the one in the
    /// authority, unless it is what the scheme means anyway; then it counts as no port of the rule.
    /// Without one the authority keeps its port, except for the default port of a scheme that the
    /// redirect changes.
    pub fn location(&self, req: &RequestView<'_>) -> HeaderValue {
        let scheme = self.scheme.unwrap_or(req.scheme);
        let port = self.port.filter(|port| *port != scheme.default_port());
        let authority = match &self.authority {
            Some(authority) => authority,
            None if self.keeps_authority => req.authority,
            None => kept_authority(req, scheme, port),
        };
        let mut location = String::with_capacity(16 + authority.len() + req.path.len());
        location.push_str(scheme.as_str());
        location.push_str("://");
        location.push_str(authority);
        if let Some(port) = port {
            location.push(':');
            location.push_str(&port.to_string());
        }
        self.push_path(req, &mut location);
        header_value(&location)
    }

    fn push_path(&self, req: &RequestView<'_>, location: &mut String) {
        let (start, rest, query) = match &self.path {
            RedirectPath::Keep => (req.path, "", req.query),
            RedirectPath::Prefix { matched, with } => (&**with, matched.rest(req.path), req.query),
            RedirectPath::Whole { path, has_query: true } => (&**path, "", None),
            RedirectPath::Whole { path, has_query: false } => (&**path, "", req.query),
        };
        let begins = if start.is_empty() { rest } else { start };
        if !begins.starts_with('/') {
            location.push('/');
        }
        location.push_str(start);
        location.push_str(rest);
        push_query(query, location);
    }

    /// From `redirect`. `port` is that of the listener.
    ///
    /// # Errors
    /// A status that is no redirect, a scheme that is not HTTP's, a port beyond 65535, or text that
    /// a header cannot hold.
    pub(crate) fn lower(from: &HttpRedirect, matched: Matched, port: u16) -> Result<Self, LowerError> {
        for (field, text) in
            [("uri", &from.uri), ("prefixRewrite", &from.prefix_rewrite), ("authority", &from.authority)]
        {
            if HeaderValue::from_bytes(text.as_bytes()).is_err() {
                return Err(LowerError::new(field, format!("{text:?} cannot stand in a header")));
            }
        }
        let path = if !from.uri.is_empty() {
            RedirectPath::Whole { path: from.uri.as_str().into(), has_query: from.uri.contains('?') }
        } else if !from.prefix_rewrite.is_empty() {
            RedirectPath::Prefix { matched, with: from.prefix_rewrite.as_str().into() }
        } else {
            RedirectPath::Keep
        };
        Ok(Self {
            status: status(from.redirect_code)?,
            scheme: scheme(&from.scheme)?,
            authority: (!from.authority.is_empty()).then(|| from.authority.as_str().into()),
            port: redirect_port(from, port)?,
            path,
            keeps_authority: false,
        })
    }
}

/// The URL of a request itself, which some direct responses name as their `location`.
pub(crate) fn own_url(req: &RequestView<'_>) -> HeaderValue {
    let mut url = [req.scheme.as_str(), "://", req.authority, req.path].concat();
    push_query(req.query, &mut url);
    header_value(&url)
}

/// The request's authority less the port that the redirect replaces or that changes its meaning.
fn kept_authority<'a>(req: &RequestView<'a>, scheme: Scheme, port: Option<u16>) -> &'a str {
    let Some((host, old_port)) = split_port(req.authority) else {
        return req.authority;
    };
    let forwarded = req.headers.get("x-forwarded-proto").map_or(req.scheme.as_str().as_bytes(), HeaderValue::as_bytes);
    let changes_from =
        |from: Scheme, default: &str| scheme != from && forwarded == from.as_str().as_bytes() && old_port == default;
    if port.is_some() || changes_from(Scheme::Http, "80") || changes_from(Scheme::Https, "443") {
        host
    } else {
        req.authority
    }
}

/// Host and port of an authority that names a port; the colons of an IPv6 address are none.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    let (host, port) = authority.rsplit_once(':')?;
    (!host.starts_with('[') || host.ends_with(']')).then_some((host, port))
}

fn push_query(query: Option<&str>, url: &mut String) {
    if let Some(query) = query {
        url.push('?');
        url.push_str(query);
    }
}

/// All parts come from the configuration, which was checked, or from a head, which HTTP checked.
fn header_value(url: &str) -> HeaderValue {
    HeaderValue::from_bytes(url.as_bytes()).unwrap_or(HeaderValue::from_static("/"))
}

fn status(code: u32) -> Result<StatusCode, LowerError> {
    match code {
        0 | 301 => Ok(StatusCode::MOVED_PERMANENTLY),
        302 => Ok(StatusCode::FOUND),
        303 => Ok(StatusCode::SEE_OTHER),
        307 => Ok(StatusCode::TEMPORARY_REDIRECT),
        308 => Ok(StatusCode::PERMANENT_REDIRECT),
        other => Err(LowerError::new(
            "redirectCode",
            format!("{other} is not a redirect that Envoy knows: use 301, 302, 303, 307 or 308"),
        )),
    }
}

fn scheme(scheme: &str) -> Result<Option<Scheme>, LowerError> {
    match scheme {
        "" => Ok(None),
        "http" => Ok(Some(Scheme::Http)),
        "https" => Ok(Some(Scheme::Https)),
        _ => Err(LowerError::new("scheme", "invalid redirect scheme, must be \"http\" or \"https\"")),
    }
}

fn redirect_port(from: &HttpRedirect, listener: u16) -> Result<Option<u16>, LowerError> {
    if let Some(port) = from.port {
        let port = u16::try_from(port)
            .map_err(|_| LowerError::new("port", format!("port number {port} must be in the range 1..65535")))?;
        return Ok((port != 0).then_some(port));
    }
    Ok((from.derive_port == Some(RedirectPortSelection::FromRequestPort)).then_some(listener))
}

#[cfg(test)]
mod tests;
