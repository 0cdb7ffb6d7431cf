//! The substitution commands: one row for each name, and how each renders.

use std::io::Write as _;
use std::net::SocketAddr;

use http::Version;
use http::header::HeaderMap;

use super::Scope;
use super::address::{AddressPart, Whose, address};
use super::source::{Field, Source, push_header};
use super::time::TimeFormat;
use crate::route::RequestHead;

/// What a command puts into a value.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Known when the configuration is compiled: `ENVIRONMENT`.
    Constant(String),
    /// A part of an address.
    Address(Whose, AddressPart),
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

impl Command {
    /// From name and argument.
    ///
    /// # Errors
    /// A name that stands for nothing, an argument that the command does not take.
    pub(super) fn lower(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let command = match name {
            "REQ" => return Source::lower(name, argument).map(Self::Request),
            "RESP" => return Source::lower(name, argument).map(Self::Response),
            "START_TIME" => return TimeFormat::parse(argument.unwrap_or_default()).map(Self::StartTime),
            "ENVIRONMENT" => {
                let variable = argument.filter(|name| !name.is_empty() && !name.contains(['=', '\0']));
                let variable = variable.ok_or("ENVIRONMENT needs the name of a variable")?;
                return Ok(Self::Constant(std::env::var(variable).unwrap_or_default()));
            }
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
            "UPSTREAM_REQUEST_ATTEMPT_COUNT" => Self::UpstreamAttempts,
            _ => {
                let unknown = || format!("%{name}% is not a substitution command that can be used here");
                // Headers are made before there is a connection.
                let known = address(name).filter(|(whose, _)| *whose != Whose::UpstreamLocal);
                known.map(|(whose, part)| Self::Address(whose, part)).ok_or_else(unknown)?
            }
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
            Self::Address(whose, part) => {
                if let Some(address) = whose.of(scope) {
                    part.push(address, out);
                }
            }
            Self::LocalPrincipal => push(out, exchange.local_principal),
            Self::PeerSubject => push(out, exchange.peer_subject),
            Self::PeerPrincipal => push(out, exchange.peer_principal),
            Self::Hostname => push(out, Some(exchange.hostname)),
            Self::Protocol => push(out, Some(protocol(exchange.protocol))),
            Self::Request(source) => {
                if let Some(head) = &scope.request {
                    let _is_there = source.render(out, |field, out| field.push_request(head, out));
                }
            }
            Self::ServerName => push(out, exchange.server_name),
            Self::Response(source) => {
                if let Some((status, headers)) = scope.response {
                    let _is_there = source.render(out, |field, out| field.push_response(status, headers, out));
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

impl Whose {
    fn of(self, scope: &Scope<'_>) -> Option<SocketAddr> {
        match self {
            Self::DownstreamLocal => scope.exchange.downstream_local,
            Self::DownstreamRemote => scope.exchange.downstream_remote,
            Self::Upstream | Self::UpstreamHost => scope.exchange.upstream,
            Self::UpstreamLocal => None,
        }
    }
}

impl Field {
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

fn push_number(out: &mut Vec<u8>, number: u32) {
    print(out, format_args!("{number}"));
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
