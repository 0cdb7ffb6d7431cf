//! Hash policies: what of a request decides which endpoint it sticks to.
//!
//! A route has the policies of all its destinations, in order; each that finds something adds to the
//! hash. They count only where the chosen cluster balances by hash. Hashes are Envoy's (xxHash64 of the
//! plain text), so that the same request goes to the same endpoint from a sidecar and from here.

use std::fmt;

use std::net::SocketAddr;

use http::header::{HeaderName, HeaderValue};
use mesh_config::api::destination_rule::{ConsistentHashLb, HttpCookie};
use twox_hash::XxHash64;

use super::condition::query::first_value;
use crate::RequestView;
use crate::cookie::cookie;

/// One source of a hash (`consistentHash`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashPolicy {
    /// A header (`httpHeaderName`): all its values, in whatever order. An empty one counts.
    Header(HashedHeader),
    /// A cookie (`httpCookie`), which may be made when it is missing. An empty one counts as missing.
    Cookie(HashedCookie),
    /// The caller's address (`useSourceIp`).
    SourceIp,
    /// A parameter of the query (`httpQueryParameterName`): the first of its values, as it is written.
    QueryParameter(Box<str>),
}

/// A header, or what HTTP/2 has in place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashedHeader {
    /// A header.
    Named(HeaderName),
    /// `:authority`, or `host`.
    Authority,
    /// `:path`, the query included.
    Path,
    /// `:method`.
    Method,
    /// `:scheme`.
    Scheme,
}

/// A cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedCookie {
    name: Box<str>,
    /// What a cookie that is made has behind its value; `None` if none is made.
    attributes: Option<Box<str>>,
}

/// What the policies of a route make of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHash {
    /// The hash; `None` if no policy found anything.
    pub hash: Option<u64>,
    /// Values of `set-cookie` for the answer: cookies that were missing.
    pub cookies: Vec<HeaderValue>,
}

/// `header x-user`, `cookie session, made when missing`
impl fmt::Display for HashPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(HashedHeader::Named(name)) => write!(f, "header {name}"),
            Self::Header(HashedHeader::Authority) => f.write_str("authority"),
            Self::Header(HashedHeader::Path) => f.write_str("path"),
            Self::Header(HashedHeader::Method) => f.write_str("method"),
            Self::Header(HashedHeader::Scheme) => f.write_str("scheme"),
            Self::Cookie(HashedCookie { name, attributes: None }) => write!(f, "cookie {name}"),
            Self::Cookie(HashedCookie { name, attributes: Some(attributes) }) => {
                write!(f, "cookie {name}, made when missing{attributes}")
            }
            Self::SourceIp => f.write_str("the caller's address"),
            Self::QueryParameter(name) => write!(f, "query parameter {name}"),
        }
    }
}

impl HashPolicy {
    /// From `consistentHash`; `None` where it names nothing to hash, as `useSourceIp: false` does.
    pub fn lower(from: &ConsistentHashLb) -> Option<Self> {
        if let Some(name) = &from.http_header_name {
            return HashedHeader::lower(name).map(Self::Header);
        }
        if let Some(cookie) = &from.http_cookie {
            return Some(Self::Cookie(HashedCookie::lower(cookie)));
        }
        if let Some(by_address) = from.use_source_ip {
            return by_address.then_some(Self::SourceIp);
        }
        from.http_query_parameter_name.as_deref().map(|name| Self::QueryParameter(name.into()))
    }

    fn hash(&self, request: &RequestView<'_>, made: &mut Made<'_>) -> Option<u64> {
        match self {
            Self::Header(header) => header.hash(request),
            Self::Cookie(cookie) => cookie.hash(request, made),
            Self::SourceIp => request.peer.address.map(|address| xxhash(0, address.to_string().as_bytes())),
            Self::QueryParameter(name) => first_value(request.query, name).map(|value| xxhash(0, value.as_bytes())),
        }
    }
}

/// Cookies that are made on the way, all with one value.
struct Made<'a> {
    value: Option<u64>,
    new_value: &'a mut dyn FnMut() -> u64,
    cookies: Vec<HeaderValue>,
}

impl RequestHash {
    /// Reads a request, whose peer is the caller. `new_value` gives the value for cookies that are made.
    pub fn of(policies: &[HashPolicy], request: &RequestView<'_>, new_value: &mut dyn FnMut() -> u64) -> Self {
        let mut made = Made { value: None, new_value, cookies: Vec::new() };
        let hashes = policies.iter().filter_map(|policy| policy.hash(request, &mut made));
        // Turned, so that two equal ones do not cancel each other out.
        let hash = hashes.fold(None, |all: Option<u64>, hash| Some(all.map_or(0, |all| all.rotate_left(1)) ^ hash));
        Self { hash, cookies: made.cookies }
    }
}

impl HashedHeader {
    fn lower(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            ":authority" | "host" => Some(Self::Authority),
            ":path" => Some(Self::Path),
            ":method" => Some(Self::Method),
            ":scheme" => Some(Self::Scheme),
            name => name.parse().ok().map(Self::Named),
        }
    }

    fn hash(&self, request: &RequestView<'_>) -> Option<u64> {
        match self {
            Self::Named(name) => {
                let mut values: Vec<&[u8]> = request.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
                values.sort_unstable();
                // Each is hashed on from the one before.
                (!values.is_empty()).then(|| values.into_iter().fold(0, xxhash))
            }
            Self::Authority => Some(xxhash(0, request.authority.as_bytes())),
            Self::Path => {
                let query = request.query.map(|query| format!("?{query}")).unwrap_or_default();
                Some(xxhash(0, format!("{}{query}", request.path).as_bytes()))
            }
            Self::Method => Some(xxhash(0, request.method.as_str().as_bytes())),
            Self::Scheme => Some(xxhash(0, request.scheme.as_str().as_bytes())),
        }
    }
}

impl HashedCookie {
    fn lower(from: &HttpCookie) -> Self {
        let attributes = from.ttl.map(|ttl| {
            let mut text = String::new();
            let seconds = ttl.to_std().as_secs();
            if seconds > 0 {
                text.push_str(&format!("; Max-Age={seconds}"));
            }
            if !from.path.is_empty() {
                text.push_str(&format!("; Path={}", from.path));
            }
            for attribute in &from.attributes {
                let value = Some(&attribute.value).filter(|value| !value.is_empty());
                let value = value.map(|value| format!("={value}")).unwrap_or_default();
                text.push_str(&format!("; {}{value}", attribute.name));
            }
            text.push_str("; HttpOnly");
            text.into()
        });
        Self { name: from.name.as_str().into(), attributes }
    }

    fn hash(&self, request: &RequestView<'_>, made: &mut Made<'_>) -> Option<u64> {
        if let Some(value) = cookie(request.headers, &self.name).filter(|value| !value.is_empty()) {
            return Some(xxhash(0, value));
        }
        let attributes = self.attributes.as_ref()?;
        let value = *made.value.get_or_insert_with(|| (made.new_value)());
        let value = format!("{value:016x}");
        made.cookies.extend(HeaderValue::from_str(&format!("{}=\"{value}\"{attributes}", self.name)).ok());
        Some(xxhash(0, value.as_bytes()))
    }
}

/// The value of a cookie for a connection, as long as it lasts.
pub fn connection_value(remote: SocketAddr, local_port: u16) -> u64 {
    xxhash(0, format!("{remote}:{local_port}").as_bytes())
}

fn xxhash(seed: u64, text: &[u8]) -> u64 {
    XxHash64::oneshot(seed, text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::PeerView;
    use crate::route::testing::Request;

    fn policies(from: &[Value]) -> Vec<HashPolicy> {
        from.iter().filter_map(|json| HashPolicy::lower(&serde_json::from_value(json.clone()).unwrap())).collect()
    }

    fn of(from: &[Value], request: &Request) -> RequestHash {
        let peer = PeerView { address: Some("10.0.250.1".parse().unwrap()), ..PeerView::default() };
        RequestHash::of(&policies(from), &RequestView { peer, ..request.view() }, &mut || 0x0123_4567_89ab)
    }

    fn hash(from: Value, request: &Request) -> Option<u64> {
        of(&[from], request).hash
    }

    fn plain(text: &str) -> Option<u64> {
        Some(xxhash(0, text.as_bytes()))
    }

    #[test]
    fn the_hash_is_xxhash64() {
        assert_eq!(plain("foo"), Some(0x33bf_00a8_59c4_ba3f));
    }

    #[test]
    fn the_values_of_a_header_count_in_any_order() {
        let header = || json!({"httpHeaderName": "X-User"});
        assert_eq!(hash(header(), &Request::get("/")), None);
        assert_eq!(hash(header(), &Request::get("/").header("x-user", "")), plain(""));
        let one = hash(header(), &Request::get("/").header("x-user", "a").header("x-user", "b"));
        let other = hash(header(), &Request::get("/").header("x-user", "b").header("x-user", "a"));
        assert!(one == other && one != hash(header(), &Request::get("/").header("x-user", "a,b")));
        assert_eq!(hash(header(), &Request::get("/").header("x-user", "alice")), plain("alice"));
    }

    #[test]
    fn what_http2_has_as_headers_counts_as_such() {
        let request = Request::get("/a?b=c");
        let of = |name: &str| hash(json!({"httpHeaderName": name}), &request);
        assert_eq!([of(":path"), of(":method"), of("host")], [plain("/a?b=c"), plain("GET"), plain("reviews")]);
    }

    #[test]
    fn a_cookie_is_found_on_any_line_and_without_its_quotes() {
        let cookie = || json!({"httpCookie": {"name": "sess"}});
        for lines in [&["sess=aaa"][..], &["x=1; sess=aaa; y=2"], &["x=1", "sess=aaa"], &["sess=\"aaa\""]] {
            let request = lines.iter().fold(Request::get("/"), |request, line| request.header("cookie", line));
            assert_eq!(hash(cookie(), &request), plain("aaa"), "{lines:?}");
        }
        for line in ["sess=", "SESS=aaa", "sess", "mysess=aaa", "sess=; sess=aaa"] {
            let found = of(&[cookie()], &Request::get("/").header("cookie", line));
            assert_eq!(found, RequestHash::default(), "{line}");
        }
    }

    #[test]
    fn a_missing_cookie_is_made_where_it_has_a_lifetime() {
        let made = |cookie: Value| {
            let found = of(&[json!({"httpCookie": cookie})], &Request::get("/"));
            assert_eq!(found.hash, plain("00000123456789ab"));
            found.cookies[0].to_str().unwrap().to_owned()
        };
        assert_eq!(made(json!({"name": "s", "ttl": "60s"})), "s=\"00000123456789ab\"; Max-Age=60; HttpOnly");
        let session = json!({"name": "s", "ttl": "0s", "path": "/app"});
        assert_eq!(made(session), "s=\"00000123456789ab\"; Path=/app; HttpOnly");
        let attributes = json!([{"name": "SameSite", "value": "Strict"}, {"name": "Secure"}]);
        let whole = made(json!({"name": "s", "ttl": "60s", "path": "/p", "attributes": attributes}));
        assert_eq!(whole, "s=\"00000123456789ab\"; Max-Age=60; Path=/p; SameSite=Strict; Secure; HttpOnly");
    }

    #[test]
    fn the_first_value_of_a_parameter_counts_as_it_is_written() {
        let parameter = || json!({"httpQueryParameterName": "k"});
        let of = |path: &str| hash(parameter(), &Request::get(path));
        assert_eq!(
            [of("/?k=a&k=b"), of("/?x=1&k=a%20b"), of("/?k"), of("/?k=")],
            [plain("a"), plain("a%20b"), plain(""), plain("")]
        );
        assert_eq!([of("/"), of("/?K=a"), of("/?kk=a")], [None; 3]);
    }

    #[test]
    fn the_address_of_the_caller_counts_without_its_port() {
        assert_eq!(hash(json!({"useSourceIp": true}), &Request::get("/")), plain("10.0.250.1"));
        assert_eq!(hash(json!({"useSourceIp": false}), &Request::get("/")), None);
    }

    #[test]
    fn policies_add_up_and_do_not_cancel_each_other_out() {
        let (a, b) = (json!({"httpHeaderName": "a"}), json!({"httpHeaderName": "b"}));
        let request = Request::get("/").header("a", "1");
        assert_eq!(of(&[a.clone(), b.clone()], &request).hash, plain("1"));
        assert_eq!(of(&[b, a.clone()], &request).hash, plain("1"));
        let twice = of(&[a.clone(), a], &request).hash;
        assert!(twice.is_some_and(|twice| twice != 0) && twice != plain("1"));
    }
}
