//! The attributes of a request by their names, which are Envoy's.

use std::borrow::Cow;
use std::net::SocketAddr;

use http::{HeaderMap, HeaderName};

use super::Scope;
use super::time::nanos_of;
use super::value::Value;
use crate::ResponseFlags;
use crate::route::substitution::protocol;
use crate::telemetry::record::{Wanted, grpc_status_of};
use crate::telemetry::{Record, Side, UNKNOWN, Workload};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attribute {
    Simple(Simple),
    /// All headers of a kind.
    Headers(Place),
    /// One header.
    Header(Place, Box<str>),
    /// What is known of a workload.
    Workload(Whose, OfWorkload),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Request,
    Response,
    Trailer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The caller's.
    Source,
    /// That of who was called.
    Destination,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OfWorkload {
    Name,
    Namespace,
    Cluster,
    App,
    Version,
    Service,
    Revision,
    Principal,
    /// A label: of another workload those are known that metrics tell of.
    Label(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Simple {
    Path,
    UrlPath,
    Query,
    Host,
    Scheme,
    Method,
    Protocol,
    Time,
    Duration,
    RequestSize,
    RequestTotalSize,
    Code,
    CodeDetails,
    Flags,
    GrpcStatus,
    ResponseSize,
    ResponseTotalSize,
    BackendLatency,
    SourceAddress,
    SourcePort,
    DestinationAddress,
    DestinationPort,
    Mtls,
    ServerName,
    PeerUri,
    LocalUri,
    UpstreamAddress,
    UpstreamPort,
    UpstreamLocalAddress,
    UpstreamFailure,
    Attempts,
    ClusterName,
    RouteName,
    ListenerDirection,
}

/// The attributes that are one value, by variable and field.
const SIMPLE: [(&str, &str, Simple); 34] = [
    ("request", "path", Simple::Path),
    ("request", "url_path", Simple::UrlPath),
    ("request", "query", Simple::Query),
    ("request", "host", Simple::Host),
    ("request", "scheme", Simple::Scheme),
    ("request", "method", Simple::Method),
    ("request", "protocol", Simple::Protocol),
    ("request", "time", Simple::Time),
    ("request", "duration", Simple::Duration),
    ("request", "size", Simple::RequestSize),
    ("request", "total_size", Simple::RequestTotalSize),
    ("response", "code", Simple::Code),
    ("response", "code_details", Simple::CodeDetails),
    ("response", "flags", Simple::Flags),
    ("response", "grpc_status", Simple::GrpcStatus),
    ("response", "size", Simple::ResponseSize),
    ("response", "total_size", Simple::ResponseTotalSize),
    ("response", "backend_latency", Simple::BackendLatency),
    ("source", "address", Simple::SourceAddress),
    ("source", "port", Simple::SourcePort),
    ("destination", "address", Simple::DestinationAddress),
    ("destination", "port", Simple::DestinationPort),
    ("connection", "mtls", Simple::Mtls),
    ("connection", "requested_server_name", Simple::ServerName),
    ("connection", "uri_san_peer_certificate", Simple::PeerUri),
    ("connection", "uri_san_local_certificate", Simple::LocalUri),
    ("upstream", "address", Simple::UpstreamAddress),
    ("upstream", "port", Simple::UpstreamPort),
    ("upstream", "local_address", Simple::UpstreamLocalAddress),
    ("upstream", "transport_failure_reason", Simple::UpstreamFailure),
    ("upstream", "request_attempt_count", Simple::Attempts),
    ("xds", "cluster_name", Simple::ClusterName),
    ("xds", "route_name", Simple::RouteName),
    ("xds", "listener_direction", Simple::ListenerDirection),
];

/// Attributes that are headers of the request by other names.
const HEADERS: [(&str, &str); 3] = [("referer", "referer"), ("useragent", "user-agent"), ("id", "x-request-id")];

/// Variables of Envoy's of which some or all attributes are never there: what filters and the listener would have noted.
const VARIABLES: [&str; 13] = [
    "request",
    "response",
    "connection",
    "source",
    "destination",
    "upstream",
    "xds",
    "metadata",
    "filter_state",
    "upstream_filter_state",
    "upstream_peer",
    "downstream_peer",
    "node",
];

/// Fields that Envoy has and nobody here can fill.
const NEVER: [&str; 28] = [
    "id",
    "tls_version",
    "termination_details",
    "transport_failure_reason",
    "subject_local_certificate",
    "subject_peer_certificate",
    "dns_san_local_certificate",
    "dns_san_peer_certificate",
    "sha256_peer_certificate_digest",
    "uri_san_local_certificate",
    "uri_san_peer_certificate",
    "cx_pool_ready_duration",
    "num_endpoints",
    "node",
    "cluster_metadata",
    "listener_metadata",
    "route_metadata",
    "virtual_host_name",
    "virtual_host_metadata",
    "upstream_host_metadata",
    "upstream_host_locality_metadata",
    "filter_chain_name",
    "filter_metadata",
    "typed_filter_metadata",
    "type",
    "workload_type",
    "instance",
    "attributes",
];

/// What a path of names comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// An attribute, and how many of the names it took.
    Attribute(Attribute, usize),
    /// One of Envoy's that is never there.
    Never,
    /// None of Envoy's.
    Unknown,
    /// The variable is none.
    NoVariable,
}

/// The attribute that the names lead to.
pub(super) fn find(path: &[&str]) -> Found {
    let Some((variable, rest)) = path.split_first() else { return Found::NoVariable };
    if !VARIABLES.contains(variable) {
        return Found::NoVariable;
    }
    let of_workload = |whose, rest: &[&str], before: usize| match rest {
        ["labels", key, "value", ..] => Found::Attribute(label(whose, key), before + 3),
        ["labels", key, ..] => Found::Attribute(label(whose, key), before + 2),
        [field, ..] => match of_workload(field) {
            Some(what) => Found::Attribute(Attribute::Workload(whose, what), before + 1),
            None => missing(field),
        },
        [] => Found::Unknown,
    };
    match (*variable, rest) {
        ("downstream_peer", rest) => of_workload(Whose::Source, rest, 1),
        ("upstream_peer", rest) => of_workload(Whose::Destination, rest, 1),
        ("filter_state", ["downstream_peer" | "wasm.downstream_peer", rest @ ..]) => {
            of_workload(Whose::Source, rest, 2)
        }
        ("filter_state", ["upstream_peer" | "wasm.upstream_peer", rest @ ..]) => {
            of_workload(Whose::Destination, rest, 2)
        }
        ("metadata" | "filter_state" | "upstream_filter_state" | "node", _) => Found::Never,
        ("source", ["labels", ..]) => of_workload(Whose::Source, rest, 1),
        ("destination", ["labels", ..]) => of_workload(Whose::Destination, rest, 1),
        ("request", ["headers", rest @ ..]) => headers(Place::Request, rest),
        ("response", ["headers", rest @ ..]) => headers(Place::Response, rest),
        ("response", ["trailers", rest @ ..]) => headers(Place::Trailer, rest),
        (_, [field, ..]) => {
            let simple = SIMPLE.iter().find(|(of, name, _)| of == variable && name == field);
            let header = HEADERS.iter().find(|(name, _)| *variable == "request" && name == field);
            match (simple, header) {
                (Some((.., simple)), _) => Found::Attribute(Attribute::Simple(*simple), 2),
                (None, Some((_, name))) => Found::Attribute(Attribute::Header(Place::Request, (*name).into()), 2),
                (None, None) => missing(field),
            }
        }
        (_, []) => Found::Unknown,
    }
}

fn missing(field: &str) -> Found {
    if NEVER.contains(&field) { Found::Never } else { Found::Unknown }
}

fn headers(place: Place, rest: &[&str]) -> Found {
    match rest {
        [name, ..] => Found::Attribute(Attribute::Header(place, name.to_ascii_lowercase().into()), 3),
        [] => Found::Attribute(Attribute::Headers(place), 2),
    }
}

fn label(whose: Whose, key: &str) -> Attribute {
    Attribute::Workload(whose, OfWorkload::Label(key.into()))
}

fn of_workload(field: &str) -> Option<OfWorkload> {
    Some(match field {
        "name" | "workload" => OfWorkload::Name,
        "namespace" => OfWorkload::Namespace,
        "cluster" => OfWorkload::Cluster,
        "app" => OfWorkload::App,
        "version" => OfWorkload::Version,
        "service" => OfWorkload::Service,
        "revision" => OfWorkload::Revision,
        "principal" | "identity" => OfWorkload::Principal,
        _ => return None,
    })
}

impl Attribute {
    /// Notes the headers that it reads.
    pub(super) fn want(&self, wanted: &mut Wanted) {
        let (place, name) = match self {
            Self::Headers(place) => (place, None),
            Self::Header(place, name) if !name.starts_with(':') => (place, Some(name)),
            _ => return,
        };
        let names = match place {
            Place::Request => &mut wanted.request,
            Place::Response => &mut wanted.response,
            Place::Trailer => &mut wanted.trailers,
        };
        match name {
            None => names.extend(&crate::telemetry::record::Names::All),
            // What is no name of a header is never there.
            Some(name) => HeaderName::try_from(&**name).iter().for_each(|name| names.add(name)),
        }
    }

    /// The value; nothing where it is not there.
    pub(super) fn read<'r>(&'r self, scope: Scope<'r>) -> Option<Value<'r>> {
        match self {
            Self::Simple(simple) => simple.read(scope.record),
            Self::Headers(place) => Some(Value::Headers(HeaderMapOf { place: *place, record: scope.record })),
            Self::Header(place, name) => HeaderMapOf { place: *place, record: scope.record }.get(name).map(Value::Text),
            Self::Workload(whose, what) => {
                let is_peer = (*whose == Whose::Source) == (scope.record.side == Side::Server);
                let workload = if is_peer { scope.peer } else { scope.own };
                what.of(workload?).filter(|known| *known != UNKNOWN).map(Value::text)
            }
        }
    }
}

impl OfWorkload {
    fn of<'w>(&self, workload: &'w Workload) -> Option<&'w str> {
        Some(match self {
            Self::Name => &workload.name,
            Self::Namespace => &workload.namespace,
            Self::Cluster => &workload.cluster,
            Self::App => &workload.app,
            Self::Version => &workload.version,
            Self::Service => &workload.canonical_service,
            Self::Revision => &workload.canonical_revision,
            Self::Principal => &workload.principal,
            Self::Label(key) => match &**key {
                "app" => &workload.app,
                "version" => &workload.version,
                "service.istio.io/canonical-name" => &workload.canonical_service,
                "service.istio.io/canonical-revision" => &workload.canonical_revision,
                _ => return None,
            },
        })
    }
}

impl Simple {
    fn read(self, record: &Record) -> Option<Value<'_>> {
        let number = |number: u64| i64::try_from(number).ok().map(Value::Int);
        let duration = |time: std::time::Duration| i64::try_from(time.as_nanos()).ok().map(Value::Duration);
        let address = |socket: Option<SocketAddr>| Some(Value::Text(Cow::Owned(socket?.to_string())));
        let port = |socket: Option<SocketAddr>| Some(Value::Int(socket?.port().into()));
        match self {
            Self::Path => Some(Value::text(record.path.as_ref()?.as_str())),
            Self::UrlPath => Some(Value::text(record.url_path())),
            Self::Query => Some(Value::text(record.query().unwrap_or_default())),
            Self::Host => Some(Value::text(&record.authority)),
            Self::Scheme => Some(Value::text(record.scheme)),
            Self::Method => Some(Value::text(record.method.as_str())),
            Self::Protocol => Some(Value::text(protocol(record.protocol))),
            Self::Time => nanos_of(record.started).map(Value::Timestamp),
            Self::Duration => duration(record.duration),
            Self::RequestSize => number(record.request_bytes),
            Self::RequestTotalSize => number(record.request_bytes + record.request_head_bytes),
            Self::Code => (record.status > 0).then_some(Value::Int(record.status.into())),
            Self::CodeDetails => (!record.details.is_empty()).then(|| Value::text(&record.details)),
            Self::Flags => Some(Value::Int(record.flags.envoy_bits().into())),
            Self::GrpcStatus => {
                let status = record.grpc_status.or_else(|| grpc_status_of(record.status))?;
                Some(Value::Int(status.into()))
            }
            Self::ResponseSize => number(record.response_bytes),
            Self::ResponseTotalSize => number(record.response_bytes + record.response_head_bytes),
            Self::BackendLatency => duration(record.service_time()?),
            Self::SourceAddress => address(record.downstream_remote),
            Self::SourcePort => port(record.downstream_remote),
            Self::DestinationAddress => address(record.downstream_local),
            Self::DestinationPort => port(record.downstream_local),
            Self::Mtls => Some(Value::Bool(record.tls.peer_uri.is_some())),
            Self::ServerName => Some(Value::text(record.tls.server_name.as_deref().unwrap_or_default())),
            Self::PeerUri => record.tls.peer_uri.as_deref().map(Value::text),
            Self::LocalUri => record.tls.local_uri.as_deref().map(Value::text),
            Self::UpstreamAddress => record.upstream.as_deref().map(Value::text),
            Self::UpstreamPort => port(record.upstream.as_deref()?.parse().ok()),
            Self::UpstreamLocalAddress => address(record.upstream_local),
            Self::UpstreamFailure => {
                record.upstream.as_ref().map(|_| Value::text(record.upstream_failure.as_deref().unwrap_or_default()))
            }
            Self::Attempts => Some(Value::Uint(record.attempts.into())),
            Self::ClusterName => record.cluster.as_deref().map(Value::text),
            Self::RouteName => (!record.flags.contains(ResponseFlags::NR)).then(|| Value::text(&record.route)),
            Self::ListenerDirection => Some(Value::Int(if record.side == Side::Server { 1 } else { 2 })),
        }
    }
}

/// Headers as a map from their names, in whatever case, to their values; lines of one name are joined.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeaderMapOf<'r> {
    place: Place,
    record: &'r Record,
}

impl<'r> HeaderMapOf<'r> {
    const fn headers(self) -> &'r HeaderMap {
        match self.place {
            Place::Request => &self.record.request_headers,
            Place::Response => &self.record.response_headers,
            Place::Trailer => &self.record.response_trailers,
        }
    }

    pub(super) fn is(self, other: Self) -> bool {
        self.place == other.place
    }

    /// How many there are, those that HTTP/2 writes with a colon included.
    pub(super) fn len(self) -> usize {
        let before = match self.place {
            Place::Request => 4,
            Place::Response => 1,
            Place::Trailer => 0,
        };
        // The host is one of the four.
        before + self.headers().iter().filter(|(name, _)| *name != http::header::HOST).count()
    }

    pub(super) fn get(self, name: &str) -> Option<Cow<'r, str>> {
        let record = self.record;
        let lower = name.to_ascii_lowercase();
        match (self.place, lower.as_str()) {
            (Place::Request, ":path") => return record.path.as_ref().map(|path| Cow::Borrowed(path.as_str())),
            (Place::Request, ":method") => return Some(Cow::Borrowed(record.method.as_str())),
            (Place::Request, ":scheme") => return Some(Cow::Borrowed(record.scheme)),
            (Place::Request, ":authority" | "host") => return Some(Cow::Borrowed(&record.authority)),
            (Place::Response, ":status") if record.status > 0 => return Some(Cow::Owned(record.status.to_string())),
            _ => {}
        }
        let mut lines =
            self.headers().get_all(lower.as_str()).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
        let first = lines.next()?;
        Some(lines.fold(first, |all, line| Cow::Owned(format!("{all},{line}"))))
    }
}
