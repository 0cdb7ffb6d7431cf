//! The form in which the application sees a request.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Version};
use mesh_core::Failure;
use mesh_core::route::internal_headers;

use super::PeerIdentity;
use crate::identity::{Peer, TlsPeer};
use crate::request_id;

/// Refuses what could be judged as one thing and served as another, and makes the host one.
pub(super) fn check<B>(request: &mut Request<B>, strict: bool) -> Result<(), Failure> {
    let is_http2 = request.version() == Version::HTTP_2;
    let method = request.method().as_str();
    // Envoy's parser of HTTP/1 takes none; on HTTP/2 it does.
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) && (strict || !is_http2) {
        return Err(Failure::MalformedRequest);
    }
    let host = request.headers().get(header::HOST);
    let authority = request.uri().authority();
    let scheme = request.uri().scheme_str();
    // A target that is a host alone is for CONNECT; a port is a number; on HTTP/2 the scheme is the caller's word.
    let is_no_target = authority.is_some() && scheme.is_none() && request.method() != Method::CONNECT;
    let bad_port = authority.is_some_and(|authority| names_no_port(authority.as_str()));
    let odd_scheme = strict && scheme.is_some_and(|scheme| !matches!(scheme, "http" | "https"));
    if is_no_target || bad_port || odd_scheme {
        return Err(Failure::MalformedRequest);
    }
    let names = || host.map(HeaderValue::as_bytes).into_iter().chain(authority.map(|named| named.as_str().as_bytes()));
    let has = |bytes: &[u8]| names().any(|name| name.iter().any(|byte| bytes.contains(byte)));
    // A user is taken by Envoy on HTTP/1, and matched with the host.
    if has(b"/?#\\") || (has(b"@") && (strict || is_http2)) {
        return Err(Failure::MalformedRequest);
    }
    let other = authority.zip(host).filter(|(authority, host)| authority.as_str().as_bytes() != host.as_bytes());
    if let Some((authority, _)) = other {
        if strict && is_http2 {
            return Err(Failure::MalformedRequest);
        }
        // What policies are asked about is what the application is told.
        let told = HeaderValue::from_str(authority.as_str()).map_err(|_| Failure::MalformedRequest)?;
        request.headers_mut().insert(header::HOST, told);
    }
    Ok(())
}

/// Whether a port is written that is none.
fn names_no_port(authority: &str) -> bool {
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains(']'));
    port.is_some_and(|port| !port.is_empty() && port.parse::<u16>().is_err())
}

/// Refuses what no application may see and brings the rest into form.
pub(super) fn prepare<B>(request: &mut Request<B>) -> Result<(), Failure> {
    let names_host = request.uri().authority().is_some() || request.headers().contains_key(header::HOST);
    if !names_host {
        return Err(Failure::MalformedRequest);
    }
    if request.method() == Method::CONNECT || request.uri().path() == "*" {
        return Err(Failure::NoRoute);
    }
    let peer = request.extensions().get::<Peer>().cloned();
    let is_tls = peer.as_ref().is_some_and(Peer::is_tls) || request.extensions().get::<PeerIdentity>().is_some();
    let headers = request.headers_mut();
    internal_headers::remove_hop_by_hop(headers)?;
    request_id::ensure(headers);
    let scheme = if is_tls { "https" } else { "http" };
    headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(scheme));
    tell_certificate(headers, peer.as_ref().and_then(Peer::tls).and_then(TlsPeer::forwarded));
    Ok(())
}

/// Tells of the caller's certificate what the connection proves, behind what a caller of the mesh tells of its own
/// callers. Without a certificate nobody could have sent the header honestly.
fn tell_certificate(headers: &mut HeaderMap, proved: Option<&HeaderValue>) {
    let Some(proved) = proved else {
        headers.remove(X_FORWARDED_CLIENT_CERT);
        return;
    };
    let mut told: Vec<u8> = Vec::new();
    for line in headers.get_all(X_FORWARDED_CLIENT_CERT) {
        told.extend_from_slice(line.as_bytes());
        told.push(b',');
    }
    told.extend_from_slice(proved.as_bytes());
    // Of values that are good, this is one.
    let told = HeaderValue::from_bytes(&told).unwrap_or_else(|_| proved.clone());
    headers.insert(X_FORWARDED_CLIENT_CERT, told);
}

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

#[cfg(test)]
mod tests {
    use super::*;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn request(lines: Lines<'_>) -> Request<()> {
        let mut request = Request::builder().uri("/").header("host", "app");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    /// The request's headers as the application sees them, those that every request gets left out.
    fn seen(lines: Lines<'_>) -> Result<Vec<(String, String)>, Failure> {
        let mut request = request(lines);
        prepare(&mut request)?;
        let headers = request.headers().iter();
        let mut seen: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        seen.retain(|(name, _)| !["host", "x-request-id", "x-forwarded-proto"].contains(&name.as_str()));
        seen.sort();
        Ok(seen)
    }

    fn header(lines: Lines<'_>, name: &str) -> String {
        let mut request = request(lines);
        prepare(&mut request).unwrap();
        let values: Vec<&str> = request.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(values.len(), 1, "{values:?}");
        values[0].to_owned()
    }

    #[test]
    fn every_request_has_an_id() {
        assert!(!header(&[], "x-request-id").is_empty());
        assert_eq!(header(&[("x-request-id", "mine")], "x-request-id"), "mine");
    }

    #[test]
    fn the_scheme_is_told_unless_the_caller_told_it() {
        assert_eq!(header(&[], "x-forwarded-proto"), "http");
        assert_eq!(header(&[("x-forwarded-proto", "ftp")], "x-forwarded-proto"), "ftp");
    }

    #[test]
    fn a_plaintext_caller_cannot_claim_a_certificate() {
        assert_eq!(seen(&[("x-forwarded-client-cert", "URI=spiffe://a/ns/b/sa/c")]), Ok(vec![]));
    }

    #[test]
    fn headers_of_the_connection_stay_on_it() {
        let lines = [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
        ];
        assert_eq!(seen(&lines), Ok(vec![]));
        let te = Ok(vec![("te".to_owned(), "trailers".to_owned())]);
        assert_eq!(seen(&[("te", "gzip, trailers"), ("connection", "te")]), te);
        assert_eq!(seen(&[("te", "gzip"), ("te", "deflate")]), Ok(vec![]));
    }

    #[test]
    fn a_websocket_upgrade_passes_and_others_do_not() {
        let websocket = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
        let lines = websocket.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(seen(&websocket), Ok(lines));
        assert_eq!(seen(&[("connection", "upgrade"), ("upgrade", "foo")]), Err(Failure::UpgradeRefused));
        assert_eq!(seen(&[("connection", "upgrade"), ("upgrade", "websocket, foo")]), Err(Failure::UpgradeRefused));
        let h2c = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAM")];
        assert_eq!(seen(&h2c), Ok(vec![]));
        assert_eq!(seen(&[("upgrade", "foo")]), Ok(vec![]));
    }

    #[test]
    fn requests_without_a_host_are_malformed() {
        let prepared = |request: http::request::Builder| prepare(&mut request.body(()).unwrap());
        assert_eq!(prepared(Request::get("/")), Err(Failure::MalformedRequest));
        assert_eq!(prepared(Request::get("http://app/")), Ok(()));
        assert_eq!(seen(&[("connection", "host")]), Err(Failure::MalformedRequest));
        assert_eq!(seen(&[("connection", "x-forwarded-for")]), Err(Failure::MalformedRequest));
    }

    #[test]
    fn tunnels_and_the_server_itself_are_no_route() {
        let prepared = |request: http::request::Builder| prepare(&mut request.body(()).unwrap());
        assert_eq!(prepared(Request::connect("app:443")), Err(Failure::NoRoute));
        assert_eq!(prepared(Request::options("*").header("host", "app")), Err(Failure::NoRoute));
        assert_eq!(prepared(Request::options("/").header("host", "app")), Ok(()));
    }
}
