//! The form in which the application sees a request.

use http::header::HOST;
use http::{Method, Request};
use mesh_config::api::mesh_config::ForwardClientCertDetails;
use mesh_core::request_form::{Told, prepare_headers, single_host};
use mesh_core::{Failure, Profile};

use super::PeerIdentity;
use crate::identity::{Peer, TlsPeer};
use crate::{request_form, request_id};

/// Refuses what could be judged as one thing and served as another, and makes the host one.
pub(super) fn check<B>(request: &mut Request<B>, profile: Profile) -> Result<(), Failure> {
    if let Some(host) = request_form::check(request, profile)? {
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

/// Refuses what no application may see and brings the rest into form.
pub(super) fn prepare<B>(request: &mut Request<B>, details: ForwardClientCertDetails) -> Result<(), Failure> {
    let host = single_host(request.headers())?;
    if host.is_none() && request.uri().authority().is_none() {
        return Err(Failure::MalformedRequest);
    }
    if request.method() == Method::CONNECT || request.uri().path() == "*" {
        return Err(Failure::NoRoute);
    }
    let peer = request.extensions().get::<Peer>().cloned();
    let over_tls = peer.as_ref().is_some_and(Peer::is_tls) || request.extensions().get::<PeerIdentity>().is_some();
    let certificate = peer.as_ref().and_then(Peer::tls).and_then(TlsPeer::forwarded);
    let headers = request.headers_mut();
    prepare_headers(headers, Told { over_tls, certificate, details })?;
    request_id::ensure(headers);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: ForwardClientCertDetails = ForwardClientCertDetails::Undefined;

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
        prepare(&mut request, DEFAULT)?;
        let headers = request.headers().iter();
        let mut seen: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        seen.retain(|(name, _)| !["host", "x-request-id", "x-forwarded-proto"].contains(&name.as_str()));
        seen.sort();
        Ok(seen)
    }

    fn header(lines: Lines<'_>, name: &str) -> String {
        let mut request = request(lines);
        prepare(&mut request, DEFAULT).unwrap();
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
        let prepared = |request: http::request::Builder| prepare(&mut request.body(()).unwrap(), DEFAULT);
        assert_eq!(prepared(Request::get("/")), Err(Failure::MalformedRequest));
        assert_eq!(prepared(Request::get("http://app/")), Ok(()));
        assert_eq!(
            prepared(Request::get("/").header("host", "app").header("host", "app")),
            Err(Failure::MalformedRequest)
        );
        assert_eq!(seen(&[("connection", "host")]), Err(Failure::MalformedRequest));
        assert_eq!(seen(&[("connection", "x-forwarded-for")]), Err(Failure::MalformedRequest));
    }

    #[test]
    fn tunnels_and_the_server_itself_are_no_route() {
        let prepared = |request: http::request::Builder| prepare(&mut request.body(()).unwrap(), DEFAULT);
        assert_eq!(prepared(Request::connect("app:443")), Err(Failure::NoRoute));
        assert_eq!(prepared(Request::options("*").header("host", "app")), Err(Failure::NoRoute));
        assert_eq!(prepared(Request::options("/").header("host", "app")), Ok(()));
    }
}
