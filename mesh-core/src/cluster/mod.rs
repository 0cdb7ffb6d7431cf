//! Clusters: the endpoints behind a host, port and subset, and how to talk to them.
//!
//! A [`ClusterSpec`] is plain data that compares: a cluster whose spec did not change keeps its
//! connections, ejections and counters across a change of the configuration.

pub mod endpoint;
pub mod locality;
pub mod notes;
pub mod policy;
pub mod subset;
pub mod tls;

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use mesh_config::value::Labels;

use crate::lb::{Balance, LbSpec, LocalitySpec, WarmUp};
use crate::limits::Limits;
use crate::outlier::OutlierSpec;
use crate::retry::budget::BudgetSpec;

pub use endpoint::{EndpointAddress, EndpointSpec, endpoint_port};
pub use locality::Locality;
pub use tls::{Announced, ClientTls, TlsSpec};

/// A cluster of a [`Snapshot`](crate::snapshot::Snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClusterId(pub u32);

/// What makes a cluster the same one in the next version of the configuration.
///
/// Printed as Envoy names clusters: `outbound|9080|v1|reviews.default.svc.cluster.local`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ClusterKey {
    /// A service's port, or a subset of the endpoints behind it.
    Outbound {
        /// The service port.
        port: u16,
        /// The subset; empty for all endpoints.
        subset: Box<str>,
        /// The host in full.
        host: Box<str>,
    },
    /// Hosts that nobody registered.
    Passthrough,
}

impl ClusterKey {
    /// A service's port, or a subset behind it.
    pub fn outbound(port: u16, subset: &str, host: &str) -> Self {
        Self::Outbound { port, subset: subset.into(), host: host.into() }
    }

    /// Hosts that nobody registered.
    pub const fn passthrough() -> Self {
        Self::Passthrough
    }
}

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outbound { port, subset, host } => write!(f, "outbound|{port}|{subset}|{host}"),
            Self::Passthrough => f.write_str("PassthroughCluster"),
        }
    }
}

/// A cluster, as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSpec {
    /// Its identity.
    pub key: ClusterKey,
    /// Its name in logs and headers, `key` as text.
    pub name: Box<str>,
    /// Where its endpoints come from.
    pub endpoints: EndpointSource,
    /// How one is chosen.
    pub lb: LbSpec,
    /// What localities have to do with it.
    pub locality: LocalitySpec,
    /// How new endpoints begin; `None` with their full share.
    pub warm_up: Option<WarmUp>,
    /// What is spoken to them.
    pub protocol: UpstreamProtocol,
    /// How long connecting, TLS included, may take; 10 s unless set.
    pub connect_timeout: Duration,
    /// How much may be under way at once, over all endpoints.
    pub limits: Limits,
    /// How connections are kept.
    pub pool: PoolSpec,
    /// When an endpoint is left out for a while; `None` if never.
    pub outlier: Option<OutlierSpec>,
    /// How many retries may be under way, where the rule says so by share.
    pub budget: Option<BudgetSpec>,
    /// Encryption towards the endpoints.
    pub tls: TlsSpec,
    /// Whether it is outside the mesh (`MESH_EXTERNAL`, or a host that nobody registered): it is not told who calls.
    pub is_external: bool,
}

impl ClusterSpec {
    /// A cluster with Istio's defaults.
    pub fn new(key: ClusterKey, endpoints: EndpointSource) -> Self {
        Self {
            name: key.to_string().into(),
            is_external: key == ClusterKey::Passthrough,
            key,
            endpoints,
            lb: LbSpec::default(),
            locality: LocalitySpec::default(),
            warm_up: None,
            protocol: UpstreamProtocol::FollowCaller,
            connect_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            pool: PoolSpec::default(),
            outlier: None,
            budget: None,
            tls: TlsSpec::Plaintext,
        }
    }

    /// Whether two specs differ in nothing but their endpoints and the content of Secrets: then permits and ejections go
    /// on.
    pub fn same_policy(&self, other: &Self) -> bool {
        let same_kind = match (&self.endpoints, &other.endpoints) {
            (EndpointSource::Static(_), EndpointSource::Static(_)) => true,
            // Other names, or another pace of asking for them, only change the endpoints.
            (EndpointSource::Dns { logical: left, .. }, EndpointSource::Dns { logical: right, .. }) => left == right,
            (left, right) => left == right,
        };
        let bare = |spec: &Self| Self {
            endpoints: EndpointSource::Static(Vec::new()),
            tls: TlsSpec::Plaintext,
            ..spec.clone()
        };
        same_kind && self.tls.same_but_for_secrets(&other.tls) && bare(self) == bare(other)
    }

    /// Whether requests say themselves where they go, so that there is nothing to balance.
    fn goes_where_requests_say(&self) -> bool {
        matches!(self.endpoints, EndpointSource::OriginalDestination { .. })
    }

    /// Whether the request's hash decides which endpoint it goes to.
    pub fn is_by_hash(&self) -> bool {
        self.lb.is_by_hash() && !self.goes_where_requests_say()
    }

    /// Everything that decides about a choice of endpoint.
    ///
    /// Among the addresses of a place that the request names, neither hash nor locality counts.
    pub fn balance(&self) -> Balance<'_> {
        if self.goes_where_requests_say() {
            return LbSpec::LeastRequest.into();
        }
        Balance {
            lb: self.lb,
            panic_threshold: self.panic_threshold(),
            locality: &self.locality,
            warm_up: self.warm_up,
        }
    }

    /// Below this share of healthy endpoints, in percent, requests go to all of them again.
    ///
    /// Envoy's default of 50 counts only where no outlier detection is set, and so never.
    pub fn panic_threshold(&self) -> u32 {
        self.outlier.as_ref().map_or(50, |outlier| outlier.min_health_percent)
    }
}

/// Where the endpoints of a cluster come from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EndpointSource {
    /// They are listed (`STATIC`, EndpointSlices).
    Static(Vec<EndpointSpec>),
    /// Names are looked up (`DNS`, `DNS_ROUND_ROBIN`).
    Dns {
        /// The names.
        targets: Vec<DnsTarget>,
        /// Only the first address of the latest answer counts (`DNS_ROUND_ROBIN`).
        logical: bool,
        /// How often to look again.
        refresh: Duration,
    },
    /// A request goes where its authority points (`NONE`, `DYNAMIC_DNS`, unknown hosts).
    OriginalDestination {
        /// In place of the authority's port (`targetPort`).
        port: Option<u16>,
    },
}

impl EndpointSource {
    /// Of listed endpoints with one address only the first counts, as in Envoy's endpoint discovery, which serves such
    /// clusters in Istio. Names that lead to one address stay several endpoints, as there.
    pub fn keep_first_of_each(&mut self) {
        let Self::Static(endpoints) = self else { return };
        let mut seen = HashSet::with_capacity(endpoints.len());
        endpoints.retain(|endpoint| seen.insert(endpoint.address.clone()));
    }
}

/// A name whose addresses are endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsTarget {
    /// The name, or an address.
    pub host: Box<str>,
    /// The port of the endpoints.
    pub port: u16,
    /// The weight of each, at least 1.
    pub weight: u32,
    /// Their labels.
    pub labels: Labels,
    /// Where they are.
    pub locality: Locality,
    /// What they say about their security.
    pub announced: Announced,
}

impl DnsTarget {
    /// A name without labels.
    pub fn of(host: &str, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            weight: 1,
            labels: Labels::new(),
            locality: Locality::default(),
            announced: Announced::default(),
        }
    }
}

/// What is spoken to the endpoints of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamProtocol {
    /// HTTP/1.1 (port protocol `http`).
    Http1,
    /// HTTP/2 (port protocols `http2`, `grpc`, `grpc-web`, or `h2UpgradePolicy`).
    Http2,
    /// The version of the caller's request (`useClientProtocol`).
    FollowCaller,
    /// Nobody says (no port protocol): the version of the caller's request, but at a gateway HTTP/1.1.
    #[default]
    Unset,
}

impl UpstreamProtocol {
    /// Whether HTTP/2 is spoken for a request; an upgrade, which only HTTP/1 has, is not looked at.
    pub const fn is_http2(self, caller_speaks_http2: bool, at_gateway: bool) -> bool {
        match self {
            Self::Http1 => false,
            Self::Http2 => true,
            Self::FollowCaller => caller_speaks_http2,
            Self::Unset => caller_speaks_http2 && !at_gateway,
        }
    }
}

/// How connections to an endpoint are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolSpec {
    /// Requests after which a connection is closed; 0 for no limit.
    pub max_requests_per_connection: u32,
    /// How long a connection may be idle; 1 h unless set, `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// Age at which a connection takes no further request.
    pub max_connection_duration: Option<Duration>,
    /// TCP keep-alive probes.
    pub keepalive: Option<Keepalive>,
    /// Streams at once on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// PING frames on HTTP/2 connections; none unless set.
    pub pings: Option<Pings>,
}

/// PING frames on an HTTP/2 connection, whether anything is under way on it or not (`http2KeepAlive`, as Envoy's
/// `connection_keepalive`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pings {
    /// From one to the next.
    pub interval: Duration,
    /// How long an answer may take; then the connection is given up.
    pub timeout: Duration,
}

impl Default for PoolSpec {
    fn default() -> Self {
        Self {
            max_requests_per_connection: 0,
            idle_timeout: Some(Duration::from_secs(3600)),
            max_connection_duration: None,
            keepalive: None,
            max_concurrent_streams: 0x7fff_ffff,
            pings: None,
        }
    }
}

impl PoolSpec {
    /// How many requests one new HTTP/2 connection can take at once, as far as this side has a say in it.
    pub const fn requests_at_once(&self) -> u32 {
        let most = self.max_requests_per_connection;
        if most > 0 && most < self.max_concurrent_streams { most } else { self.max_concurrent_streams }
    }
}

/// TCP keep-alive; what is not set is the operating system's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keepalive {
    /// Probes without an answer before the connection counts as dead.
    pub probes: Option<u32>,
    /// Idle time before the first probe.
    pub time: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_named_as_envoy_names_them() {
        let key = ClusterKey::outbound(9080, "v1", "reviews.default.svc.cluster.local");
        assert_eq!(key.to_string(), "outbound|9080|v1|reviews.default.svc.cluster.local");
        assert_eq!(ClusterKey::passthrough().to_string(), "PassthroughCluster");
    }

    #[test]
    fn where_requests_say_where_they_go_nothing_is_balanced() {
        let key = ClusterKey::outbound(80, "", "a");
        let mut spec = ClusterSpec::new(key, EndpointSource::Static(Vec::new()));
        spec.lb = LbSpec::ring_hash(0);
        spec.locality.shares = vec![("eu".into(), 100)];
        assert!(spec.is_by_hash() && spec.balance().locality == &spec.locality);
        spec.endpoints = EndpointSource::OriginalDestination { port: None };
        assert!(!spec.is_by_hash() && spec.balance() == LbSpec::LeastRequest.into());
    }

    #[test]
    fn other_endpoints_leave_the_policy_the_same() {
        let key = ClusterKey::outbound(80, "", "a");
        let one = ClusterSpec::new(key.clone(), EndpointSource::Static(Vec::new()));
        let endpoint = EndpointSpec::at(EndpointAddress::parse("10.0.0.1", 80).unwrap());
        let two = ClusterSpec::new(key.clone(), EndpointSource::Static(vec![endpoint]));
        assert!(one != two && one.same_policy(&two));
        let slow = ClusterSpec { connect_timeout: Duration::from_secs(1), ..two.clone() };
        assert!(!two.same_policy(&slow));
        assert!(!two.same_policy(&ClusterSpec::new(key, EndpointSource::OriginalDestination { port: None })));
    }
}
