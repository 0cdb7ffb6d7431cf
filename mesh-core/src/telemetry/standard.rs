//! The names, units, buckets and labels of Istio's standard metrics.

use std::borrow::Cow;

use super::{UNKNOWN, Workload};
use crate::ResponseFlags;

/// An instrument: its name without the suffix that an exporter adds, and what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The name; Prometheus gets counters with `_total` behind it.
    pub name: &'static str,
    /// What it counts.
    pub description: &'static str,
}

const fn instrument(name: &'static str, description: &'static str) -> Instrument {
    Instrument { name, description }
}

/// Completed requests.
pub const REQUESTS: Instrument = instrument("istio_requests", "Requests that came to an end.");
/// Milliseconds from the beginning of a request to the last byte of its answer.
pub const REQUEST_DURATION: Instrument = instrument(
    "istio_request_duration_milliseconds",
    "Milliseconds from the beginning of a request to the last byte of its answer.",
);
/// Bytes of requests.
pub const REQUEST_BYTES: Instrument =
    instrument("istio_request_bytes", "Bytes of requests: the head as HTTP/1 text, and the body.");
/// Bytes of answers.
pub const RESPONSE_BYTES: Instrument =
    instrument("istio_response_bytes", "Bytes of answers: the head as HTTP/1 text, and the body.");

/// Messages of gRPC requests.
pub const REQUEST_MESSAGES: Instrument =
    instrument("istio_request_messages", "Messages of gRPC requests; one counts when its first byte has come.");
/// Messages of answers to gRPC requests.
pub const RESPONSE_MESSAGES: Instrument =
    instrument("istio_response_messages", "Messages of gRPC answers; one counts when its first byte has come.");

/// The upper bounds of the buckets of all histograms, of milliseconds and of bytes, as Envoy's.
pub const BUCKETS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// Who tells about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reporter {
    /// The caller's side.
    Source,
    /// The side of who was called.
    Destination,
}

impl Reporter {
    /// As in the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// The service that was called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Called {
    /// Its host in full.
    pub host: Box<str>,
    /// Its name: the first part of a host of the cluster, else the host, or `PassthroughCluster`.
    pub name: Box<str>,
    /// Its namespace.
    pub namespace: Box<str>,
}

impl Called {
    /// A service by its host.
    pub fn of_host(host: &str, cluster_domain: &str) -> Self {
        let (name, namespace) = in_cluster(host, cluster_domain).unwrap_or((host, UNKNOWN));
        Self { host: host.into(), name: name.into(), namespace: namespace.into() }
    }

    /// Where no service is known, and what Istio writes in place of its name.
    pub fn nobody(host: &str, name: &str) -> Self {
        Self { host: host.into(), name: name.into(), namespace: UNKNOWN.into() }
    }
}

/// The name and namespace in a host of the cluster.
fn in_cluster<'h>(host: &'h str, cluster_domain: &str) -> Option<(&'h str, &'h str)> {
    let rest = host.strip_suffix(cluster_domain)?.strip_suffix(".svc.")?;
    rest.split_once('.').filter(|(name, namespace)| !name.is_empty() && !namespace.contains('.'))
}

/// The labels that all requests between two workloads have in common, in Istio's order.
pub fn common<'a>(
    reporter: Reporter,
    source: &'a Workload,
    destination: &'a Workload,
    called: &'a Called,
) -> [(&'static str, &'a str); 20] {
    [
        ("reporter", reporter.as_str()),
        ("source_workload", &source.name),
        ("source_canonical_service", &source.canonical_service),
        ("source_canonical_revision", &source.canonical_revision),
        ("source_workload_namespace", &source.namespace),
        ("source_principal", &source.principal),
        ("source_app", &source.app),
        ("source_version", &source.version),
        ("source_cluster", &source.cluster),
        ("destination_workload", &destination.name),
        ("destination_workload_namespace", &destination.namespace),
        ("destination_principal", &destination.principal),
        ("destination_app", &destination.app),
        ("destination_version", &destination.version),
        ("destination_service", &called.host),
        ("destination_canonical_service", &destination.canonical_service),
        ("destination_canonical_revision", &destination.canonical_revision),
        ("destination_service_name", &called.name),
        ("destination_service_namespace", &called.namespace),
        ("destination_cluster", &destination.cluster),
    ]
}

/// How the connection of a request was protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// Mutual TLS.
    MutualTls,
    /// None.
    None,
    /// What the caller's side says, as in Istio.
    #[default]
    Unknown,
}

/// What a request came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ended {
    /// The status of the answer; 0 if there was none.
    pub status: u16,
    /// Whether it was a gRPC call.
    pub is_grpc: bool,
    /// Its gRPC status, if it was told, as [`known`](crate::grpc_status::known).
    pub grpc_status: Option<u8>,
    /// What went wrong.
    pub flags: ResponseFlags,
    /// How the connection was protected.
    pub security: Security,
}

impl Ended {
    /// Its labels, in Istio's order.
    pub fn labels(&self) -> [(&'static str, Cow<'static, str>); 5] {
        let grpc_status = self.grpc_status.map_or_else(String::new, |status| status.to_string());
        let security = match self.security {
            Security::MutualTls => "mutual_tls",
            Security::None => "none",
            Security::Unknown => UNKNOWN,
        };
        [
            ("request_protocol", if self.is_grpc { "grpc" } else { "http" }.into()),
            ("response_code", self.status.to_string().into()),
            ("grpc_response_status", grpc_status.into()),
            ("response_flags", self.flags.to_string().into()),
            ("connection_security_policy", security.into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_the_cluster_has_a_name_and_a_namespace() {
        let called = Called::of_host("reviews.shop.svc.cluster.local", "cluster.local");
        assert_eq!((&*called.name, &*called.namespace), ("reviews", "shop"));
        for host in ["api.example.com", "a.b.c.svc.cluster.local", "reviews.shop.svc.other"] {
            let called = Called::of_host(host, "cluster.local");
            assert_eq!((&*called.name, &*called.namespace), (host, UNKNOWN));
        }
    }

    #[test]
    fn what_a_request_came_to_is_told_in_istios_words() {
        let text = |ended: Ended| ended.labels().map(|(_, value)| value.into_owned());
        assert_eq!(text(Ended { status: 200, ..Ended::default() }), ["http", "200", "", "-", "unknown"]);
        let flags = ResponseFlags::URX.with(ResponseFlags::UF);
        let failed = Ended { is_grpc: true, grpc_status: Some(14), flags, security: Security::None, status: 200 };
        assert_eq!(text(failed), ["grpc", "200", "14", "URX,UF", "none"]);
    }
}
