//! The commands of access logs: one row for each name, and how each is written.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Scope, Written};
use crate::route::substitution::address::{AddressPart, Whose, address};
use crate::route::substitution::source::{Field, Source, push_header};
use crate::route::substitution::time::TimeFormat;
use crate::route::substitution::{print, protocol};
use crate::telemetry::Record;
use crate::telemetry::record::Wanted;

/// What a command puts into a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Known when the configuration is compiled: `ENVIRONMENT`.
    Constant(Box<str>),
    /// What there is nothing of here.
    Nothing,
    Header(Place, Source, Option<usize>),
    StartTime(TimeFormat),
    Number(Number),
    Text(Text),
    Address(Whose, AddressPart),
    /// `GRPC_STATUS`, by its name; in capitals with `SNAKE_STRING`.
    GrpcStatus {
        capitals: bool,
    },
    /// `UNIQUE_ID`.
    UniqueId,
    QueryParam(Box<str>, Option<usize>),
}

/// Where headers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Request,
    Response,
    Trailer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Attempts,
    BytesReceived,
    BytesSent,
    Duration,
    GrpcStatus,
    RequestDuration,
    RequestHeadBytes,
    ResponseDuration,
    ResponseHeadBytes,
    ResponseTxDuration,
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Cluster,
    ClusterRaw,
    Details,
    Flags,
    FlagsLong,
    Hostname,
    LocalUri,
    PeerUri,
    Protocol,
    Route,
    ServerName,
    TraceId,
    UpstreamFailure,
}

impl Command {
    /// From name, argument and limit.
    ///
    /// # Errors
    /// A name that stands for nothing, an argument that the command does not take.
    pub(super) fn lower(name: &str, argument: Option<&str>, limit: Option<usize>) -> Result<Self, String> {
        if let Some(place) = Place::of(name) {
            return Source::lower(name, argument).map(|source| Self::Header(place, source, limit));
        }
        match (name, argument) {
            ("START_TIME", _) => return TimeFormat::parse(argument.unwrap_or_default()).map(Self::StartTime),
            ("ENVIRONMENT", Some(variable)) if !variable.is_empty() && !variable.contains(['=', '\0']) => {
                let value = std::env::var(variable).unwrap_or_default();
                return Ok(if value.is_empty() { Self::Nothing } else { Self::Constant(value.into()) });
            }
            ("GRPC_STATUS", form) => return grpc_status(form.unwrap_or_default()),
            // Envoy's id of a stream is that of the request.
            ("STREAM_ID", None) => {
                return Source::lower(name, Some("x-request-id")).map(|id| Self::Header(Place::Request, id, limit));
            }
            ("QUERY_PARAM", Some(name)) if !name.is_empty() => return Ok(Self::QueryParam(name.into(), limit)),
            ("ENVIRONMENT" | "QUERY_PARAM", _) => return Err(format!("%{name}% needs a name in parentheses")),
            // What filters, the listener and extensions of Envoy would have noted.
            (
                "METADATA"
                | "DYNAMIC_METADATA"
                | "CLUSTER_METADATA"
                | "UPSTREAM_METADATA"
                | "FILTER_STATE"
                | "UPSTREAM_FILTER_STATE"
                | "FILTER_CHAIN_NAME"
                | "CONNECTION_ID"
                | "VIRTUAL_CLUSTER_NAME"
                | "CONNECTION_TERMINATION_DETAILS"
                | "DOWNSTREAM_TRANSPORT_FAILURE_REASON"
                | "DOWNSTREAM_PEER_SUBJECT"
                | "DOWNSTREAM_PEER_ISSUER"
                | "DOWNSTREAM_PEER_SERIAL"
                | "DOWNSTREAM_PEER_FINGERPRINT_256"
                | "DOWNSTREAM_PEER_FINGERPRINT_1"
                | "DOWNSTREAM_PEER_CERT"
                | "DOWNSTREAM_PEER_CERT_V_START"
                | "DOWNSTREAM_PEER_CERT_V_END"
                | "DOWNSTREAM_LOCAL_SUBJECT"
                | "DOWNSTREAM_TLS_VERSION"
                | "DOWNSTREAM_TLS_CIPHER"
                | "DOWNSTREAM_TLS_SESSION_ID"
                | "UPSTREAM_CONNECTION_ID"
                | "UPSTREAM_TLS_VERSION"
                | "UPSTREAM_TLS_CIPHER",
                _,
            ) => return Ok(Self::Nothing),
            _ => {}
        }
        let command =
            Self::without_argument(name).ok_or_else(|| format!("%{name}% is not a command of access logs"))?;
        match argument {
            Some(_) => Err(format!("%{name}% takes no argument")),
            None => Ok(command),
        }
    }

    fn without_argument(name: &str) -> Option<Self> {
        Some(match name {
            "BYTES_RECEIVED" => Self::Number(Number::BytesReceived),
            "BYTES_SENT" => Self::Number(Number::BytesSent),
            "DURATION" => Self::Number(Number::Duration),
            "GRPC_STATUS_NUMBER" => Self::Number(Number::GrpcStatus),
            "REQUEST_DURATION" => Self::Number(Number::RequestDuration),
            "REQUEST_HEADERS_BYTES" => Self::Number(Number::RequestHeadBytes),
            "RESPONSE_CODE" => Self::Number(Number::Status),
            "RESPONSE_DURATION" => Self::Number(Number::ResponseDuration),
            "RESPONSE_HEADERS_BYTES" => Self::Number(Number::ResponseHeadBytes),
            "RESPONSE_TX_DURATION" => Self::Number(Number::ResponseTxDuration),
            "UPSTREAM_REQUEST_ATTEMPT_COUNT" => Self::Number(Number::Attempts),
            "DOWNSTREAM_LOCAL_URI_SAN" => Self::Text(Text::LocalUri),
            "DOWNSTREAM_PEER_URI_SAN" => Self::Text(Text::PeerUri),
            "HOSTNAME" => Self::Text(Text::Hostname),
            "PROTOCOL" => Self::Text(Text::Protocol),
            "REQUESTED_SERVER_NAME" => Self::Text(Text::ServerName),
            "RESPONSE_CODE_DETAILS" => Self::Text(Text::Details),
            "RESPONSE_FLAGS" => Self::Text(Text::Flags),
            "RESPONSE_FLAGS_LONG" => Self::Text(Text::FlagsLong),
            "ROUTE_NAME" => Self::Text(Text::Route),
            "TRACE_ID" => Self::Text(Text::TraceId),
            "UNIQUE_ID" => Self::UniqueId,
            "UPSTREAM_CLUSTER" => Self::Text(Text::Cluster),
            "UPSTREAM_CLUSTER_RAW" => Self::Text(Text::ClusterRaw),
            "UPSTREAM_TRANSPORT_FAILURE_REASON" => Self::Text(Text::UpstreamFailure),
            name => {
                let (whose, part) = address(name)?;
                Self::Address(whose, part)
            }
        })
    }

    /// Whether it tells of what is not known before there is an answer.
    pub(super) const fn reads_answer(&self) -> bool {
        match self {
            Self::Header(place, ..) => !matches!(place, Place::Request),
            Self::Number(number) => !matches!(number, Number::RequestHeadBytes),
            Self::Text(text) => {
                !matches!(text, Text::Hostname | Text::LocalUri | Text::PeerUri | Text::Protocol | Text::ServerName)
            }
            Self::Address(whose, _) => matches!(whose, Whose::Upstream | Whose::UpstreamHost | Whose::UpstreamLocal),
            Self::GrpcStatus { .. } => true,
            Self::Constant(_) | Self::Nothing | Self::StartTime(_) | Self::UniqueId | Self::QueryParam(..) => false,
        }
    }

    /// Notes the headers that it reads.
    pub(super) fn want(&self, wanted: &mut Wanted) {
        let Self::Header(place, source, _) = self else { return };
        let names = match place {
            Place::Request => &mut wanted.request,
            Place::Response => &mut wanted.response,
            Place::Trailer => &mut wanted.trailers,
        };
        for field in source.fields() {
            if let Field::Named(name) = field {
                names.add(name);
            }
        }
    }

    /// Appends the value.
    pub(super) fn write(&self, scope: Scope<'_>, out: &mut Vec<u8>) -> Written {
        let (record, start) = (scope.record, out.len());
        let cut = |out: &mut Vec<u8>, limit: &Option<usize>| {
            if let Some(limit) = limit {
                out.truncate(start.saturating_add(*limit));
            }
        };
        match self {
            Self::Nothing => return Written::Nothing,
            Self::Constant(text) => out.extend_from_slice(text.as_bytes()),
            Self::Header(place, source, limit) => {
                let is_there = source.render(out, |field, out| field.write(*place, record, out));
                cut(out, limit);
                // A header may be there and say nothing.
                return if is_there { Written::Text } else { Written::Nothing };
            }
            Self::UniqueId => unique_id(record.unique_id, out),
            Self::StartTime(format) => format.render(record.started, out),
            Self::Number(number) => return number.write(record, out),
            Self::Text(text) => text.write(scope, out),
            Self::Address(whose, part) => return whose.write(*part, record, out),
            Self::GrpcStatus { capitals } => {
                let name = record.status_of_call().map(|status| grpc_status_name(status, *capitals));
                out.extend_from_slice(name.unwrap_or_default().as_bytes());
            }
            Self::QueryParam(name, limit) => {
                let pairs = record.query().into_iter().flat_map(|query| query.split('&'));
                let found = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == &**name);
                out.extend_from_slice(found.map_or("", |(_, value)| value).as_bytes());
                cut(out, limit);
            }
        }
        if out.len() == start { Written::Nothing } else { Written::Text }
    }
}

impl Place {
    fn of(command: &str) -> Option<Self> {
        Some(match command {
            "REQ" => Self::Request,
            "RESP" => Self::Response,
            "TRAILER" => Self::Trailer,
            _ => return None,
        })
    }
}

impl Field {
    /// Appends the value; false if there is none.
    fn write(&self, place: Place, record: &Record, out: &mut Vec<u8>) -> bool {
        match (self, place) {
            (Self::Named(name), Place::Request) => return push_header(out, &record.request_headers, name),
            (Self::Named(name), Place::Response) => {
                if push_header(out, &record.response_headers, name) {
                    return true;
                }
                let Some(time) = record.service_time().filter(|_| name.as_str() == SERVICE_TIME) else { return false };
                print(out, format_args!("{}", time.as_millis()));
            }
            (Self::Named(name), Place::Trailer) => return push_header(out, &record.response_trailers, name),
            (Self::Authority, Place::Request) => out.extend_from_slice(record.authority.as_bytes()),
            (Self::Method, Place::Request) => out.extend_from_slice(record.method.as_str().as_bytes()),
            (Self::Path, Place::Request) => {
                let path = record.path.as_ref().map_or("", |path| path.as_str());
                out.extend_from_slice(path.as_bytes());
            }
            (Self::Scheme, Place::Request) => out.extend_from_slice(record.scheme.as_bytes()),
            (Self::Status, Place::Response) if record.status > 0 => print(out, format_args!("{}", record.status)),
            _ => return false,
        }
        true
    }
}

impl Number {
    fn write(self, record: &Record, out: &mut Vec<u8>) -> Written {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let number = match self {
            Self::Attempts => Some(record.attempts.into()),
            Self::BytesReceived => Some(record.request_bytes),
            Self::BytesSent => Some(record.response_bytes),
            Self::Duration => Some(milliseconds(record.duration)),
            Self::GrpcStatus => record.status_of_call().map(u64::from),
            Self::RequestDuration => record.request_duration.map(milliseconds),
            Self::RequestHeadBytes => Some(record.request_head_bytes),
            Self::ResponseDuration => record.response_duration.map(milliseconds),
            Self::ResponseHeadBytes => Some(record.response_head_bytes),
            Self::ResponseTxDuration => {
                record.response_duration.map(|head| milliseconds(record.duration.saturating_sub(head)))
            }
            Self::Status => Some(record.status.into()),
        };
        number.map_or(Written::Nothing, |number| {
            print(out, format_args!("{number}"));
            Written::Number
        })
    }
}

impl Text {
    fn write(self, scope: Scope<'_>, out: &mut Vec<u8>) {
        let record = scope.record;
        let text = match self {
            Self::Cluster => {
                let cluster = record.cluster.as_deref().unwrap_or_default();
                out.extend_from_slice(cluster.as_bytes());
                // The end of the name that Istio gives to the cluster's statistics.
                if cluster.contains('|') { ";" } else { "" }
            }
            Self::ClusterRaw => record.cluster.as_deref().unwrap_or_default(),
            Self::Details => &record.details,
            Self::Flags | Self::FlagsLong => {
                record.flags.write(self == Self::FlagsLong, out);
                // Also in JSON, where all else that is missing is `null`.
                if record.flags.is_empty() { "-" } else { "" }
            }
            Self::Hostname => scope.hostname,
            Self::LocalUri => record.tls.local_uri.as_deref().unwrap_or_default(),
            Self::PeerUri => record.tls.peer_uri.as_deref().unwrap_or_default(),
            Self::Protocol => protocol(record.protocol),
            Self::Route => &record.route,
            Self::ServerName => record.tls.server_name.as_deref().unwrap_or_default(),
            Self::TraceId => record.trace_id.as_deref().unwrap_or_default(),
            Self::UpstreamFailure => {
                let words = record.upstream_failure.as_deref().unwrap_or_default().split(' ');
                words.enumerate().for_each(|(place, word)| {
                    print(out, format_args!("{}{word}", if place > 0 { "_" } else { "" }));
                });
                ""
            }
        };
        out.extend_from_slice(text.as_bytes());
    }
}

impl Whose {
    fn write(self, part: AddressPart, record: &Record, out: &mut Vec<u8>) -> Written {
        let socket = match self {
            Self::DownstreamLocal => record.downstream_local,
            Self::DownstreamRemote => record.downstream_remote,
            Self::UpstreamLocal => record.upstream_local,
            Self::Upstream if !record.was_connected() => return Written::Nothing,
            Self::Upstream | Self::UpstreamHost => {
                let Some(text) = &record.upstream else { return Written::Nothing };
                match (text.parse::<SocketAddr>(), part) {
                    (Ok(socket), _) => Some(socket),
                    // A name or a path.
                    (Err(_), AddressPart::Port) => return Written::Nothing,
                    (Err(_), _) => {
                        out.extend_from_slice(text.as_bytes());
                        return Written::Text;
                    }
                }
            }
        };
        let Some(socket) = socket else { return Written::Nothing };
        part.push(socket, out);
        if part == AddressPart::Port { Written::Number } else { Written::Text }
    }
}

/// The header by which Envoy tells how long an endpoint took. The mesh sets it on no answer, its logs know it all the same.
const SERVICE_TIME: &str = "x-envoy-upstream-service-time";

/// A random number as a UUID of version 4.
fn unique_id(random: u128, out: &mut Vec<u8>) {
    let id = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let part = |shift: u32, digits: u32| (id >> shift) & ((1_u128 << (4 * digits)) - 1);
    let parts = (part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12));
    print(out, format_args!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", parts.0, parts.1, parts.2, parts.3, parts.4));
}

/// `GRPC_STATUS` by its argument.
fn grpc_status(form: &str) -> Result<Command, String> {
    match form {
        "" | "CAMEL_STRING" => Ok(Command::GrpcStatus { capitals: false }),
        "SNAKE_STRING" => Ok(Command::GrpcStatus { capitals: true }),
        "NUMBER" => Ok(Command::Number(Number::GrpcStatus)),
        other => Err(format!("%GRPC_STATUS% is CAMEL_STRING, SNAKE_STRING or NUMBER, not {other:?}")),
    }
}

/// The name of a gRPC status as Envoy writes it.
fn grpc_status_name(status: u8, capitals: bool) -> &'static str {
    const NAMES: [(&str, &str); 17] = [
        ("OK", "OK"),
        ("Canceled", "CANCELLED"),
        ("Unknown", "UNKNOWN"),
        ("InvalidArgument", "INVALID_ARGUMENT"),
        ("DeadlineExceeded", "DEADLINE_EXCEEDED"),
        ("NotFound", "NOT_FOUND"),
        ("AlreadyExists", "ALREADY_EXISTS"),
        ("PermissionDenied", "PERMISSION_DENIED"),
        ("ResourceExhausted", "RESOURCE_EXHAUSTED"),
        ("FailedPrecondition", "FAILED_PRECONDITION"),
        ("Aborted", "ABORTED"),
        ("OutOfRange", "OUT_OF_RANGE"),
        ("Unimplemented", "UNIMPLEMENTED"),
        ("Internal", "INTERNAL"),
        ("Unavailable", "UNAVAILABLE"),
        ("DataLoss", "DATA_LOSS"),
        ("Unauthenticated", "UNAUTHENTICATED"),
    ];
    let (name, in_capitals) = NAMES.get(usize::from(status)).copied().unwrap_or(("Unknown", "UNKNOWN"));
    if capitals { in_capitals } else { name }
}
