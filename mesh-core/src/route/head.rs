//! The head of a request as header operations see it.

use http::{HeaderMap, Method, request};

use crate::RequestView;

/// A borrowed head of a request: what `%REQ(..)%` reads.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// `:method`
    pub method: &'a Method,
    /// `:scheme`
    pub scheme: &'a str,
    /// `:authority`
    pub authority: &'a str,
    /// `:path` without the query.
    pub path: &'a str,
    /// The query; `None` without a `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl<'a> RequestHead<'a> {
    /// The head that stands in parts whose URI is absolute, with other headers.
    pub fn of_uri(method: &'a Method, uri: &'a http::Uri, headers: &'a HeaderMap) -> Self {
        Self {
            method,
            scheme: uri.scheme_str().unwrap_or("http"),
            authority: uri.authority().map_or("", |authority| authority.as_str()),
            path: uri.path(),
            query: uri.query(),
            headers,
        }
    }
}

impl<'a> From<&'a request::Parts> for RequestHead<'a> {
    fn from(parts: &'a request::Parts) -> Self {
        Self::of_uri(&parts.method, &parts.uri, &parts.headers)
    }
}

impl<'a> From<&RequestView<'a>> for RequestHead<'a> {
    fn from(view: &RequestView<'a>) -> Self {
        Self {
            method: view.method,
            scheme: view.scheme.as_str(),
            authority: view.authority,
            path: view.path,
            query: view.query,
            headers: view.headers,
        }
    }
}
