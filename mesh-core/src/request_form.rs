//! The form that a request must have, and is given, before anything is decided about it: one rule for the server side,
//! for gateways and for whoever asks what they would say.
//!
//! What could be judged as one thing and served as another is refused. Under [`Profile::Safe`] that is more than Envoy
//! refuses; what is stricter is named at each check.

use std::fmt;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};
use mesh_config::api::mesh_config::{ForwardClientCertDetails, NormalizationType};

use crate::path_normalization::{normalize, normalize_fully};
use crate::request::Names;
use crate::route::internal_headers;
use crate::{Failure, Profile};

/// What a server has read of a request, as far as its form goes. It prints the names of headers alone.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// By which version of HTTP it came.
    pub version: Version,
    /// `:method`
    pub method: &'a Method,
    /// The scheme of the target, where one is written.
    pub scheme: Option<&'a str>,
    /// The authority of the target, where one is written; `:authority` on HTTP/2.
    pub authority: Option<&'a str>,
    /// The headers, `host` among them.
    pub headers: &'a HeaderMap,
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("version", &self.version)
            .field("method", self.method)
            .field("scheme", &self.scheme)
            .field("authority", &self.authority)
            .field("headers", &Names(self.headers))
            .finish()
    }
}

/// Refuses a head that a server may not take. Gives what `host` has to become for the application to be told the authority
/// that policies are asked about.
///
/// A safe mesh also refuses, on HTTP/2, a method in lower case and a `host` other than `:authority`, on HTTP/1 a user name
/// in the host, and on both a scheme other than `http` and `https`.
///
/// # Errors
/// [`Failure::MalformedRequest`]
pub fn check(head: &Head<'_>, profile: Profile) -> Result<Option<HeaderValue>, Failure> {
    let strict = profile != Profile::Istio;
    let is_http2 = head.version == Version::HTTP_2;
    // Envoy's parser of HTTP/1 takes none; on HTTP/2 it does.
    let odd_method = head.method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) && (strict || !is_http2);
    // A target that is a host alone is for CONNECT; a port is a number; on HTTP/2 the scheme is the caller's word.
    let is_no_target = head.authority.is_some() && head.scheme.is_none() && head.method != Method::CONNECT;
    let odd_scheme = strict && head.scheme.is_some_and(|scheme| !matches!(scheme, "http" | "https"));
    if odd_method || is_no_target || odd_scheme || head.authority.is_some_and(names_no_port) {
        return Err(Failure::MalformedRequest);
    }
    let host = single_host(head.headers)?;
    let names = || host.map(HeaderValue::as_bytes).into_iter().chain(head.authority.map(str::as_bytes));
    let has = |bytes: &[u8]| names().any(|name| name.iter().any(|byte| bytes.contains(byte)));
    // What no authority may have would be told to policies as something else than the application reads. A user is taken
    // by Envoy on HTTP/1, and matched with the host.
    if !names().all(|name| name.iter().all(|byte| may_stand_in_authority(*byte))) || (has(b"@") && (strict || is_http2))
    {
        return Err(Failure::MalformedRequest);
    }
    match head.authority.zip(host).filter(|(authority, host)| authority.as_bytes() != host.as_bytes()) {
        Some(_) if strict && is_http2 => Err(Failure::MalformedRequest),
        Some((authority, _)) => HeaderValue::from_str(authority).map(Some).map_err(|_| Failure::MalformedRequest),
        None => Ok(None),
    }
}

/// As Envoy's codecs have it: letters, digits, and what RFC 3986 knows in a host, a port or a user.
const fn may_stand_in_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'-'
                | b'.'
                | b':'
                | b';'
                | b'='
                | b'@'
                | b'['
                | b']'
                | b'_'
                | b'~'
        )
}

/// The one line of `host`: of two, one would be judged and perhaps the other served.
///
/// # Errors
/// [`Failure::MalformedRequest`] for more than one.
pub fn single_host(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Failure> {
    let mut lines = headers.get_all(HOST).iter();
    match (lines.next(), lines.next()) {
        (_, Some(_)) => Err(Failure::MalformedRequest),
        (host, None) => Ok(host),
    }
}

/// Whether a port is written that is none.
fn names_no_port(authority: &str) -> bool {
    // A user in front of the host has a colon of its own.
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains(']'));
    port.is_some_and(|port| !port.is_empty() && port.parse::<u16>().is_err())
}

/// What a workload tells of the connection that a request came on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'a> {
    /// Whether it is encrypted.
    pub over_tls: bool,
    /// What its caller's certificate proves, as an element of `x-forwarded-client-cert`; `None` without one.
    pub certificate: Option<&'a HeaderValue>,
    /// What becomes of what the caller says in that header.
    pub details: ForwardClientCertDetails,
}

/// Brings the headers of a request to a workload into the form in which policies see them: what concerns the connection
/// goes, the scheme is told, and of certificates nothing but what is proved.
///
/// # Errors
/// Those of [`remove_hop_by_hop`](internal_headers::remove_hop_by_hop).
pub fn prepare_headers(headers: &mut HeaderMap, told: Told<'_>) -> Result<(), Failure> {
    internal_headers::remove_hop_by_hop(headers)?;
    let scheme = HeaderValue::from_static(if told.over_tls { "https" } else { "http" });
    headers.entry(X_FORWARDED_PROTO).or_insert(scheme);
    tell_certificate(headers, told.certificate, told.details);
    Ok(())
}

/// Tells of the caller's certificate what the connection proves, unless told otherwise behind what a caller of the mesh tells
/// of its own callers. Without a certificate nobody could have sent the header honestly, so that it stays only where it always
/// is to (`ALWAYS_FORWARD_ONLY`).
pub fn tell_certificate(headers: &mut HeaderMap, proved: Option<&HeaderValue>, details: ForwardClientCertDetails) {
    use ForwardClientCertDetails as Details;
    let proved = match (details, proved) {
        (Details::AlwaysForwardOnly, _) | (Details::ForwardOnly, Some(_)) => return,
        (Details::Undefined | Details::AppendForward | Details::SanitizeSet, Some(proved)) => proved,
        (Details::Sanitize, _) | (_, None) => {
            headers.remove(X_FORWARDED_CLIENT_CERT);
            return;
        }
    };
    if details == Details::SanitizeSet {
        headers.insert(X_FORWARDED_CLIENT_CERT, proved.clone());
        return;
    }
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

/// Brings a path (without its query) into the form that rules are written for, that policies see and that is passed on;
/// `None` if it is in it. A safe mesh goes on until nothing changes, Envoy does it once.
///
/// # Errors
/// [`Failure::PathRejected`] for a path without a slash at its beginning, and those of [`normalize`] and
/// [`normalize_fully`].
pub fn normalize_for(profile: Profile, path: &str, level: NormalizationType) -> Result<Option<String>, Failure> {
    if !path.starts_with('/') {
        return Err(Failure::PathRejected);
    }
    if profile == Profile::Istio { normalize(path, level) } else { normalize_fully(path, level) }
}

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

#[cfg(test)]
mod tests {
    use super::*;

    /// `GET` with these lines of `host`, on HTTP/1 or 2.
    fn checked(
        http2: bool,
        authority: Option<&str>,
        hosts: &[&str],
        profile: Profile,
    ) -> Result<Option<String>, Failure> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        let version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        let scheme = authority.map(|_| "http");
        let head = Head { version, method: &Method::GET, scheme, authority, headers: &headers };
        check(&head, profile).map(|host| host.map(|host| host.to_str().unwrap().to_owned()))
    }

    const BAD: Result<Option<String>, Failure> = Err(Failure::MalformedRequest);

    #[test]
    fn two_hosts_are_malformed_even_if_they_are_the_same() {
        for profile in [Profile::Safe, Profile::Istio] {
            assert_eq!(checked(false, None, &["a", "b"], profile), BAD);
            assert_eq!(checked(false, None, &["a", "a"], profile), BAD);
            assert_eq!(checked(true, Some("a"), &["a", "a"], profile), BAD);
            assert_eq!(checked(false, None, &["a"], profile), Ok(None));
        }
    }

    #[test]
    fn the_host_that_is_told_is_the_authority() {
        let told = Ok(Some("a".to_owned()));
        assert_eq!(checked(false, Some("a"), &["b"], Profile::Safe), told);
        assert_eq!(checked(true, Some("a"), &["b"], Profile::Istio), told);
        assert_eq!(checked(true, Some("a"), &["b"], Profile::Safe), BAD);
        assert_eq!(checked(true, Some("a"), &["a"], Profile::Safe), Ok(None));
    }

    #[test]
    fn a_user_name_counts_as_envoy_counts_it_unless_the_mesh_is_safe() {
        assert_eq!(checked(false, None, &["x@a"], Profile::Istio), Ok(None));
        assert_eq!(checked(true, Some("x@a"), &[], Profile::Istio), BAD);
        assert_eq!(checked(false, None, &["x@a"], Profile::Safe), BAD);
    }

    #[test]
    fn ports_are_numbers_and_hosts_have_no_path() {
        for bad in ["a:x", "a:70000", "a/b", "a?b", "a#b", "a\\b"] {
            assert_eq!(checked(false, Some(bad), &[], Profile::Istio), BAD, "{bad}");
        }
        for good in ["a", "a:80", "a:", "[::1]", "[::1]:80"] {
            assert_eq!(checked(false, Some(good), &[], Profile::Safe), Ok(None), "{good}");
        }
    }

    #[test]
    fn a_host_has_no_byte_that_policies_could_read_otherwise_than_the_application() {
        for profile in [Profile::Safe, Profile::Istio] {
            for byte in (0..=u8::MAX).filter(|byte| !may_stand_in_authority(*byte)) {
                let Ok(host) = HeaderValue::from_bytes(&[b'a', byte]) else { continue };
                let headers = HeaderMap::from_iter([(HOST, host)]);
                let head = Head {
                    version: Version::HTTP_11,
                    method: &Method::GET,
                    scheme: None,
                    authority: None,
                    headers: &headers,
                };
                assert_eq!(check(&head, profile), Err(Failure::MalformedRequest), "{byte}");
            }
        }
        assert_eq!((0..=u8::MAX).filter(|byte| may_stand_in_authority(*byte)).count(), 26 * 2 + 10 + 20);
    }

    #[test]
    fn a_safe_mesh_resolves_what_decoding_brings_out() {
        let of = |profile| normalize_for(profile, "/a/%2e%2e;/b", NormalizationType::Base).unwrap();
        assert_eq!(of(Profile::Istio).as_deref(), Some("/a/..;/b"));
        assert_eq!(of(Profile::Safe).as_deref(), Some("/b"));
        assert_eq!(normalize_for(Profile::Safe, "*", NormalizationType::None), Err(Failure::PathRejected));
    }
}
