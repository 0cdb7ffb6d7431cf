//! `VirtualService`: which requests go where.

use std::collections::BTreeMap;

use serde::de::{Deserializer, Error as _};

use crate::api::port::PortSelector;
use crate::value::proto::{is_unset, message, null_is_empty, or_default, proto_enum};
use crate::value::{Bytes, Duration, Labels, Percent, StringMatch};

message! {
    /// Routing rules for one or more hosts.
    pub struct VirtualService {
        /// Hosts that the rules are for: short names, full names, wildcards, IP addresses. Empty: this is a delegate, which
        /// acts only through the rules that name it.
        pub hosts: Vec<String>,
        /// Gateways that the rules apply at; `mesh` stands for all workloads. Empty: `mesh` alone.
        pub gateways: Vec<String>,
        /// Rules for HTTP, the first that matches wins.
        pub http: Vec<HttpRoute>,
        /// Rules for TLS that is passed through, by server name.
        pub tls: Vec<TlsRoute>,
        /// Rules for plain TCP.
        pub tcp: Vec<TcpRoute>,
        /// Namespaces that may use the rules: names, `.` for the own one, `*` for all. Empty: the mesh's default.
        #[serde(alias = "export_to")]
        pub export_to: Vec<String>,
    }
}

message! {
    /// One HTTP rule: conditions and what to do.
    pub struct HttpRoute {
        /// Name of the rule, for logs and findings.
        pub name: String,
        /// Conditions, of which one has to hold as a whole. Empty: every request.
        #[serde(rename = "match")]
        pub matches: Vec<HttpMatchRequest>,
        /// Destinations, chosen by weight.
        pub route: Vec<HttpRouteDestination>,
        /// Answers with a redirect, instead of a route.
        pub redirect: Option<HttpRedirect>,
        /// Answers with a fixed response, instead of a route.
        #[serde(alias = "direct_response")]
        pub direct_response: Option<HttpDirectResponse>,
        /// Takes the further rules from another `VirtualService`.
        pub delegate: Option<Delegate>,
        /// Changes path and authority before the request is forwarded.
        pub rewrite: Option<HttpRewrite>,
        /// Limit for the whole exchange, retries included. Unset: none.
        pub timeout: Option<Duration>,
        /// How often and when to try again. Unset: the mesh's default policy.
        pub retries: Option<HttpRetry>,
        /// Delays and failures on purpose.
        pub fault: Option<HttpFaultInjection>,
        /// Sends a copy of each request to one more destination.
        pub mirror: Option<Destination>,
        /// Sends copies to several destinations, each with its own share. Not together with `mirror`.
        pub mirrors: Vec<HttpMirrorPolicy>,
        /// Deprecated form of [`HttpRoute::mirror_percentage`], whole percents.
        #[serde(alias = "mirror_percent")]
        pub mirror_percent: Option<u32>,
        /// Share of the requests that `mirror` gets. Unset: all.
        #[serde(alias = "mirror_percentage")]
        pub mirror_percentage: Option<Percent>,
        /// Cross-origin rules.
        #[serde(alias = "cors_policy")]
        pub cors_policy: Option<CorsPolicy>,
        /// Headers to change on the way there and back.
        pub headers: Option<Headers>,
    }
}

/// Conditions on an HTTP request, all of which have to hold.
///
/// A null in the list of conditions is one without conditions, as in Istio.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct HttpMatchRequest {
    /// Name, appended to that of the rule.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub name: String,
    /// The path, without query.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub uri: Option<StringMatch>,
    /// `http` or `https`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub scheme: Option<StringMatch>,
    /// The method, upper case.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub method: Option<StringMatch>,
    /// The authority as sent, port included.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub authority: Option<StringMatch>,
    /// Headers that have to be there, by lower-case name.
    #[serde(deserialize_with = "header_matches", skip_serializing_if = "is_unset")]
    pub headers: BTreeMap<String, StringMatch>,
    /// Port the request came in on. 0: any.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub port: u32,
    /// Labels of the calling workload (of the gateway, at a gateway).
    #[serde(alias = "source_labels", deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub source_labels: Labels,
    /// Gateways the condition is for; replaces those of the `VirtualService`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub gateways: Vec<String>,
    /// Query parameters that have to be there; the first value of each counts, undecoded.
    #[serde(alias = "query_params", deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub query_params: BTreeMap<String, StringMatch>,
    /// Compares exact and prefix of `uri` without regard to case.
    #[serde(alias = "ignore_uri_case", deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub ignore_uri_case: bool,
    /// Headers that must not be so, by lower-case name.
    #[serde(alias = "without_headers", deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub without_headers: BTreeMap<String, StringMatch>,
    /// Namespace of the calling workload. Empty: any.
    #[serde(alias = "source_namespace", deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub source_namespace: String,
    /// Prefix of the route's own statistics. Empty: none.
    #[serde(alias = "stat_prefix", deserialize_with = "or_default", skip_serializing_if = "is_unset")]
    pub stat_prefix: String,
}

null_is_empty!(HttpMatchRequest);

/// Unlike the other maps of conditions, `headers` does not take null for a condition.
fn header_matches<'de, D>(deserializer: D) -> Result<BTreeMap<String, StringMatch>, D::Error>
where
    D: Deserializer<'de>,
{
    let matches: BTreeMap<String, Option<StringMatch>> = or_default(deserializer)?;
    matches
        .into_iter()
        .map(|(name, condition)| match condition {
            Some(condition) => Ok((name, condition)),
            None => Err(D::Error::custom(format!("header match {name} cannot be null"))),
        })
        .collect()
}

message! {
    /// A destination with its share of an HTTP rule's requests.
    pub struct HttpRouteDestination {
        /// Where the requests go. Required.
        pub destination: Option<Destination>,
        /// Share among the destinations of the rule; a single destination gets everything whatever its weight.
        pub weight: i32,
        /// Headers to change for this destination only.
        pub headers: Option<Headers>,
    }
}

message! {
    /// A destination with its share of a TLS or TCP rule's connections.
    pub struct RouteDestination {
        /// Where the connections go. Required.
        pub destination: Option<Destination>,
        /// Share among the destinations of the rule.
        pub weight: i32,
    }
}

message! {
    /// A service, or a subset of one.
    pub struct Destination {
        /// Host of the service; a short name is completed with the namespace of the rule. Required.
        pub host: String,
        /// Subset of a `DestinationRule` for the host. Empty: the whole service.
        pub subset: String,
        /// Port of the service. Unset: the one the request came in on; at a gateway the only port there is.
        pub port: Option<PortSelector>,
    }
}

message! {
    /// Names the `VirtualService` that holds the further rules. It has to be one without hosts.
    pub struct Delegate {
        /// Name of that object.
        pub name: String,
        /// Its namespace. Empty: that of the delegating object.
        pub namespace: String,
    }
}

message! {
    /// A redirect.
    pub struct HttpRedirect {
        /// New path; replaces the whole path.
        pub uri: String,
        /// New authority. Empty: that of the request.
        pub authority: String,
        /// New port.
        pub port: Option<u32>,
        /// How the port is found, instead of `port`.
        #[serde(alias = "derive_port")]
        pub derive_port: Option<RedirectPortSelection>,
        /// New scheme, `http` or `https`. Empty: that of the request.
        pub scheme: String,
        /// Status: 301, 302, 303, 307 or 308. 0: 301.
        #[serde(alias = "redirect_code")]
        pub redirect_code: u32,
        /// Replaces the prefix that matched and keeps the rest, instead of `uri`.
        #[serde(alias = "prefix_rewrite")]
        pub prefix_rewrite: String,
    }
}

proto_enum! {
    /// Where the port of a redirect comes from.
    pub enum RedirectPortSelection {
        /// 80 for http, 443 for https.
        #[default]
        FromProtocolDefault = 0 => "FROM_PROTOCOL_DEFAULT",
        /// The port the request came in on.
        FromRequestPort = 1 => "FROM_REQUEST_PORT",
    }
}

message! {
    /// A fixed response.
    pub struct HttpDirectResponse {
        /// Status, 200 to 599. Required.
        pub status: u32,
        /// Body, less than 1 MiB. Unset: none.
        pub body: Option<HttpBody>,
    }
}

message! {
    /// The body of a fixed response: one of the two.
    pub struct HttpBody {
        /// As text.
        pub string: Option<String>,
        /// As bytes, base64 in YAML.
        pub bytes: Option<Bytes>,
    }
}

message! {
    /// Changes a request before it is forwarded.
    pub struct HttpRewrite {
        /// Replaces the path, or the prefix of it that matched.
        pub uri: String,
        /// Replaces the authority.
        pub authority: String,
        /// Replaces what a regex matches in the path, instead of `uri`.
        #[serde(alias = "uri_regex_rewrite")]
        pub uri_regex_rewrite: Option<RegexRewrite>,
    }
}

message! {
    /// Search and replace in the path. Both fields are required.
    pub struct RegexRewrite {
        /// Regex in RE2 syntax; every place it matches is replaced.
        #[serde(rename = "match")]
        pub pattern: String,
        /// The replacement, with `\1` to `\9` for groups and `\0` for the whole match.
        pub rewrite: String,
    }
}

message! {
    /// When to try a request again.
    pub struct HttpRetry {
        /// How often to try again. 0: never.
        pub attempts: i32,
        /// Limit for each try. Unset: only that of the route.
        #[serde(alias = "per_try_timeout")]
        pub per_try_timeout: Option<Duration>,
        /// Conditions and status codes, separated by commas; see [`crate::value::RetryOn`]. Empty: the built-in list.
        #[serde(alias = "retry_on")]
        pub retry_on: String,
        /// Lets a retry go to other localities. Default: false.
        #[serde(alias = "retry_remote_localities")]
        pub retry_remote_localities: Option<bool>,
        /// Avoids hosts that were tried before. Default: true, but false for a single destination with a consistent hash.
        #[serde(alias = "retry_ignore_previous_hosts")]
        pub retry_ignore_previous_hosts: Option<bool>,
        /// Base of the pause between tries; the longest pause is ten times this. Default: 25 ms.
        pub backoff: Option<Duration>,
    }
}

message! {
    /// Delays and failures on purpose, drawn independently.
    pub struct HttpFaultInjection {
        /// Delays requests before they are forwarded.
        pub delay: Option<FaultDelay>,
        /// Answers requests without forwarding them.
        pub abort: Option<FaultAbort>,
    }
}

message! {
    /// A delay for some of the requests.
    pub struct FaultDelay {
        /// How long.
        #[serde(alias = "fixed_delay")]
        pub fixed_delay: Option<Duration>,
        /// Without effect in Istio.
        #[serde(alias = "exponential_delay")]
        pub exponential_delay: Option<Duration>,
        /// Share of the requests. Unset: none.
        pub percentage: Option<Percent>,
        /// Deprecated form of `percentage`, whole percents.
        pub percent: i32,
    }
}

message! {
    /// An error for some of the requests: one of the first three.
    pub struct FaultAbort {
        /// HTTP status, 200 to 599.
        #[serde(alias = "http_status")]
        pub http_status: Option<i32>,
        /// gRPC status by its name, `UNAVAILABLE`.
        #[serde(alias = "grpc_status")]
        pub grpc_status: Option<String>,
        /// Without effect in Istio.
        #[serde(alias = "http2_error")]
        pub http2_error: Option<String>,
        /// Share of the requests. Unset: none.
        pub percentage: Option<Percent>,
    }
}

message! {
    /// One of several mirrors.
    pub struct HttpMirrorPolicy {
        /// Where the copies go. Required.
        pub destination: Option<Destination>,
        /// Share of the requests. Unset: all.
        pub percentage: Option<Percent>,
    }
}

message! {
    /// Which other origins may call.
    pub struct CorsPolicy {
        /// Deprecated form of `allow_origins`: exact values, `*` for any.
        #[serde(alias = "allow_origin")]
        pub allow_origin: Vec<String>,
        /// Origins that may call.
        #[serde(alias = "allow_origins")]
        pub allow_origins: Vec<StringMatch>,
        /// Value of `access-control-allow-methods`.
        #[serde(alias = "allow_methods")]
        pub allow_methods: Vec<String>,
        /// Value of `access-control-allow-headers`.
        #[serde(alias = "allow_headers")]
        pub allow_headers: Vec<String>,
        /// Value of `access-control-expose-headers`.
        #[serde(alias = "expose_headers")]
        pub expose_headers: Vec<String>,
        /// How long a preflight holds, in whole seconds.
        #[serde(alias = "max_age")]
        pub max_age: Option<Duration>,
        /// Whether credentials may be sent.
        #[serde(alias = "allow_credentials")]
        pub allow_credentials: Option<bool>,
        /// What becomes of a preflight from an origin that may not call.
        #[serde(alias = "unmatched_preflights")]
        pub unmatched_preflights: UnmatchedPreflights,
    }
}

proto_enum! {
    /// What becomes of a preflight from an origin that may not call.
    pub enum UnmatchedPreflights {
        /// As `FORWARD`.
        #[default]
        Unspecified = 0 => "UNSPECIFIED",
        /// It is forwarded like any request.
        Forward = 1 => "FORWARD",
        /// It is answered with 200 and without an allowed origin.
        Ignore = 2 => "IGNORE",
    }
}

message! {
    /// Header changes in both directions.
    pub struct Headers {
        /// Before a request is forwarded.
        pub request: Option<HeaderOperations>,
        /// Before a response is returned.
        pub response: Option<HeaderOperations>,
    }
}

message! {
    /// Header changes: removals first, then `set`, then `add`.
    pub struct HeaderOperations {
        /// Replaces all values of a header.
        pub set: BTreeMap<String, String>,
        /// Adds one more value to a header.
        pub add: BTreeMap<String, String>,
        /// Removes a header.
        pub remove: Vec<String>,
    }
}

message! {
    /// One rule for TLS that is passed through.
    pub struct TlsRoute {
        /// Conditions, of which one has to hold as a whole. Required.
        #[serde(rename = "match")]
        pub matches: Vec<TlsMatchAttributes>,
        /// Destinations, chosen by weight. Required.
        pub route: Vec<RouteDestination>,
    }
}

message! {
    /// Conditions on a TLS connection, all of which have to hold.
    pub struct TlsMatchAttributes {
        /// Server names, exact or with a wildcard in front. Required.
        #[serde(alias = "sni_hosts")]
        pub sni_hosts: Vec<String>,
        /// Addresses or CIDR blocks that the connection was made to. Empty: any.
        #[serde(alias = "destination_subnets")]
        pub destination_subnets: Vec<String>,
        /// Port the connection came in on. 0: any.
        pub port: u32,
        /// Labels of the calling workload.
        #[serde(alias = "source_labels")]
        pub source_labels: Labels,
        /// Gateways the condition is for; replaces those of the `VirtualService`.
        pub gateways: Vec<String>,
        /// Namespace of the calling workload. Empty: any.
        #[serde(alias = "source_namespace")]
        pub source_namespace: String,
    }
}

message! {
    /// One rule for plain TCP.
    pub struct TcpRoute {
        /// Conditions, of which one has to hold as a whole. Empty: every connection.
        #[serde(rename = "match")]
        pub matches: Vec<L4MatchAttributes>,
        /// Destinations, chosen by weight. Required.
        pub route: Vec<RouteDestination>,
    }
}

message! {
    /// Conditions on a TCP connection, all of which have to hold.
    pub struct L4MatchAttributes {
        /// Addresses or CIDR blocks that the connection was made to. Empty: any.
        #[serde(alias = "destination_subnets")]
        pub destination_subnets: Vec<String>,
        /// Port the connection came in on. 0: any.
        pub port: u32,
        /// Without effect in Istio.
        #[serde(alias = "source_subnet")]
        pub source_subnet: String,
        /// Labels of the calling workload.
        #[serde(alias = "source_labels")]
        pub source_labels: Labels,
        /// Gateways the condition is for; replaces those of the `VirtualService`.
        pub gateways: Vec<String>,
        /// Namespace of the calling workload. Empty: any.
        #[serde(alias = "source_namespace")]
        pub source_namespace: String,
    }
}
