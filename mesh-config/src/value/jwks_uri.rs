//! Where keys for tokens are fetched.

use std::fmt;
use std::str::FromStr;

/// The place that a `jwksUri` names.
///
/// ```
/// use mesh_config::value::JwksUri;
///
/// let uri: JwksUri = "https://keys.example/set".parse()?;
/// assert_eq!((uri.host.as_str(), uri.port, uri.tls), ("keys.example", 443, true));
/// # Ok::<(), mesh_config::value::ParseJwksUriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksUri {
    /// Host, without brackets.
    pub host: String,
    /// Port; 80 for http and 443 for https unless it is given. Istio does not look at its range here.
    pub port: u64,
    /// Whether the scheme is https.
    pub tls: bool,
}

impl FromStr for JwksUri {
    type Err = ParseJwksUriError;

    fn from_str(uri: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = split_scheme(uri);
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            scheme => return Err(ParseJwksUriError(format!("URI scheme {scheme:?} is not supported"))),
        };
        let rest = rest.strip_prefix("//").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = split_port(host);
        let invalid = || ParseJwksUriError(format!("parse {uri:?}: invalid port {:?} after host", format!(":{port}")));
        let port = match port {
            "" if tls => 443,
            "" => 80,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| invalid())?,
            _ => return Err(invalid()),
        };
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

/// The scheme, as far as the text begins with one, and what follows its colon.
fn split_scheme(uri: &str) -> (&str, &str) {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    uri.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).unwrap_or(("", uri))
}

/// The host without brackets, and the port as it stands there.
fn split_port(host: &str) -> (&str, &str) {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, after)) => (address, after.strip_prefix(':').unwrap_or(after)),
        None => host.split_once(':').unwrap_or((host, "")),
    }
}

/// Why a text names no place for keys. The message is Istio's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseJwksUriError(String);

impl fmt::Display for ParseJwksUriError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ParseJwksUriError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_host_and_a_port() {
        for (uri, host, port, tls) in [
            ("https://a.example/x", "a.example", 443, true),
            ("http://a:8080", "a", 8080, false),
            ("HTTP://a?x#y", "a", 80, false),
            ("https://[::1]:8443/", "::1", 8443, true),
            ("https://u@a.example:1/", "a.example", 1, true),
            ("https://a:", "a", 443, true),
        ] {
            assert_eq!(uri.parse(), Ok(JwksUri { host: host.to_owned(), port, tls }), "{uri}");
        }
    }

    #[test]
    fn other_schemes_and_ports_that_are_no_numbers_are_refused() {
        for (uri, problem) in [
            ("file:///x", "URI scheme \"file\" is not supported"),
            ("a.example", "URI scheme \"\" is not supported"),
            ("a.example:80/x", "URI scheme \"a.example\" is not supported"),
            ("", "URI scheme \"\" is not supported"),
            ("https://a:foo", "parse \"https://a:foo\": invalid port \":foo\" after host"),
        ] {
            assert_eq!(uri.parse::<JwksUri>().unwrap_err().to_string(), problem);
        }
    }
}
