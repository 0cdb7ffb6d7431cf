//! What is known of a request that came to its end: what access logs, taps and expressions read.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, Version};

use super::policy::Side;
use crate::ResponseFlags;

/// A request that came to its end, as one side of the call saw it.
///
/// It is made only where somebody asked for it. Header values are as they were sent, tokens and cookies included:
/// whoever shows a record says which of them; `Debug` shows none.
#[derive(Clone)]
pub struct Record {
    /// Whose side tells.
    pub side: Side,
    /// The version of the configuration that decided.
    pub version: u64,
    /// When the request began.
    pub started: SystemTime,
    /// From then to the last byte of the answer, or to when it was given up.
    pub duration: Duration,
    /// From then to the last byte of the request's body; unknown where it was given up before that.
    pub request_duration: Option<Duration>,
    /// From then to the head of the answer of an endpoint, or at the server's side of the application.
    pub response_duration: Option<Duration>,
    /// The method.
    pub method: Method,
    /// Path and query, after rewrites.
    pub path: Option<PathAndQuery>,
    /// The host that the request names, after rewrites.
    pub authority: Box<str>,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The protocol of the caller.
    pub protocol: Version,
    /// Headers of the request: those that were [wanted](Wanted).
    pub request_headers: HeaderMap,
    /// Headers of the answer: those that were wanted.
    pub response_headers: HeaderMap,
    /// Trailers of the answer: those that were wanted.
    pub response_trailers: HeaderMap,
    /// The status of the answer; 0 if there was none.
    pub status: u16,
    /// The gRPC status of the answer to a gRPC call, where it was told.
    pub grpc_status: Option<u8>,
    /// Whether it was a gRPC call.
    pub is_grpc: bool,
    /// Why the answer is what it is.
    pub flags: ResponseFlags,
    /// Envoy's detail on how the answer came about; empty if there was none.
    pub details: Box<str>,
    /// Why there was no connection to the endpoint, such as `delayed connect error: Connection refused`.
    pub upstream_failure: Option<Box<str>>,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// Bytes of the request's head, as HTTP/1 text.
    pub request_head_bytes: u64,
    /// Bytes of the answer's head, as HTTP/1 text.
    pub response_head_bytes: u64,
    /// The name of the rule; empty if it has none.
    pub route: Box<str>,
    /// The cluster that the request was sent to.
    pub cluster: Option<Box<str>>,
    /// The endpoint of the last try.
    pub upstream: Option<Box<str>>,
    /// The address that the connection to the endpoint came from.
    pub upstream_local: Option<SocketAddr>,
    /// Tries that were made.
    pub attempts: u32,
    /// The caller's address, as the nearest proxy that is believed tells it.
    pub downstream_remote: Option<SocketAddr>,
    /// The address that the caller connected to.
    pub downstream_local: Option<SocketAddr>,
    /// What is known of the connection's TLS.
    pub tls: TlsFacts,
    /// The trace, as 32 digits, where the request is a part of one that is recorded.
    pub trace_id: Option<Box<str>>,
    /// A number that only this record has.
    pub unique_id: u128,
}

/// What is known of the TLS of the caller's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// Whether there is any.
    pub is_tls: bool,
    /// The server name that was asked for.
    pub server_name: Option<Box<str>>,
    /// The caller's SPIFFE id, or another URI of its certificate.
    pub peer_uri: Option<Box<str>>,
    /// The SPIFFE id of this workload.
    pub local_uri: Option<Box<str>>,
}

impl Record {
    /// A request of which nothing is known but when it began and what it asks for.
    pub fn new(side: Side, started: SystemTime, method: Method) -> Self {
        Self {
            side,
            version: 0,
            started,
            duration: Duration::ZERO,
            request_duration: None,
            response_duration: None,
            method,
            path: None,
            authority: Box::default(),
            scheme: "http",
            protocol: Version::HTTP_11,
            request_headers: HeaderMap::new(),
            response_headers: HeaderMap::new(),
            response_trailers: HeaderMap::new(),
            status: 0,
            grpc_status: None,
            is_grpc: false,
            flags: ResponseFlags::NONE,
            details: Box::default(),
            upstream_failure: None,
            request_bytes: 0,
            response_bytes: 0,
            request_head_bytes: 0,
            response_head_bytes: 0,
            route: Box::default(),
            cluster: None,
            upstream: None,
            upstream_local: None,
            attempts: 0,
            downstream_remote: None,
            downstream_local: None,
            tls: TlsFacts::default(),
            trace_id: None,
            unique_id: 0,
        }
    }

    /// The status of a gRPC call: where it was not told, what the HTTP status means to one, as Envoy has it.
    pub fn status_of_call(&self) -> Option<u8> {
        self.grpc_status.or_else(|| self.is_grpc.then(|| grpc_status_of(self.status))?)
    }

    /// How long the endpoint took, from the end of the request to the head of the answer.
    pub fn service_time(&self) -> Option<Duration> {
        let answered = self.upstream.as_ref().and(self.response_duration)?;
        Some(answered.saturating_sub(self.request_duration.unwrap_or_default()))
    }

    /// Whether there was a connection to the endpoint.
    pub const fn was_connected(&self) -> bool {
        self.upstream_local.is_some() || self.response_duration.is_some()
    }

    /// The path without its query.
    pub fn url_path(&self) -> &str {
        self.path.as_ref().map_or("", PathAndQuery::path)
    }

    /// The query, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.path.as_ref().and_then(PathAndQuery::query)
    }

    /// The first value of a request header, where it was wanted and is text.
    pub fn request_header(&self, name: &str) -> Option<&str> {
        self.request_headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What an HTTP status means to a gRPC call; nothing where there was none.
pub(crate) const fn grpc_status_of(status: u16) -> Option<u8> {
    Some(match status {
        0 => return None,
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    })
}

/// Neither headers nor queries: they hold what is nobody's business.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("side", &self.side)
            .field("method", &self.method)
            .field("path", &self.url_path())
            .field("authority", &self.authority)
            .field("status", &self.status)
            .field("flags", &self.flags)
            .field("details", &self.details)
            .field("cluster", &self.cluster)
            .field("upstream", &self.upstream)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

/// Headers that somebody wants to find in a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// These.
    Some(Vec<HeaderName>),
    /// All.
    #[default]
    All,
}

impl Names {
    /// None.
    pub const NONE: Self = Self::Some(Vec::new());

    /// These as well.
    pub fn add(&mut self, name: &HeaderName) {
        if let Self::Some(names) = self
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }

    /// Those of others as well.
    pub fn extend(&mut self, others: &Self) {
        match others {
            Self::All => *self = Self::All,
            Self::Some(names) => names.iter().for_each(|name| self.add(name)),
        }
    }

    /// The wanted ones of some headers, every line of each.
    pub fn of(&self, headers: &HeaderMap) -> HeaderMap {
        let Self::Some(names) = self else { return headers.clone() };
        let mut found = HeaderMap::new();
        for name in names {
            for value in headers.get_all(name) {
                found.append(name.clone(), value.clone());
            }
        }
        found
    }
}

/// What somebody wants to find in records beside what always stands there; nothing by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Headers of requests.
    pub request: Names,
    /// Headers of answers.
    pub response: Names,
    /// Trailers of answers.
    pub trailers: Names,
}

/// Nothing.
pub static NOTHING: Wanted = Wanted { request: Names::NONE, response: Names::NONE, trailers: Names::NONE };
/// Everything.
pub static ALL: Wanted = Wanted { request: Names::All, response: Names::All, trailers: Names::All };

impl Default for Wanted {
    fn default() -> Self {
        NOTHING.clone()
    }
}

impl Wanted {
    /// What others want as well.
    pub fn extend(&mut self, others: &Self) {
        self.request.extend(&others.request);
        self.response.extend(&others.response);
        self.trailers.extend(&others.trailers);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_is_wanted_is_kept_and_every_line_of_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("x-a", "2"), ("cookie", "secret")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut names = Names::NONE;
        assert!(names.of(&headers).is_empty());
        names.add(&HeaderName::from_static("x-a"));
        names.add(&HeaderName::from_static("x-missing"));
        let kept = names.of(&headers);
        assert_eq!((kept.len(), kept.keys_len()), (2, 1));
        names.extend(&Names::All);
        assert_eq!(names.of(&headers), headers);
    }

    #[test]
    fn neither_headers_nor_queries_show_in_debug() {
        let mut record = Record::new(Side::Client, SystemTime::UNIX_EPOCH, Method::GET);
        record.path = Some(PathAndQuery::from_static("/a?token=canary"));
        record.request_headers.insert("authorization", HeaderValue::from_static("Bearer canary"));
        assert!(!format!("{record:?}").contains("canary"));
    }
}
