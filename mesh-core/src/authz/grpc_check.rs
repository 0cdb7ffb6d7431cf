//! `envoyExtAuthzGrpc`: what is told in a `CheckRequest` of `envoy.service.auth.v3`, and what a `CheckResponse` means.
//!
//! Measured on Envoy 1.40. All headers are told, the pseudo-headers of HTTP/2 among them, the lines of one name joined. Of an
//! answer the status counts alone: with 0 the request goes on. Headers are set, or appended where `append` is true; those
//! of the connection, `host` and the pseudo-headers are not touched, unlike in Envoy, where a service can move a request
//! elsewhere after it was let in. Query parameters and dynamic metadata are passed over.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

use super::BodyInCheck;
use super::http_provider::ProviderAnswer;
use crate::protobuf::{Fields, Malformed, Value, Writer};

/// The method that is called.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Tells whether the body that is told is a part of one.
pub const PARTIAL_BODY: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");

/// What a service is told.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it holds what is in headers and bodies")]
pub struct GrpcQuestion<'a> {
    /// The method.
    pub method: &'a Method,
    /// `http` or `https`, by the connection.
    pub scheme: &'a str,
    /// The host.
    pub authority: &'a str,
    /// The path with the query.
    pub target: &'a str,
    /// The version of HTTP.
    pub version: Version,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The caller's address.
    pub source: Option<SocketAddr>,
    /// Our own.
    pub destination: Option<SocketAddr>,
    /// The caller's identity, `spiffe://...`.
    pub principal: Option<&'a str>,
    /// The body, whether it is a part of one, and how it is told.
    pub body: Option<(&'a [u8], bool, BodyInCheck)>,
    /// The time of day since 1970.
    pub time: Duration,
}

impl GrpcQuestion<'_> {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut request = Writer::default();
        request.message(1, |attributes| {
            attributes.message(1, |source| {
                address(source, self.source);
                source.bytes(4, self.principal.unwrap_or_default().as_bytes());
            });
            attributes.message(2, |destination| address(destination, self.destination));
            attributes.message(4, |request| {
                request.message(1, |time| {
                    time.number(1, self.time.as_secs());
                    time.number(2, u64::from(self.time.subsec_nanos()));
                });
                request.message(2, |http| self.http(http));
            });
        });
        request.finish()
    }

    fn http(&self, http: &mut Writer) {
        http.bytes(2, self.method.as_str().as_bytes());
        for (name, value) in [
            (":method", self.method.as_str()),
            (":authority", self.authority),
            (":path", self.target),
            (":scheme", self.scheme),
        ] {
            http.entry(3, name.as_bytes(), value.as_bytes());
        }
        for name in self.headers.keys().filter(|name| **name != HOST && **name != PARTIAL_BODY) {
            let lines: Vec<_> = self.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            http.entry(3, name.as_str().as_bytes(), text(&lines.join(&b',')).as_bytes());
        }
        if let Some((_, is_partial, _)) = self.body {
            let told: &[u8] = if is_partial { b"true" } else { b"false" };
            http.entry(3, PARTIAL_BODY.as_str().as_bytes(), told);
        }
        http.bytes(4, self.target.as_bytes());
        http.bytes(5, self.authority.as_bytes());
        http.bytes(6, self.scheme.as_bytes());
        let length =
            self.headers.get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        http.number(9, length.unwrap_or(0));
        http.bytes(10, protocol(self.version).as_bytes());
        match self.body {
            Some((body, _, BodyInCheck { as_bytes: true, .. })) => http.bytes(12, body),
            Some((body, ..)) => http.bytes(11, text(body).as_bytes()),
            None => {}
        }
    }
}

fn address(peer: &mut Writer, address: Option<SocketAddr>) {
    let Some(at) = address else { return };
    peer.message(1, |address| {
        address.message(1, |socket| {
            socket.bytes(2, at.ip().to_string().as_bytes());
            socket.number(3, u64::from(at.port()));
        });
    });
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// Text, with `!` for each byte that is none.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|_| text.push('!'));
    }
    text
}

/// What the message in an answer means.
///
/// # Errors
/// If it is no `CheckResponse`.
pub fn judge(answer: &[u8]) -> Result<GrpcAnswer, Malformed> {
    let (mut code, mut denied, mut allowed) = (0, None, None);
    for field in Fields::of(answer) {
        match field? {
            (1, status) => code = number_in(status.bytes()?, 1)?,
            (2, response) => denied = Some(response.bytes()?),
            (3, response) => allowed = Some(response.bytes()?),
            _ => {}
        }
    }
    if code == 0 { allow(allowed.unwrap_or_default()) } else { deny(denied.unwrap_or_default()) }
}

/// What a service has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcAnswer {
    /// As the services that are asked over HTTP say it; and these headers are taken out of the request.
    Allow(ProviderAnswer, Vec<HeaderName>),
    /// The caller gets this.
    Deny(StatusCode, HeaderMap, Vec<u8>),
    /// A header that is to be set cannot have that value.
    BadValue(HeaderName),
}

fn allow(response: &[u8]) -> Result<GrpcAnswer, Malformed> {
    let (mut set, mut added, mut to_caller) = (HeaderMap::new(), HeaderMap::new(), HeaderMap::new());
    let mut removed = Vec::new();
    for field in Fields::of(response) {
        match field? {
            (2, option) => {
                let Some((name, value, appends)) = header(option.bytes()?)? else { continue };
                let Some(value) = value else { return Ok(GrpcAnswer::BadValue(name)) };
                if name == HOST {
                    continue;
                }
                if appends {
                    added.append(name, value);
                } else {
                    set.insert(name, value);
                }
            }
            (5, name) => removed.extend(name.text()?.parse::<HeaderName>().ok().filter(|name| *name != HOST)),
            (6, option) => {
                if let Some((name, Some(value), _)) = header(option.bytes()?)? {
                    to_caller.append(name, value);
                }
            }
            _ => {}
        }
    }
    Ok(GrpcAnswer::Allow(ProviderAnswer::Allow { to_application: set, added, to_caller }, removed))
}

fn deny(response: &[u8]) -> Result<GrpcAnswer, Malformed> {
    let (mut status, mut headers, mut body) = (None, HeaderMap::new(), Vec::new());
    for field in Fields::of(response) {
        match field? {
            (1, code) => status = Some(number_in(code.bytes()?, 1)?),
            (2, option) => {
                let Some((name, Some(value), appends)) = header(option.bytes()?)? else { continue };
                // Appended only to what is there.
                if !appends || headers.contains_key(&name) {
                    headers.append(name, value);
                }
            }
            (3, text) => body = text.bytes()?.to_vec(),
            _ => {}
        }
    }
    let status = status.and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok());
    Ok(GrpcAnswer::Deny(status.filter(|code| code.as_u16() >= 200).unwrap_or(StatusCode::FORBIDDEN), headers, body))
}

/// A `HeaderValueOption`: the name, the value if it is one, and whether it is appended. `None` where the name is none that
/// may be set.
fn header(option: &[u8]) -> Result<Option<(HeaderName, Option<HeaderValue>, bool)>, Malformed> {
    let (mut name, mut value, mut appends) = ("", &[][..], false);
    for field in Fields::of(option) {
        match field? {
            (1, header) => {
                for field in Fields::of(header.bytes()?) {
                    match field? {
                        (1, key) => name = key.text()?,
                        (2 | 3, Value::Bytes(bytes)) if !bytes.is_empty() => value = bytes,
                        _ => {}
                    }
                }
            }
            (2, flag) => appends = number_in(flag.bytes()?, 1)? != 0,
            _ => {}
        }
    }
    let name = name.parse::<HeaderName>().ok();
    Ok(name.map(|name| (name, HeaderValue::from_bytes(value).ok(), appends)))
}

/// A number within a message; 0 where it is not there.
fn number_in(message: &[u8], wanted: u32) -> Result<u64, Malformed> {
    let mut found = 0;
    for field in Fields::of(message) {
        let (number, value) = field?;
        if number == wanted {
            found = value.number()?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn option(name: &str, value: &str, appends: Option<bool>) -> impl Fn(&mut Writer) {
        move |option| {
            option.message(1, |header| header.entry_of(name, value));
            if let Some(appends) = appends {
                option.message(2, |flag| flag.number(1, u64::from(appends)));
            }
        }
    }

    impl Writer {
        fn entry_of(&mut self, name: &str, value: &str) {
            self.bytes(1, name.as_bytes());
            self.bytes(2, value.as_bytes());
        }
    }

    fn answer(code: u64, kind: u32, write: impl FnOnce(&mut Writer)) -> Result<GrpcAnswer, Malformed> {
        let mut answer = Writer::default();
        answer.message(1, |status| status.number(1, code));
        answer.message(kind, write);
        judge(&answer.finish())
    }

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn with_status_0_a_request_goes_on_with_what_is_set() {
        let nothing = ProviderAnswer::Allow {
            to_application: HeaderMap::new(),
            added: HeaderMap::new(),
            to_caller: HeaderMap::new(),
        };
        assert_eq!(judge(&[]), Ok(GrpcAnswer::Allow(nothing.clone(), vec![])));
        // What belongs to the other answer does not count.
        assert_eq!(answer(0, 2, |denied| denied.bytes(3, b"no")), Ok(GrpcAnswer::Allow(nothing, vec![])));
        let allowed = answer(0, 3, |allowed| {
            allowed.message(2, option("x-user", "ann", None));
            allowed.message(2, option("x-user", "eve", Some(false)));
            allowed.message(2, option("x-more", "1", Some(true)));
            allowed.message(2, option("host", "elsewhere", None));
            allowed.message(2, option(":path", "/elsewhere", None));
            allowed.bytes(5, b"x-gone");
            allowed.bytes(5, b"host");
            allowed.bytes(5, b":path");
            allowed.message(6, option("x-down", "d", None));
        });
        let expected = ProviderAnswer::Allow {
            to_application: map(&[("x-user", "eve")]),
            added: map(&[("x-more", "1")]),
            to_caller: map(&[("x-down", "d")]),
        };
        assert_eq!(allowed, Ok(GrpcAnswer::Allow(expected, vec!["x-gone".parse().unwrap()])));
        let bad = answer(0, 3, |allowed| allowed.message(2, option("x-user", "a\nb", None)));
        assert_eq!(bad, Ok(GrpcAnswer::BadValue("x-user".parse().unwrap())));
    }

    #[test]
    fn with_any_other_status_the_caller_gets_what_is_said_or_403() {
        let plain = Ok(GrpcAnswer::Deny(StatusCode::FORBIDDEN, HeaderMap::new(), Vec::new()));
        assert_eq!(answer(7, 3, |_| ()), plain);
        let denied = answer(16, 2, |denied| {
            denied.message(1, |status| status.number(1, 401));
            denied.message(2, option("x-d", "1", None));
            denied.message(2, option("x-d", "2", Some(true)));
            denied.message(2, option("x-e", "1", Some(true)));
            denied.bytes(3, b"nope");
        });
        let headers = map(&[("x-d", "1"), ("x-d", "2")]);
        assert_eq!(denied, Ok(GrpcAnswer::Deny(StatusCode::UNAUTHORIZED, headers, b"nope".to_vec())));
        for code in [0, 1, 100, 1000, u64::MAX] {
            assert_eq!(answer(7, 2, |denied| denied.message(1, |status| status.number(1, code))), plain, "{code}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_told_as_marks() {
        assert_eq!(text(b"\xffab\xc3"), "!ab!");
        assert_eq!(text("ü".as_bytes()), "ü");
    }

    proptest! {
        #[test]
        fn judging_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = judge(&bytes);
        }
    }
}
