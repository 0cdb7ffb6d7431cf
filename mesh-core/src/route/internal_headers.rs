//! Headers that end here: those that speak to the mesh and those that speak about one connection.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use super::header_ops::SINGLE_IN_REQUESTS;
use crate::Failure;

/// Removes from a caller's request what a sidecar does not let pass: Envoy's own instructions, which
/// an application may not give, and a client certificate that nobody checked. Other `x-envoy-*`
/// headers pass as they are.
///
/// Repeated headers that Envoy keeps as one value, such as `x-forwarded-for`, become one line. Both
/// happens before the request is routed.
pub fn strip(headers: &mut HeaderMap) {
    strip_listed(headers, INSTRUCTIONS.iter().chain(&PROXIES_OWN));
    join_lines(headers);
}

/// Makes one line of those of a repeated header that Envoy keeps as one value.
pub fn join_lines(headers: &mut HeaderMap) {
    if headers.len() <= headers.keys_len() {
        return;
    }
    for name in SINGLE_IN_REQUESTS {
        let lines: Vec<_> = headers.get_all(*name).iter().map(HeaderValue::as_bytes).collect();
        if lines.len() > 1
            && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b','))
        {
            headers.insert(*name, joined);
        }
    }
}

/// Removes the instructions about retries and timeouts that a rule's header operations have put in:
/// they do not reach the upstream either.
pub(crate) fn strip_after_operations(headers: &mut HeaderMap) {
    strip_listed(headers, INSTRUCTIONS.iter());
}

fn strip_listed<'n>(headers: &mut HeaderMap, listed: impl Iterator<Item = &'n HeaderName>) {
    // Nearly every request has none of them, and then one look at each name is all it costs.
    if headers.keys().any(|name| name.as_str().starts_with("x-envoy-") || *name == CLIENT_CERT) {
        for name in listed {
            headers.remove(name);
        }
    }
}

/// Removes from a request what is about the caller's connection and gives whether it asks for a
/// WebSocket, whose `connection` and `upgrade` stay.
///
/// That is `connection` and what it names, `keep-alive`, `proxy-connection`, `transfer-encoding`,
/// `upgrade`, and `te` unless it is `trailers`. The upgrade to HTTP/2 is ignored, as is an upgrade
/// that `connection` does not name.
///
/// # Errors
/// [`Failure::UpgradeRefused`] for any other upgrade; [`Failure::MalformedRequest`] if `connection`
/// names a header that the request cannot do without.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) -> Result<bool, Failure> {
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return Ok(false);
    }
    let named = connection_options(headers)?;
    let asks_upgrade = named.contains(&UPGRADE);
    let upgrade = match headers.get(UPGRADE) {
        Some(protocol) if asks_upgrade => Upgrade::to(protocol),
        _ => Upgrade::Ignored,
    };
    if upgrade == Upgrade::Refused {
        return Err(Failure::UpgradeRefused);
    }
    let websocket = upgrade == Upgrade::WebSocket;
    for name in named.iter().filter(|name| **name != TE && **name != UPGRADE) {
        headers.remove(name);
    }
    keep_only_trailers(headers);
    remove_connection_headers(headers, websocket);
    Ok(websocket)
}

/// `te` says what the next hop may send; of its values only `trailers` reaches further.
fn keep_only_trailers(headers: &mut HeaderMap) {
    let Some(first) = headers.get(TE) else { return };
    if first.as_bytes() == b"trailers" && headers.get_all(TE).iter().nth(1).is_none() {
        return;
    }
    let tokens = |value: &HeaderValue| {
        value.as_bytes().split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    };
    if headers.get_all(TE).iter().any(tokens) {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
}

/// Removes from a response what is about the upstream's connection. With `upgraded` (101) what
/// belongs to the upgrade stays.
pub fn remove_hop_by_hop_of_response(headers: &mut HeaderMap, upgraded: bool) {
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        remove_connection_headers(headers, upgraded);
    }
}

fn remove_connection_headers(headers: &mut HeaderMap, upgraded: bool) {
    for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &TRANSFER_ENCODING] {
        headers.remove(name);
    }
    if !upgraded {
        headers.remove(CONNECTION);
        headers.remove(UPGRADE);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    Ignored,
    Refused,
    WebSocket,
}

impl Upgrade {
    fn to(protocol: &HeaderValue) -> Self {
        let protocol = protocol.as_bytes();
        if protocol.eq_ignore_ascii_case(b"websocket") {
            Self::WebSocket
        } else if protocol.eq_ignore_ascii_case(b"h2c") {
            Self::Ignored
        } else {
            Self::Refused
        }
    }
}

/// The headers that `connection` names, `upgrade` included.
fn connection_options(headers: &HeaderMap) -> Result<Vec<HeaderName>, Failure> {
    let mut named = Vec::new();
    for line in headers.get_all(CONNECTION) {
        for option in line.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            if option.starts_with(b":") {
                return Err(Failure::MalformedRequest);
            }
            // `close` is an option and not a header; what is no name names nothing.
            if let Ok(name) = HeaderName::from_bytes(option) {
                if INDISPENSABLE.contains(&name) {
                    return Err(Failure::MalformedRequest);
                }
                named.push(name);
            }
        }
    }
    Ok(named)
}

const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Whether a header is about the message or the connection that it came with, and would say something wrong of another one.
pub(crate) fn frames(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name) || [CONTENT_LENGTH, TRAILER].contains(name)
}

const HOP_BY_HOP: [HeaderName; 6] = [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE];

/// What `connection` may not name.
const INDISPENSABLE: [HeaderName; 4] = [
    http::header::HOST,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// What tells Envoy how to retry and how long to wait.
const INSTRUCTIONS: [HeaderName; 10] = [
    HeaderName::from_static("x-envoy-hedge-on-per-try-timeout"),
    HeaderName::from_static("x-envoy-max-retries"),
    HeaderName::from_static("x-envoy-retriable-header-names"),
    HeaderName::from_static("x-envoy-retriable-status-codes"),
    HeaderName::from_static("x-envoy-retry-grpc-on"),
    HeaderName::from_static("x-envoy-retry-on"),
    HeaderName::from_static("x-envoy-upstream-alt-stat-name"),
    HeaderName::from_static("x-envoy-upstream-rq-per-try-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-rq-timeout-ms"),
    HeaderName::from_static("x-envoy-upstream-stream-duration-ms"),
];

/// What only a proxy knows.
const PROXIES_OWN: [HeaderName; 4] = [
    HeaderName::from_static("x-envoy-force-trace"),
    HeaderName::from_static("x-envoy-internal"),
    HeaderName::from_static("x-envoy-ip-tags"),
    CLIENT_CERT,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn an_application_gives_envoy_no_instructions() {
        for name in [
            "x-envoy-retry-on",
            "x-envoy-max-retries",
            "x-envoy-upstream-rq-timeout-ms",
            "x-envoy-internal",
            "x-envoy-ip-tags",
            "x-envoy-force-trace",
            "x-forwarded-client-cert",
        ] {
            let mut headers = headers(&[(name, "1"), ("x-a", "1")]);
            strip(&mut headers);
            assert_eq!(names(&headers), ["x-a"], "{name}");
        }
    }

    #[test]
    fn what_envoy_keeps_as_one_value_becomes_one_line() {
        let mut headers = headers(&[
            ("x-forwarded-for", "9.9.9.9"),
            ("x-a", "1"),
            ("x-forwarded-for", "8.8.8.8, 7.7.7.7"),
            ("x-a", "2"),
        ]);
        strip(&mut headers);
        assert_eq!(headers.get_all("x-forwarded-for").iter().collect::<Vec<_>>(), ["9.9.9.9,8.8.8.8, 7.7.7.7"]);
        assert_eq!(headers.get_all("x-a").iter().count(), 2);
    }

    #[test]
    fn other_headers_of_envoy_pass() {
        for name in [
            "x-envoy-external-address",
            "x-envoy-original-path",
            "x-envoy-decorator-operation",
            "x-envoy-peer-metadata",
            "x-envoy-is-timeout-retry",
            "x-envoy-made-up",
        ] {
            let mut headers = headers(&[(name, "1")]);
            strip(&mut headers);
            assert_eq!(names(&headers), [name]);
        }
    }

    #[test]
    fn headers_about_the_connection_end_here() {
        for (before, after) in [
            (&[("connection", "keep-alive"), ("keep-alive", "timeout=5")][..], &[][..]),
            (&[("connection", "close")], &[]),
            (&[("connection", "x-a, X-B"), ("x-a", "1"), ("x-b", "2"), ("x-c", "3")], &["x-c"]),
            (&[("connection", "te"), ("te", "trailers")], &["te"]),
            (&[("te", "gzip")], &[]),
            (&[("te", "gzip, trailers;q=0.5")], &[]),
            (&[("proxy-connection", "keep-alive"), ("transfer-encoding", "chunked")], &[]),
            (&[("proxy-authorization", "Basic eDp5"), ("trailer", "x-sum")], &["proxy-authorization", "trailer"]),
            (&[("upgrade", "websocket")], &[]),
            (&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AA")], &[]),
        ] {
            let mut headers = headers(before);
            assert_eq!(remove_hop_by_hop(&mut headers), Ok(false), "{before:?}");
            assert_eq!(names(&headers), after, "{before:?}");
        }
    }

    #[test]
    fn a_websocket_keeps_its_upgrade() {
        let mut headers =
            headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("keep-alive", "1")]);
        assert_eq!(remove_hop_by_hop(&mut headers), Ok(true));
        assert_eq!(headers["connection"], "keep-alive, Upgrade");
        assert_eq!(headers["upgrade"], "WebSocket");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn other_upgrades_and_impossible_names_are_refused() {
        let upgrade = remove_hop_by_hop(&mut headers(&[("connection", "upgrade"), ("upgrade", "foo/2")]));
        assert_eq!(upgrade, Err(Failure::UpgradeRefused));
        for name in ["host", "x-a, Host", ":path", "x-forwarded-proto"] {
            let named = remove_hop_by_hop(&mut headers(&[("connection", name)]));
            assert_eq!(named, Err(Failure::MalformedRequest), "{name}");
        }
    }

    #[test]
    fn a_response_loses_its_connection_headers_unless_upgraded() {
        let all = &[("connection", "close"), ("keep-alive", "9"), ("upgrade", "websocket"), ("x-a", "1")];
        let mut response = headers(all);
        remove_hop_by_hop_of_response(&mut response, false);
        assert_eq!(names(&response), ["x-a"]);
        let mut response = headers(all);
        remove_hop_by_hop_of_response(&mut response, true);
        assert_eq!(response.len(), 3);
    }
}
