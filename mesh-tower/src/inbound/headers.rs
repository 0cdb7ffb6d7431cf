//! The form in which the application sees a request.

use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request};
use mesh_core::Failure;
use uuid::Uuid;

/// Refuses what no application may see and brings the rest into form.
pub(super) fn prepare<B>(request: &mut Request<B>) -> Result<(), Failure> {
    let names_host = request.uri().authority().is_some() || request.headers().contains_key(header::HOST);
    if !names_host {
        return Err(Failure::MalformedRequest);
    }
    if request.method() == Method::CONNECT || request.uri().path() == "*" {
        return Err(Failure::NoRoute);
    }
    let headers = request.headers_mut();
    let upgrade = Upgrade::of(headers);
    if upgrade == Upgrade::Other {
        return Err(Failure::UpgradeRefused);
    }
    remove_hop_by_hop(headers, upgrade)?;
    identify(headers);
    headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
    // Only a caller with a certificate could have sent it honestly.
    headers.remove(X_FORWARDED_CLIENT_CERT);
    Ok(())
}

/// What an HTTP/1.1 request wants its connection to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upgrade {
    /// Nothing else, or HTTP/2, which nobody need agree to.
    None,
    WebSocket,
    Other,
}

impl Upgrade {
    fn of(headers: &HeaderMap) -> Self {
        let Some(wanted) = headers.get(header::UPGRADE) else { return Self::None };
        if !connection_tokens(headers).any(|token| token.eq_ignore_ascii_case(b"upgrade")) {
            return Self::None;
        }
        match wanted.as_bytes().trim_ascii() {
            wanted if wanted.eq_ignore_ascii_case(b"websocket") => Self::WebSocket,
            wanted if wanted.eq_ignore_ascii_case(b"h2c") => Self::None,
            _ => Self::Other,
        }
    }
}

/// Removes the headers that concern one connection only, among them those that `connection` names.
fn remove_hop_by_hop(headers: &mut HeaderMap, upgrade: Upgrade) -> Result<(), Failure> {
    if headers.contains_key(header::CONNECTION) {
        let mut named = Vec::new();
        for token in connection_tokens(headers) {
            let name = HeaderName::from_bytes(token).map_err(|_| Failure::MalformedRequest)?;
            if PROTECTED.contains(&name) {
                return Err(Failure::MalformedRequest);
            }
            named.push(name);
        }
        let kept = |name: &HeaderName| name == header::TE || (name == header::UPGRADE && upgrade == Upgrade::WebSocket);
        for name in named.iter().filter(|name| !kept(name)) {
            headers.remove(name);
        }
    }
    if upgrade != Upgrade::WebSocket {
        headers.remove(header::CONNECTION);
        headers.remove(header::UPGRADE);
    }
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
    keep_only_trailers(headers);
    Ok(())
}

/// `te` says what the next hop may send; of its values only `trailers` reaches further.
fn keep_only_trailers(headers: &mut HeaderMap) {
    let Entry::Occupied(mut te) = headers.entry(header::TE) else { return };
    let trailers = te.iter().flat_map(tokens).any(|token| token.eq_ignore_ascii_case(b"trailers"));
    if trailers {
        te.insert(HeaderValue::from_static("trailers"));
    } else {
        te.remove_entry_mult().1.for_each(drop);
    }
}

/// Makes sure that there is one `x-request-id` and that it says something.
fn identify(headers: &mut HeaderMap) {
    let mut values = headers.get_all(&X_REQUEST_ID).iter();
    let joined = match (values.next(), values.next()) {
        (Some(only), None) if !only.is_empty() => return,
        (Some(_), Some(_)) => {
            let lines: Vec<&[u8]> = headers.get_all(&X_REQUEST_ID).iter().map(HeaderValue::as_bytes).collect();
            HeaderValue::from_bytes(&lines.join(&b','))
        }
        _ => HeaderValue::try_from(new_request_id().as_hyphenated().to_string()),
    };
    // Both are made of what a value may hold.
    if let Ok(joined) = joined {
        headers.insert(X_REQUEST_ID, joined);
    }
}

fn new_request_id() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid()
}

fn connection_tokens(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(header::CONNECTION).iter().flat_map(tokens)
}

/// The elements of a comma-separated list.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `connection` may not make these disappear.
const PROTECTED: [HeaderName; 4] = [header::HOST, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO];

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
    fn a_request_id_is_made_kept_or_joined() {
        assert_eq!(Uuid::try_parse(&header(&[], "x-request-id")).unwrap().get_version_num(), 4);
        assert_eq!(header(&[("x-request-id", "mine")], "x-request-id"), "mine");
        assert_eq!(Uuid::try_parse(&header(&[("x-request-id", "")], "x-request-id")).unwrap().get_version_num(), 4);
        assert_eq!(header(&[("x-request-id", "one"), ("x-request-id", "two")], "x-request-id"), "one,two");
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
