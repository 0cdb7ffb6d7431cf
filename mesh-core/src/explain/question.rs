//! A request that somebody asks about.

use std::fmt;
use std::net::IpAddr;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, request};

use super::model;
use crate::request::scheme_told;
use crate::{Failure, PeerView, RequestView, Scheme};

/// A request, as far as routing looks at it.
#[derive(Clone, Debug)]
pub struct Question {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    port: Option<u16>,
    roll: u64,
    at_gateway: bool,
    bind: Option<IpAddr>,
}

/// What is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionError(String);

impl fmt::Display for QuestionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for QuestionError {}

impl Question {
    /// A request with a method for an absolute URL. Its port is the listener port; without one, that of the scheme.
    ///
    /// # Errors
    /// What is no method, no `http` or `https` URL with a host, or has a port that is none.
    pub fn new(method: &str, url: &str) -> Result<Self, QuestionError> {
        let parsed = method.parse().map_err(|_| QuestionError(format!("`{method}` is no method")))?;
        let uri: Uri = url.parse().map_err(|error| QuestionError(format!("`{url}` is no URL: {error}")))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(QuestionError(format!("`{url}` has no scheme and host, as in http://reviews:9080/")));
        };
        if !matches!(scheme, "http" | "https") {
            return Err(QuestionError(format!("`{url}` has the scheme `{scheme}`; only http and https are routed")));
        }
        check_port(url, authority)?;
        Ok(Self { method: parsed, uri, headers: HeaderMap::new(), port: None, roll: 0, at_gateway: false, bind: None })
    }

    /// A GET.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn get(url: &str) -> Result<Self, QuestionError> {
        Self::new("GET", url)
    }

    /// Adds a header line; `host` or `:authority` replaces the authority.
    ///
    /// # Errors
    /// What is no header, or no authority; `:method`, `:path` and `:scheme`, which the question begins with.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, QuestionError> {
        let value: HeaderValue =
            value.parse().map_err(|_| QuestionError(format!("`{value}` is no value of a header")))?;
        if name.eq_ignore_ascii_case("host") || name == ":authority" {
            let authority = Authority::try_from(value.as_bytes())
                .map_err(|_| QuestionError(format!("{value:?} is no authority")))?;
            let port = self.port();
            self.uri = self.uri_from(Some(authority), None).unwrap_or(self.uri);
            // The port that is dialled stays that of the URL.
            self.port = Some(port);
            return Ok(self);
        }
        let given_as = match name {
            ":method" => "it is the method that the question begins with",
            ":path" => "it is the path of the URL",
            ":scheme" => "it is the scheme of the URL",
            _ => "",
        };
        if !given_as.is_empty() {
            return Err(QuestionError(format!("`{name}` cannot be given as a header: {given_as}")));
        }
        let name: HeaderName = name.parse().map_err(|_| QuestionError(format!("`{name}` is no name of a header")))?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// The listener port, where it is not that of the URL.
    #[must_use]
    pub fn on_port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// The draw of the request, which the split reads as `roll % total`; 0 unless set.
    #[must_use]
    pub fn with_roll(self, roll: u64) -> Self {
        Self { roll, ..self }
    }

    /// Asks at the gateway server of the port instead of in the mesh.
    #[must_use]
    pub fn through_gateway(self) -> Self {
        Self { at_gateway: true, ..self }
    }

    /// At a gateway, asks at the server that binds an address.
    #[must_use]
    pub fn at_address(self, bind: Option<IpAddr>) -> Self {
        Self { bind, ..self }
    }

    /// The listener port.
    pub fn port(&self) -> u16 {
        let default = self.scheme().default_port();
        self.port.or(self.uri.port_u16()).unwrap_or(default)
    }

    /// The authority, as the caller writes it.
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", Authority::as_str)
    }

    /// The draw.
    pub fn roll(&self) -> u64 {
        self.roll
    }

    pub(super) fn bind(&self) -> Option<IpAddr> {
        self.bind
    }

    /// What tells two questions apart.
    pub(super) fn key(&self) -> String {
        let Self { method, uri, headers, port, roll, at_gateway, bind } = self;
        format!("{method} {uri} {port:?} {roll} {at_gateway} {bind:?} {:?}", super::lines(headers))
    }

    pub(super) fn at_gateway(&self) -> bool {
        self.at_gateway
    }

    /// The scheme of the URL.
    pub fn scheme(&self) -> Scheme {
        if self.uri.scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http }
    }

    /// The scheme that rules see: at a gateway that of the connection, else the one that the request names, if any.
    pub(super) fn scheme_seen(&self) -> Result<Scheme, Failure> {
        let told = if self.at_gateway { None } else { scheme_told(&self.headers)? };
        Ok(told.unwrap_or_else(|| self.scheme()))
    }

    pub(super) fn parts(&self) -> request::Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = self.uri.clone();
        parts.headers = self.headers.clone();
        parts
    }

    pub(super) fn uri_with(&self, target: &str) -> Option<Uri> {
        self.uri_from(None, Some(target.parse().ok()?))
    }

    fn uri_from(&self, authority: Option<Authority>, target: Option<PathAndQuery>) -> Option<Uri> {
        let mut parts = self.uri.clone().into_parts();
        parts.authority = authority.or(parts.authority);
        parts.path_and_query = target.or(parts.path_and_query);
        Uri::from_parts(parts).ok()
    }

    pub(super) fn view<'p>(&self, parts: &'p request::Parts, scheme: Scheme) -> RequestView<'p> {
        RequestView {
            method: &parts.method,
            scheme,
            authority: parts.uri.authority().map_or("", Authority::as_str),
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
            peer: PeerView::default(),
            port: self.port(),
        }
    }

    pub(super) fn describe(&self) -> model::Request {
        model::Request {
            method: self.method.to_string(),
            scheme: self.scheme().as_str().to_owned(),
            authority: self.uri.authority().map(ToString::to_string).unwrap_or_default(),
            path: self.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            path_as_sent: None,
            headers: super::lines(&self.headers),
            roll: self.roll,
        }
    }
}

/// Whether the port that an authority writes, if any, is one. Read as a number that fits or as none, a port that is too
/// big would silently be another one.
fn check_port(url: &str, authority: &Authority) -> Result<(), QuestionError> {
    let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    match after_host.strip_prefix(':') {
        None | Some("") => Ok(()),
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
        Some(port) => Err(QuestionError(format!("`{url}` has the port {port}; a port is a number from 1 to 65535"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_that_is_routed_is_refused_by_its_part() {
        let rows = [
            ("reviews", "has no scheme and host"),
            ("ftp://reviews/", "has the scheme `ftp`; only http and https are routed"),
            ("http://reviews:65536/", "has the port 65536; a port is a number from 1 to 65535"),
            ("http://[::1]:70000/", "has the port 70000"),
            ("http://reviews:0/", "has the port 0"),
        ];
        for (url, wanted) in rows {
            let error = Question::get(url).unwrap_err().to_string();
            assert!(error.contains(wanted), "{url}: {error}");
        }
        for (url, port) in [("http://reviews:65535/", 65_535), ("http://[::1]:81/", 81), ("https://reviews/", 443)] {
            assert_eq!(Question::get(url).unwrap().port(), port);
        }
    }

    #[test]
    fn a_pseudo_header_is_the_authority_or_refused_with_where_it_goes() {
        let question = Question::get("http://10.0.0.1:81/").unwrap();
        assert_eq!(question.clone().header(":authority", "reviews").unwrap().authority(), "reviews");
        for (name, wanted) in [(":method", "the method"), (":path", "the path of the URL"), (":scheme", "the scheme")] {
            let error = question.clone().header(name, "x").unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
