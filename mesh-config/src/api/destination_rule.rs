//! `DestinationRule`: how a client talks to a service once routing has chosen it.

use std::collections::BTreeMap;

use crate::api::port::PortSelector;
use crate::api::selector::WorkloadSelector;
use crate::api::tls::ClientTlsSettings;
use crate::value::proto::{message, proto_enum};
use crate::value::{Duration, Labels};

message! {
    /// Policies of a host and the subsets of its endpoints.
    pub struct DestinationRule {
        /// Host that the rule is for; a short name is completed with the namespace of the rule, wildcards are allowed.
        /// Required.
        pub host: String,
        /// Policy for all traffic to the host.
        #[serde(alias = "traffic_policy")]
        pub traffic_policy: Option<TrafficPolicy>,
        /// Named parts of the endpoints, which routes may go to.
        pub subsets: Vec<Subset>,
        /// Namespaces whose clients follow the rule: names, `.` for the own one, `*` for all. Empty: the mesh's default.
        #[serde(alias = "export_to")]
        pub export_to: Vec<String>,
        /// Clients that follow the rule, in its own namespace. Unset: all.
        #[serde(alias = "workload_selector")]
        pub workload_selector: Option<WorkloadSelector>,
    }
}

message! {
    /// The endpoints of a host that have certain labels.
    pub struct Subset {
        /// Name, as routes call it. Required, unique in the rule.
        pub name: String,
        /// Labels that an endpoint has to have. Empty: every endpoint.
        pub labels: Labels,
        /// Policy for the subset; its blocks replace those of the rule as wholes.
        #[serde(alias = "traffic_policy")]
        pub traffic_policy: Option<TrafficPolicy>,
    }
}

message! {
    /// Everything about how a client talks to a host.
    pub struct TrafficPolicy {
        /// How an endpoint is chosen.
        #[serde(alias = "load_balancer")]
        pub load_balancer: Option<LoadBalancerSettings>,
        /// Limits for connections and requests.
        #[serde(alias = "connection_pool")]
        pub connection_pool: Option<ConnectionPoolSettings>,
        /// When an endpoint is taken out for a while.
        #[serde(alias = "outlier_detection")]
        pub outlier_detection: Option<OutlierDetection>,
        /// TLS towards the host. Unset: automatic mutual TLS.
        pub tls: Option<ClientTlsSettings>,
        /// Policies for single ports; one replaces this policy for its port, what it leaves out included.
        #[serde(alias = "port_level_settings")]
        pub port_level_settings: Vec<PortTrafficPolicy>,
        /// Sends TCP and TLS connections through an HTTP proxy.
        pub tunnel: Option<TunnelSettings>,
        /// Announces the caller's address in front of the connection. Not together with `tunnel`.
        #[serde(alias = "proxy_protocol")]
        pub proxy_protocol: Option<ProxyProtocol>,
        /// Limits concurrent retries by the number of active requests, instead of `maxRetries`.
        #[serde(alias = "retry_budget")]
        pub retry_budget: Option<RetryBudget>,
    }
}

message! {
    /// The policy for one port of a host.
    pub struct PortTrafficPolicy {
        /// The port. Required.
        pub port: Option<PortSelector>,
        /// How an endpoint is chosen.
        #[serde(alias = "load_balancer")]
        pub load_balancer: Option<LoadBalancerSettings>,
        /// Limits for connections and requests.
        #[serde(alias = "connection_pool")]
        pub connection_pool: Option<ConnectionPoolSettings>,
        /// When an endpoint is taken out for a while.
        #[serde(alias = "outlier_detection")]
        pub outlier_detection: Option<OutlierDetection>,
        /// TLS towards the host.
        pub tls: Option<ClientTlsSettings>,
    }
}

message! {
    /// How an endpoint is chosen: `simple` or `consistent_hash`.
    pub struct LoadBalancerSettings {
        /// A way of choosing without affinity. Unset: least request.
        pub simple: Option<SimpleLb>,
        /// Sends what is alike to the same endpoint.
        #[serde(alias = "consistent_hash")]
        pub consistent_hash: Option<ConsistentHashLb>,
        /// Where traffic goes by the locality of caller and endpoint. Unset: the mesh's setting.
        #[serde(alias = "locality_lb_setting")]
        pub locality_lb_setting: Option<LocalityLoadBalancerSetting>,
        /// Keeps traffic in the caller's zone as far as the zones are balanced. Not together with `locality_lb_setting`.
        #[serde(alias = "zone_aware_lb_setting")]
        pub zone_aware_lb_setting: Option<ZoneAwareLoadBalancerSetting>,
        /// Deprecated form of `warmup`: the time alone.
        #[serde(alias = "warmup_duration_secs")]
        pub warmup_duration_secs: Option<Duration>,
        /// Gives new endpoints less traffic at first.
        pub warmup: Option<WarmupConfiguration>,
    }
}

proto_enum! {
    /// A way of choosing an endpoint without affinity.
    pub enum SimpleLb {
        /// As `LEAST_REQUEST`.
        #[default]
        Unspecified = 0 => "UNSPECIFIED",
        /// Deprecated name of `LEAST_REQUEST`.
        LeastConn = 1 => "LEAST_CONN",
        /// Any endpoint.
        Random = 2 => "RANDOM",
        /// The address that the caller asked for.
        Passthrough = 3 => "PASSTHROUGH",
        /// One after the other.
        RoundRobin = 4 => "ROUND_ROBIN",
        /// Of two endpoints drawn, the one with fewer active requests.
        LeastRequest = 5 => "LEAST_REQUEST",
    }
}

message! {
    /// Sends what is alike to the same endpoint: one source of the key, one algorithm.
    pub struct ConsistentHashLb {
        /// Key: a request header.
        #[serde(alias = "http_header_name")]
        pub http_header_name: Option<String>,
        /// Key: a cookie.
        #[serde(alias = "http_cookie")]
        pub http_cookie: Option<HttpCookie>,
        /// Key: the caller's address, if true.
        #[serde(alias = "use_source_ip")]
        pub use_source_ip: Option<bool>,
        /// Key: a query parameter.
        #[serde(alias = "http_query_parameter_name")]
        pub http_query_parameter_name: Option<String>,
        /// Algorithm: a ring. The default.
        #[serde(alias = "ring_hash")]
        pub ring_hash: Option<RingHash>,
        /// Algorithm: a Maglev table.
        pub maglev: Option<Maglev>,
        /// Deprecated form of the size in `ring_hash`. 0: unset.
        #[serde(alias = "minimum_ring_size")]
        pub minimum_ring_size: u64,
    }
}

message! {
    /// A cookie as key; one is given to callers without it where `ttl` is set.
    pub struct HttpCookie {
        /// Name. Required.
        pub name: String,
        /// Path attribute of a cookie that is given. Empty: none.
        pub path: String,
        /// Lifetime of a cookie that is given; `0s` is one for the session. Unset: none is given.
        pub ttl: Option<Duration>,
        /// Further attributes of a cookie that is given.
        pub attributes: Vec<CookieAttribute>,
    }
}

message! {
    /// An attribute of a cookie.
    pub struct CookieAttribute {
        /// Name. Required.
        pub name: String,
        /// Value. Empty: the name stands alone.
        pub value: String,
    }
}

message! {
    /// A hash ring.
    #[derive(Copy, Eq)]
    pub struct RingHash {
        /// Lowest number of entries. 0: 1024.
        #[serde(alias = "minimum_ring_size")]
        pub minimum_ring_size: u64,
    }
}

message! {
    /// A Maglev table.
    #[derive(Copy, Eq)]
    pub struct Maglev {
        /// Number of entries, a prime below 5000011. Required; Envoy's own default is 65537.
        #[serde(alias = "table_size")]
        pub table_size: u64,
    }
}

message! {
    /// Where traffic goes by locality. Takes effect together with outlier detection, or with `distribute`.
    pub struct LocalityLoadBalancerSetting {
        /// Fixed shares between localities. Not together with `failover`.
        pub distribute: Vec<LocalityDistribute>,
        /// Which region takes over when one fails.
        pub failover: Vec<LocalityFailover>,
        /// Labels (`key`, or `key=value`) that order the endpoints: the more of them agree, from the first on, the sooner.
        #[serde(alias = "failover_priority")]
        pub failover_priority: Vec<String>,
        /// Whether locality counts at all. Default: the mesh's setting, which is true.
        pub enabled: Option<bool>,
    }
}

message! {
    /// Shares for callers of one locality.
    pub struct LocalityDistribute {
        /// Locality of the caller, `region/zone/subzone`, `*` at the end allowed.
        pub from: String,
        /// Percent for each locality of endpoints, 100 in all.
        pub to: BTreeMap<String, u32>,
    }
}

message! {
    /// A region and the one that takes over.
    pub struct LocalityFailover {
        /// Region of the caller.
        pub from: String,
        /// Region that takes over.
        pub to: String,
    }
}

message! {
    /// Keeps traffic in the caller's zone as far as callers and endpoints are spread alike.
    pub struct ZoneAwareLoadBalancerSetting {
        /// Whether it is on.
        pub enabled: Option<bool>,
        /// Which region takes over when one fails.
        pub failover: Vec<LocalityFailover>,
        /// Labels that order the endpoints.
        #[serde(alias = "failover_priority")]
        pub failover_priority: Vec<String>,
        /// Number of endpoints from which on zones count, at least 1.
        #[serde(alias = "min_cluster_size")]
        pub min_cluster_size: Option<u32>,
    }
}

message! {
    /// Gives a new endpoint less traffic at first (round robin and least request).
    pub struct WarmupConfiguration {
        /// How long an endpoint is new. Required.
        pub duration: Option<Duration>,
        /// Lowest share of the full weight, 0 to 100 %. Default: 10.
        #[serde(alias = "minimum_percent")]
        pub minimum_percent: Option<f64>,
        /// How the weight grows: 1 is linear, more is faster at first. Default: 1.
        pub aggression: Option<f64>,
    }
}

message! {
    /// Limits for connections and requests, counted per client over all endpoints of a subset.
    pub struct ConnectionPoolSettings {
        /// Limits that hold for every protocol.
        pub tcp: Option<TcpSettings>,
        /// Limits for HTTP.
        pub http: Option<HttpSettings>,
    }
}

message! {
    /// Limits that hold for every protocol.
    pub struct TcpSettings {
        /// Highest number of connections. 0: no limit.
        #[serde(alias = "max_connections")]
        pub max_connections: i32,
        /// Limit for making a connection, TLS included. Default: 10 s (the mesh's setting).
        #[serde(alias = "connect_timeout")]
        pub connect_timeout: Option<Duration>,
        /// Probes on idle connections. Unset: none.
        #[serde(alias = "tcp_keepalive")]
        pub tcp_keepalive: Option<TcpKeepalive>,
        /// Age at which a connection is not used again. Unset: none.
        #[serde(alias = "max_connection_duration")]
        pub max_connection_duration: Option<Duration>,
        /// Time without traffic after which a connection is closed; `0s` is never. Default: 1 h.
        #[serde(alias = "idle_timeout")]
        pub idle_timeout: Option<Duration>,
    }
}

message! {
    /// Probes on idle connections.
    #[derive(Copy, Eq)]
    pub struct TcpKeepalive {
        /// How many probes may stay unanswered. 0: the operating system's default (9).
        pub probes: u32,
        /// Idle time before the first probe. Unset: the operating system's default (2 h).
        pub time: Option<Duration>,
        /// Time between probes. Unset: the operating system's default (75 s).
        pub interval: Option<Duration>,
    }
}

message! {
    /// Limits for HTTP. 0 is unset everywhere.
    pub struct HttpSettings {
        /// Highest number of requests that wait for a connection, HTTP/2 included. Default: no limit.
        #[serde(alias = "http1_max_pending_requests")]
        pub http1_max_pending_requests: i32,
        /// Highest number of active requests, HTTP/1.1 included. Default: no limit.
        #[serde(alias = "http2_max_requests")]
        pub http2_max_requests: i32,
        /// Requests after which a connection is closed; 1 turns keep-alive off. Default: no limit.
        #[serde(alias = "max_requests_per_connection")]
        pub max_requests_per_connection: i32,
        /// Highest number of retries at the same time. Default: no limit.
        #[serde(alias = "max_retries")]
        pub max_retries: i32,
        /// Time without requests after which a connection is closed. Default: 1 h.
        #[serde(alias = "idle_timeout")]
        pub idle_timeout: Option<Duration>,
        /// Whether to speak HTTP/2 to the destination.
        #[serde(alias = "h2_upgrade_policy")]
        pub h2_upgrade_policy: H2UpgradePolicy,
        /// Speaks the HTTP version that the caller speaks. Not together with an upgrade.
        #[serde(alias = "use_client_protocol")]
        pub use_client_protocol: bool,
        /// Highest number of streams of one HTTP/2 connection. Default: 2^31 - 1.
        #[serde(alias = "max_concurrent_streams")]
        pub max_concurrent_streams: i32,
        /// PING frames on HTTP/2 connections. Unset: none.
        #[serde(alias = "http2_keep_alive", alias = "http2_keepalive")]
        pub http2_keep_alive: Option<Http2KeepAlive>,
    }
}

proto_enum! {
    /// Whether to speak HTTP/2 to a destination.
    pub enum H2UpgradePolicy {
        /// As the mesh says.
        #[default]
        Default = 0 => "DEFAULT",
        /// Not on our own account.
        DoNotUpgrade = 1 => "DO_NOT_UPGRADE",
        /// Always.
        Upgrade = 2 => "UPGRADE",
    }
}

message! {
    /// PING frames on HTTP/2 connections.
    #[derive(Copy, Eq)]
    pub struct Http2KeepAlive {
        /// Time between pings. Required.
        pub interval: Option<Duration>,
        /// How long an answer may take. Required.
        pub timeout: Option<Duration>,
    }
}

message! {
    /// When an endpoint is taken out for a while.
    pub struct OutlierDetection {
        /// Deprecated and without effect.
        #[serde(alias = "consecutive_errors")]
        pub consecutive_errors: i32,
        /// Counts connection failures apart from HTTP errors. Default: false.
        #[serde(alias = "split_external_local_origin_errors")]
        pub split_external_local_origin_errors: bool,
        /// Connection failures in a row, where they are counted apart. Default: 5, and 0 means 5.
        #[serde(alias = "consecutive_local_origin_failures")]
        pub consecutive_local_origin_failures: Option<u32>,
        /// 502, 503 and 504 in a row. Default: off, as with 0.
        #[serde(alias = "consecutive_gateway_errors")]
        pub consecutive_gateway_errors: Option<u32>,
        /// 5xx in a row. Default: 5; 0 is off.
        #[serde(alias = "consecutive_5xx_errors")]
        pub consecutive_5xx_errors: Option<u32>,
        /// Time between the sweeps that bring endpoints back. Default: 10 s.
        pub interval: Option<Duration>,
        /// Time out at the first ejection; grows with each further one. Default: 30 s.
        #[serde(alias = "base_ejection_time")]
        pub base_ejection_time: Option<Duration>,
        /// Highest share of endpoints that are out, 0 to 100 %. Default: 10, and 0 means 10.
        #[serde(alias = "max_ejection_percent")]
        pub max_ejection_percent: i32,
        /// Share of healthy endpoints below which all are used, 0 to 100 %. Default: 0.
        #[serde(alias = "min_health_percent")]
        pub min_health_percent: i32,
        /// Status codes that count, 100 to 599, instead of 5xx.
        #[serde(alias = "outlier_detection_http_error_codes")]
        pub outlier_detection_http_error_codes: Vec<u32>,
    }
}

message! {
    /// Sends TCP and TLS connections through an HTTP proxy.
    pub struct TunnelSettings {
        /// `CONNECT` or `POST`. Empty: `CONNECT`.
        pub protocol: String,
        /// Host that the proxy is to connect to. Required.
        #[serde(alias = "target_host")]
        pub target_host: String,
        /// Port that the proxy is to connect to. Required.
        #[serde(alias = "target_port")]
        pub target_port: u32,
    }
}

message! {
    /// Announces the caller's address in front of the connection.
    #[derive(Copy, Eq)]
    pub struct ProxyProtocol {
        /// Version of the PROXY protocol.
        pub version: ProxyProtocolVersion,
    }
}

proto_enum! {
    /// Version of the PROXY protocol.
    pub enum ProxyProtocolVersion {
        /// The text form.
        #[default]
        V1 = 0 => "V1",
        /// The binary form.
        V2 = 1 => "V2",
    }
}

message! {
    /// Limits concurrent retries by the number of active requests.
    pub struct RetryBudget {
        /// Retries allowed, as a share of active and pending requests, 0 to 100 %. Default: 20.
        pub percent: Option<f64>,
        /// Retries that are always allowed. 0: 3.
        #[serde(alias = "min_retry_concurrency")]
        pub min_retry_concurrency: u32,
        /// Counts the requests of this time too. Default: 0, those that are active only.
        #[serde(alias = "budget_interval")]
        pub budget_interval: Option<Duration>,
    }
}
