//! Endpoints: what is configured about one, and what this process has learned about it.

use crate::sync::atomic::{AtomicU32, Ordering};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_config::api::WorkloadEntry;
use mesh_config::api::service_entry::ServicePort;
use mesh_config::value::Labels;

use super::{Announced, Locality};
use crate::outlier::Record;

/// Where an endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EndpointAddress {
    /// An IP address and a port.
    Socket(SocketAddr),
    /// A Unix socket: an absolute path, or an abstract name behind `@`.
    Unix(PathBuf),
}

impl EndpointAddress {
    /// Reads an IP address, or `unix://` with a path or an abstract name; `None` for a host name.
    pub fn parse(text: &str, port: u16) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            return Some(Self::Unix(path.into()));
        }
        let ip: IpAddr = text.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        Some(Self::Socket(SocketAddr::new(ip, port)))
    }

    /// What consistent hashing knows it by: the address as Envoy writes it.
    pub(crate) fn hash_key(&self) -> String {
        match self {
            Self::Socket(address) => address.to_string(),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// An endpoint, as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointSpec {
    /// Where it listens.
    pub address: EndpointAddress,
    /// Its weight among the endpoints of the cluster, at least 1.
    pub weight: u32,
    /// Its labels.
    pub labels: Labels,
    /// Where it is.
    pub locality: Locality,
    /// What it says about its security.
    pub announced: Announced,
}

impl EndpointSpec {
    /// An endpoint of weight 1 without labels.
    pub fn at(address: EndpointAddress) -> Self {
        Self {
            address,
            weight: 1,
            labels: Labels::new(),
            locality: Locality::default(),
            announced: Announced::default(),
        }
    }
}

/// The port of a workload for a port of a service: what the workload says for the port's name, else
/// the target port, else the port itself. `None` if that is no port.
pub fn endpoint_port(workload: &WorkloadEntry, port: &ServicePort) -> Option<u16> {
    let number = match workload.ports.get(&port.name) {
        Some(own) => *own,
        None if port.target_port != 0 => port.target_port,
        None => port.number,
    };
    u16::try_from(number).ok().filter(|number| *number != 0)
}

/// An endpoint in use: its spec, and what was learned about it, which outlives changes of the spec.
#[derive(Debug)]
pub struct EndpointState {
    spec: EndpointSpec,
    /// When it came; `None` for one that has always been there.
    since: Option<Instant>,
    active: Arc<AtomicU32>,
    record: Arc<Record>,
}

impl EndpointState {
    /// An endpoint about which nothing is known, and that needs no warm-up.
    pub fn new(spec: EndpointSpec) -> Self {
        Self { spec, since: None, active: Arc::default(), record: Arc::default() }
    }

    /// An endpoint that comes now, and may have to warm up.
    pub fn added(spec: EndpointSpec, now: Instant) -> Self {
        Self { since: Some(now), ..Self::new(spec) }
    }

    /// The same endpoint under another spec.
    #[must_use]
    pub fn successor(&self, spec: EndpointSpec) -> Self {
        Self { spec, since: self.since, active: Arc::clone(&self.active), record: Arc::clone(&self.record) }
    }

    /// What is configured.
    pub fn spec(&self) -> &EndpointSpec {
        &self.spec
    }

    /// Where it listens.
    pub fn address(&self) -> &EndpointAddress {
        &self.spec.address
    }

    /// How long it has been there; `None` for always.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.since.map(|since| now.saturating_duration_since(since))
    }

    /// Requests under way.
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// Counts a request until the result is dropped.
    pub fn begin(&self) -> Active {
        self.active.fetch_add(1, Ordering::Relaxed);
        Active(Arc::clone(&self.active))
    }

    /// Whether outlier detection has it out of rotation.
    pub fn is_ejected(&self) -> bool {
        self.record.is_ejected()
    }

    /// What outlier detection knows.
    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

/// A request under way at an endpoint.
#[derive(Debug)]
pub struct Active(Arc<AtomicU32>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_ips_or_unix_sockets() {
        let text = |address: &str| EndpointAddress::parse(address, 80).map(|address| address.to_string());
        assert_eq!(text("10.0.0.1").as_deref(), Some("10.0.0.1:80"));
        assert_eq!(text("::1").as_deref(), Some("[::1]:80"));
        assert_eq!(text("unix:///run/app.sock").as_deref(), Some("unix:///run/app.sock"));
        assert_eq!(text("reviews"), None);
    }

    #[test]
    fn a_workload_may_map_a_port_by_name() {
        let port = |target_port| ServicePort { number: 80, name: "http".into(), target_port, ..ServicePort::default() };
        let mapped = WorkloadEntry { ports: [("http".to_owned(), 8080)].into(), ..WorkloadEntry::default() };
        assert_eq!(endpoint_port(&mapped, &port(9090)), Some(8080));
        assert_eq!(endpoint_port(&WorkloadEntry::default(), &port(9090)), Some(9090));
        assert_eq!(endpoint_port(&WorkloadEntry::default(), &port(0)), Some(80));
    }

    #[test]
    fn active_requests_are_counted_while_they_last() {
        let endpoint = EndpointState::new(EndpointSpec::at(EndpointAddress::parse("10.0.0.1", 80).unwrap()));
        let (one, two) = (endpoint.begin(), endpoint.begin());
        assert_eq!(endpoint.active(), 2);
        drop(one);
        let same = endpoint.successor(EndpointSpec { weight: 5, ..endpoint.spec().clone() });
        assert_eq!(same.active(), 1);
        drop(two);
        assert_eq!(same.active(), 0);
    }
}
