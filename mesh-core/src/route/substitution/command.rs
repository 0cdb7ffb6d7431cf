//! The substitution commands: one row for each name, and how each renders.

use std::io::Write as _;
use std::net::SocketAddr;

use http::header::HeaderMap;
use http::{HeaderName, Version};

use super::Scope;
use super::time::TimeFormat;
use crate::route::RequestHead;

/// What a command puts into a value.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Known when the configuration is compiled: `ENVIRONMENT`.
    Constant(String),
    /// A part of an address.
    Address(Endpoint, AddressPart),
    /// `DOWNSTREAM_LOCAL_URI_SAN`
    LocalPrincipal,
    /// `DOWNSTREAM_PEER_SUBJECT`
    PeerSubject,
    /// `DOWNSTREAM_PEER_URI_SAN`
    PeerPrincipal,
    /// `HOSTNAME`
    Hostname,
    /// `PROTOCOL`
    Protocol,
    /// `REQ`
    Request(Source),
    /// `REQUESTED_SERVER_NAME`
    ServerName,
    /// `RESP`
    Response(Source),
    /// `RESPONSE_CODE`
    ResponseCode,
    /// `RESPONSE_CODE_DETAILS`
    ResponseDetails,
    /// `RESPONSE_FLAGS`
    ResponseFlags,
    /// `ROUTE_NAME`
    RouteName,
    /// `START_TIME`
    StartTime(TimeFormat),
    /// `UPSTREAM_CLUSTER`
    UpstreamCluster,
    /// `UPSTREAM_REQUEST_ATTEMPT_COUNT`
    UpstreamAttempts,
}

/// Whose address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint {
    DownstreamLocal,
    DownstreamRemote,
    Upstream,
}

/// How much of an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum AddressPart {
    Whole,
    Ip,
    Port,
}

/// A header and the one that is read where it is missing. Of a repeated header the first line counts.
#[derive(Clone, Debug)]
pub(super) struct Source {
    main: Field,
    alternative: Option<Field>,
}

#[derive(Clone, Debug)]
enum Field {
    Authority,
    Method,
    Path,
    Scheme,
    Status,
    /// A pseudo header that there never is.
    Nowhere,
    Named(HeaderName),
}

impl Command {
    /// From name and argument.
    ///
    /// # Errors
    /// A name that stands for nothing, an argument that the command does not take.
    pub(super) fn lower(name: &str, argument: Option<&str>) -> Result<Self, String> {
        use AddressPart::{Ip, Port, Whole};
        use Endpoint::{DownstreamLocal, DownstreamRemote, Upstream};
        let command = match name {
            "REQ" => return Source::lower(name, argument).map(Self::Request),
            "RESP" => return Source::lower(name, argument).map(Self::Response),
            "START_TIME" => return TimeFormat::parse(argument.unwrap_or_default()).map(Self::StartTime),
            "ENVIRONMENT" => {
                let variable = argument.filter(|name| !name.is_empty() && !name.contains(['=', '\0']));
                let variable = variable.ok_or("ENVIRONMENT needs the name of a variable")?;
                return Ok(Self::Constant(std::env::var(variable).unwrap_or_default()));
            }
            "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" | "DOWNSTREAM_REMOTE_ADDRESS" => Self::Address(DownstreamRemote, Whole),
            "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" | "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => {
                Self::Address(DownstreamRemote, Ip)
            }
            "DOWNSTREAM_DIRECT_REMOTE_PORT" | "DOWNSTREAM_REMOTE_PORT" => Self::Address(DownstreamRemote, Port),
            "DOWNSTREAM_LOCAL_ADDRESS" => Self::Address(DownstreamLocal, Whole),
            "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Self::Address(DownstreamLocal, Ip),
            "DOWNSTREAM_LOCAL_PORT" => Self::Address(DownstreamLocal, Port),
            "DOWNSTREAM_LOCAL_URI_SAN" => Self::LocalPrincipal,
            "DOWNSTREAM_PEER_SUBJECT" => Self::PeerSubject,
            "DOWNSTREAM_PEER_URI_SAN" => Self::PeerPrincipal,
            "HOSTNAME" => Self::Hostname,
            "PROTOCOL" => Self::Protocol,
            "REQUESTED_SERVER_NAME" => Self::ServerName,
            "RESPONSE_CODE" => Self::ResponseCode,
            "RESPONSE_CODE_DETAILS" => Self::ResponseDetails,
            "RESPONSE_FLAGS" => Self::ResponseFlags,
            "ROUTE_NAME" => Self::RouteName,
            "UPSTREAM_CLUSTER" => Self::UpstreamCluster,
            "UPSTREAM_HOST" | "UPSTREAM_REMOTE_ADDRESS" => Self::Address(Upstream, Whole),
            "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => Self::Address(Upstream, Ip),
            "UPSTREAM_REMOTE_PORT" => Self::Address(Upstream, Port),
            "UPSTREAM_REQUEST_ATTEMPT_COUNT" => Self::UpstreamAttempts,
            _ => return Err(format!("%{name}% is not a substitution command that can be used here")),
        };
        match argument {
            None => Ok(command),
            Some(_) => Err(format!("%{name}% takes no argument")),
        }
    }

    pub(super) fn reads_request(&self) -> bool {
        matches!(self, Self::Request(_))
    }

    /// Appends the value.
    pub(super) fn render(&self, scope: &Scope<'_>, out: &mut Vec<u8>) {
        let exchange = scope.exchange;
        match self {
            Self::Constant(value) => push(out, Some(value)),
            Self::Address(endpoint, part) => push_address(out, endpoint.of(scope), *part),
            Self::LocalPrincipal => push(out, exchange.local_principal),
            Self::PeerSubject => push(out, exchange.peer_subject),
            Self::PeerPrincipal => push(out, exchange.peer_principal),
            Self::Hostname => push(out, Some(exchange.hostname)),
            Self::Protocol => push(out, Some(protocol(exchange.protocol))),
            Self::Request(source) => {
                if let Some(head) = &scope.request {
                    source.render(out, |field, out| field.push_request(head, out));
                }
            }
            Self::ServerName => push(out, exchange.server_name),
            Self::Response(source) => {
                if let Some((status, headers)) = scope.response {
                    source.render(out, |field, out| field.push_response(status, headers, out));
                }
            }
            Self::ResponseCode => push_number(out, exchange.response_code.map_or(0, |code| code.as_u16().into())),
            Self::ResponseDetails => push(out, Some(exchange.response_details)),
            Self::ResponseFlags => print(out, format_args!("{}", exchange.response_flags)),
            Self::RouteName => push(out, Some(scope.route)),
            Self::StartTime(format) => format.render(exchange.start, out),
            Self::UpstreamCluster => {
                push(out, Some(scope.cluster));
                // The end of the name that Istio gives to the cluster's statistics.
                if scope.cluster.contains('|') {
                    out.push(b';');
                }
            }
            Self::UpstreamAttempts => push_number(out, exchange.attempts),
        }
    }
}

impl Endpoint {
    fn of(self, scope: &Scope<'_>) -> Option<SocketAddr> {
        match self {
            Self::DownstreamLocal => scope.exchange.downstream_local,
            Self::DownstreamRemote => scope.exchange.downstream_remote,
            Self::Upstream => scope.exchange.upstream,
        }
    }
}

impl Source {
    /// From `name` or `name?alternative`.
    fn lower(command: &str, argument: Option<&str>) -> Result<Self, String> {
        let argument = argument.filter(|argument| !argument.is_empty());
        let argument = argument.ok_or_else(|| format!("{command} needs the name of a header"))?;
        let (main, alternative) = match argument.split_once('?') {
            Some((main, alternative)) => (main, Some(alternative)),
            None => (argument, None),
        };
        Ok(Self { main: Field::lower(main)?, alternative: alternative.map(Field::lower).transpose()? })
    }

    fn render(&self, out: &mut Vec<u8>, push: impl Fn(&Field, &mut Vec<u8>) -> bool) {
        if !push(&self.main, out)
            && let Some(alternative) = &self.alternative
        {
            push(alternative, out);
        }
    }
}

impl Field {
    fn lower(name: &str) -> Result<Self, String> {
        Ok(match name.to_ascii_lowercase().as_str() {
            ":authority" | "host" => Self::Authority,
            ":method" => Self::Method,
            ":path" => Self::Path,
            ":scheme" => Self::Scheme,
            ":status" => Self::Status,
            pseudo if pseudo.starts_with(':') => Self::Nowhere,
            other => Self::Named(other.parse().map_err(|_| format!("{name:?} is not a header name"))?),
        })
    }

    /// Appends the value; false if there is none.
    fn push_request(&self, head: &RequestHead<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Authority => push(out, Some(head.authority)),
            Self::Method => push(out, Some(head.method.as_str())),
            Self::Path => {
                push(out, Some(head.path));
                if let Some(query) = head.query {
                    out.push(b'?');
                    push(out, Some(query));
                }
            }
            Self::Scheme => push(out, Some(head.scheme)),
            Self::Status | Self::Nowhere => return false,
            Self::Named(name) => return push_header(out, head.headers, name),
        }
        true
    }

    fn push_response(&self, status: http::StatusCode, headers: &HeaderMap, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Status => push(out, Some(status.as_str())),
            Self::Named(name) => return push_header(out, headers, name),
            _ => return false,
        }
        true
    }
}

fn push(out: &mut Vec<u8>, text: Option<&str>) {
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
}

fn push_header(out: &mut Vec<u8>, headers: &HeaderMap, name: &HeaderName) -> bool {
    let value = headers.get(name);
    out.extend_from_slice(value.map_or(b"", |value| value.as_bytes()));
    value.is_some()
}

fn push_number(out: &mut Vec<u8>, number: u32) {
    print(out, format_args!("{number}"));
}

fn push_address(out: &mut Vec<u8>, address: Option<SocketAddr>, part: AddressPart) {
    if let Some(address) = address {
        match part {
            AddressPart::Whole => print(out, format_args!("{address}")),
            AddressPart::Ip => print(out, format_args!("{}", address.ip())),
            AddressPart::Port => push_number(out, address.port().into()),
        }
    }
}

pub(crate) fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

pub(crate) fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}
