//! A request that somebody asks about.

use std::fmt;

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
    /// What is no method, or no `http` or `https` URL with a host.
    pub fn new(method: &str, url: &str) -> Result<Self, QuestionError> {
        let parsed = method.parse().map_err(|_| QuestionError(format!("`{method}` is no method")))?;
        let uri: Uri = url.parse().map_err(|error| QuestionError(format!("`{url}` is no URL: {error}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
            return Err(QuestionError(format!("`{url}` has no scheme and host, as in http://reviews:9080/")));
        }
        Ok(Self { method: parsed, uri, headers: HeaderMap::new(), port: None, roll: 0, at_gateway: false })
    }

    /// A GET.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn get(url: &str) -> Result<Self, QuestionError> {
        Self::new("GET", url)
    }

    /// Adds a header line; `host` replaces the authority.
    ///
    /// # Errors
    /// What is no header, or no authority.
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

    /// The listener port.
    pub fn port(&self) -> u16 {
        let default = self.scheme().default_port();
        self.port.or(self.uri.port_u16()).unwrap_or(default)
    }

    /// The draw.
    pub fn roll(&self) -> u64 {
        self.roll
    }

    pub(super) fn at_gateway(&self) -> bool {
        self.at_gateway
    }

    fn scheme(&self) -> Scheme {
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
