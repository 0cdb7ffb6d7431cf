//! Ports and the protocols on them.

use std::fmt;
use std::str::FromStr;

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Nothing is said: found out by looking at the first bytes.
    #[default]
    Unspecified,
    /// Bytes.
    Tcp,
    /// Datagrams.
    Udp,
    /// gRPC.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// HTTP/1.1.
    Http,
    /// HTTP to a proxy.
    HttpProxy,
    /// HTTP/2 without TLS.
    Http2,
    /// HTTP over TLS.
    Https,
    /// TLS.
    Tls,
    /// `MongoDB`.
    Mongo,
    /// Redis.
    Redis,
    /// `MySQL`.
    MySql,
    /// HBONE within HBONE.
    DoubleHbone,
}

impl Protocol {
    /// The name as Istio prints it; empty where nothing is said.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Grpc => "GRPC",
            Self::GrpcWeb => "GRPC-Web",
            Self::Http => "HTTP",
            Self::HttpProxy => "HTTP_PROXY",
            Self::Http2 => "HTTP2",
            Self::Https => "HTTPS",
            Self::Tls => "TLS",
            Self::Mongo => "Mongo",
            Self::Redis => "Redis",
            Self::MySql => "MySQL",
            Self::DoubleHbone => "DoubleHBONE",
        }
    }

    /// Whether requests can be seen: routes and HTTP policies apply.
    #[must_use]
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc | Self::GrpcWeb | Self::HttpProxy)
    }

    /// Whether the requests are HTTP/2.
    #[must_use]
    pub const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc | Self::GrpcWeb)
    }

    /// Whether the bytes are TLS of the application's own.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    /// Whether connections are all that can be seen.
    #[must_use]
    pub const fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::Https | Self::Tls | Self::Mongo | Self::Redis | Self::MySql)
    }

    /// The protocol of a port of a Kubernetes service: UDP by its transport, else by `appProtocol`, else by how its name
    /// begins (`http-web`), else unspecified.
    #[must_use]
    pub fn of_service_port(transport: &str, app_protocol: &str, name: &str) -> Self {
        if transport.eq_ignore_ascii_case("UDP") {
            return Self::Udp;
        }
        let name = if app_protocol.is_empty() {
            name
        } else {
            match app_protocol {
                "kubernetes.io/h2c" => return Self::Http2,
                "kubernetes.io/ws" => return Self::Http,
                "kubernetes.io/wss" => return Self::Https,
                other => other,
            }
        };
        if starts_with_ignoring_case(name, "grpc-web") {
            return Self::GrpcWeb;
        }
        let prefix = name.split('-').next().unwrap_or(name);
        prefix.parse().unwrap_or_default()
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// In any case; empty is unspecified.
impl FromStr for Protocol {
    type Err = UnsupportedProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ALL.into_iter()
            .find(|protocol| protocol.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnsupportedProtocol(text.to_owned()))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A protocol that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedProtocol(String);

impl fmt::Display for UnsupportedProtocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unsupported protocol: {}", self.0)
    }
}

impl std::error::Error for UnsupportedProtocol {}

/// Checks that a number is a port.
///
/// # Errors
/// Istio's text.
pub fn check_port(number: u32) -> Result<u16, String> {
    u16::try_from(number)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| format!("port number {number} must be in the range 1..65535"))
}

/// Checks the name of a port, a DNS label.
///
/// # Errors
/// Istio's text.
pub fn check_port_name(name: &str) -> Result<(), String> {
    if super::host::is_dns_label(name) {
        return Ok(());
    }
    Err(format!("invalid port name: {name}"))
}

const ALL: [Protocol; 14] = [
    Protocol::Unspecified,
    Protocol::Tcp,
    Protocol::Udp,
    Protocol::Grpc,
    Protocol::GrpcWeb,
    Protocol::Http,
    Protocol::HttpProxy,
    Protocol::Http2,
    Protocol::Https,
    Protocol::Tls,
    Protocol::Mongo,
    Protocol::Redis,
    Protocol::MySql,
    Protocol::DoubleHbone,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_read_in_any_case() {
        for (text, protocol) in [
            ("", Protocol::Unspecified),
            ("tcp", Protocol::Tcp),
            ("Http_Proxy", Protocol::HttpProxy),
            ("gRPC-Web", Protocol::GrpcWeb),
            ("MYSQL", Protocol::MySql),
            ("doublehbone", Protocol::DoubleHbone),
        ] {
            assert_eq!(text.parse(), Ok(protocol), "{text}");
        }
        let error = "smtp".parse::<Protocol>().unwrap_err();
        assert_eq!(error.to_string(), "unsupported protocol: smtp");
    }

    #[test]
    fn every_protocol_is_read_from_its_own_name() {
        for protocol in ALL {
            assert_eq!(protocol.as_str().parse(), Ok(protocol));
        }
    }

    #[test]
    fn tls_is_tcp_and_never_http() {
        for protocol in ALL {
            assert!(!protocol.is_tls() || protocol.is_tcp(), "{protocol}");
            assert!(!protocol.is_http() || !protocol.is_tcp(), "{protocol}");
            assert!(!protocol.is_http2() || protocol.is_http(), "{protocol}");
        }
    }

    #[test]
    fn a_service_port_tells_its_protocol() {
        for (transport, app_protocol, name, protocol) in [
            ("TCP", "", "http-web", Protocol::Http),
            ("TCP", "", "http", Protocol::Http),
            ("", "", "grpc-web-x", Protocol::GrpcWeb),
            ("", "", "GRPC-x", Protocol::Grpc),
            ("", "", "web", Protocol::Unspecified),
            ("", "", "", Protocol::Unspecified),
            ("UDP", "http", "http", Protocol::Udp),
            ("TCP", "kubernetes.io/h2c", "http", Protocol::Http2),
            ("TCP", "kubernetes.io/ws", "", Protocol::Http),
            ("TCP", "https", "http-web", Protocol::Https),
        ] {
            assert_eq!(
                Protocol::of_service_port(transport, app_protocol, name),
                protocol,
                "{transport} {app_protocol} {name}"
            );
        }
    }

    #[test]
    fn a_port_is_between_1_and_65535() {
        assert_eq!(check_port(1), Ok(1));
        assert_eq!(check_port(65535), Ok(65535));
        assert_eq!(check_port(0).unwrap_err(), "port number 0 must be in the range 1..65535");
        assert!(check_port(65536).is_err());
    }

    #[test]
    fn a_port_name_is_a_dns_label() {
        assert_eq!(check_port_name("http-web"), Ok(()));
        assert_eq!(check_port_name("").unwrap_err(), "invalid port name: ");
        assert!(check_port_name("http_web").is_err());
    }
}
