//! Figures that are looked at when somebody asks, beside those of requests: clusters, endpoints, the configuration, the
//! certificate. Names are Envoy's where Envoy has the figure.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use mesh_core::cluster::endpoint::EndpointState;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use crate::gauges::ClusterGauges;
use crate::identity::IdentityHandle;
use crate::outbound::Shared;

/// So many endpoints are told of one by one, those of the clusters in the order of their names.
const MOST_ENDPOINTS: usize = 2_000;

/// What is looked at.
#[derive(Clone)]
struct Seen {
    shared: Weak<Shared>,
    identity: IdentityHandle,
}

/// Has a meter look at a mesh for as long as there is one.
pub(crate) fn observe(meter: &Meter, shared: &Arc<Shared>, identity: &IdentityHandle) {
    let seen = Seen { shared: Arc::downgrade(shared), identity: identity.clone() };
    for (name, what, figure) in CLUSTER_GAUGES {
        let seen = seen.clone();
        let look = move |to: &dyn AsyncInstrument<u64>| seen.clusters(to, figure);
        meter.u64_observable_gauge(name).with_description(what).with_callback(look).build();
    }
    for (name, what, figure) in CLUSTER_COUNTERS {
        let seen = seen.clone();
        let look = move |to: &dyn AsyncInstrument<u64>| seen.clusters(to, figure);
        meter.u64_observable_counter(name).with_description(what).with_callback(look).build();
    }
    for (name, what, figure) in MESH_GAUGES {
        let seen = seen.clone();
        let look = move |to: &dyn AsyncInstrument<u64>| seen.mesh(to, figure);
        meter.u64_observable_gauge(name).with_description(what).with_callback(look).build();
    }
    for (name, what, figure) in MESH_COUNTERS {
        let seen = seen.clone();
        let look = move |to: &dyn AsyncInstrument<u64>| seen.mesh(to, figure);
        meter.u64_observable_counter(name).with_description(what).with_callback(look).build();
    }
    seen.observe_endpoints(meter);
    seen.observe_itself(meter);
}

type OfCluster = fn(&ClusterGauges) -> u64;

const CLUSTER_GAUGES: [(&str, &str, OfCluster); 8] = [
    ("envoy_cluster_upstream_cx_active", "Connections, those that are being opened included.", |of| {
        of.connections.into()
    }),
    ("envoy_cluster_upstream_rq_active", "Requests that have a connection and are not over.", |of| of.requests.into()),
    ("envoy_cluster_upstream_rq_pending_active", "Requests that wait for a connection.", |of| {
        of.pending_requests.into()
    }),
    ("mesh_cluster_retries_active", "Retries that wait for their turn or for their answer.", |of| of.retries.into()),
    ("envoy_cluster_membership_total", "Endpoints.", |of| of.endpoints as u64),
    ("envoy_cluster_membership_healthy", "Endpoints that are not ejected.", |of| {
        of.endpoints.saturating_sub(of.ejected) as u64
    }),
    (
        "envoy_cluster_outlier_detection_ejections_active",
        "Endpoints that outlier detection has out of rotation.",
        |of| of.ejected as u64,
    ),
    ("mesh_cluster_tries_active", "Tries that endpoints have under way.", |of| of.active.into()),
];

const CLUSTER_COUNTERS: [(&str, &str, OfCluster); 6] = [
    ("envoy_cluster_upstream_cx_overflow", "Connections that maxConnections did not allow.", |of| {
        of.refused.connections
    }),
    ("envoy_cluster_upstream_rq_pending_overflow", "Requests that a limit of requests turned away.", |of| {
        of.refused.pending_requests + of.refused.requests
    }),
    ("envoy_cluster_upstream_rq_retry_overflow", "Retries that maxRetries or the retry budget did not allow.", |of| {
        of.refused.retries
    }),
    ("mesh_cluster_retries_skipped", "Retries left out since the body was too long to be kept.", |of| {
        of.skipped_retries
    }),
    ("envoy_cluster_outlier_detection_ejections_enforced", "Ejections.", |of| of.ejections),
    ("envoy_cluster_outlier_detection_ejections_overflow", "Ejections that maxEjectionPercent did not allow.", |of| {
        of.ejections_refused
    }),
];

type OfMesh = fn(&Shared) -> u64;

const MESH_GAUGES: [(&str, &str, OfMesh); 2] = [
    ("mesh_mirrors_active", "Mirrored requests under way.", |of| of.mirrors.in_use().into()),
    ("mesh_replay_bytes", "Bytes that are kept of the bodies of requests, for other tries and mirrors.", |of| {
        of.replays.used() as u64
    }),
];

const MESH_COUNTERS: [(&str, &str, OfMesh); 3] = [
    ("mesh_access_log_lines_left_out", "Lines of access logs that nobody could write in time.", |of| {
        of.sinks.logs.left_out()
    }),
    ("mesh_mirrors_skipped", "Mirrored requests that were due and not sent, for want of a slot.", |of| {
        of.mirrors.skipped()
    }),
    ("mesh_mirrors_cut", "Mirrored requests that were given up, since they fell behind.", |of| of.mirrors.cut()),
];

impl Seen {
    fn clusters(&self, to: &dyn AsyncInstrument<u64>, figure: OfCluster) {
        let Some(shared) = self.shared.upgrade() else { return };
        for cluster in shared.live.current().clusters() {
            let gauges = cluster.gauges();
            to.observe(figure(&gauges), &[KeyValue::new("cluster_name", gauges.name)]);
        }
    }

    fn mesh(&self, to: &dyn AsyncInstrument<u64>, figure: OfMesh) {
        if let Some(shared) = self.shared.upgrade() {
            to.observe(figure(&shared), &[]);
        }
    }

    fn observe_endpoints(&self, meter: &Meter) {
        type OfEndpoint = fn(&EndpointState) -> u64;
        let figures: [(&'static str, &'static str, OfEndpoint); 2] = [
            ("mesh_endpoint_tries_active", "Tries that an endpoint has under way.", |of| of.active().into()),
            ("mesh_endpoint_ejected", "1 while outlier detection has an endpoint out of rotation.", |of| {
                of.is_ejected().into()
            }),
        ];
        for (name, what, figure) in figures {
            let seen = self.clone();
            let look = move |to: &dyn AsyncInstrument<u64>| {
                let Some(shared) = seen.shared.upgrade() else { return };
                let live = shared.live.current();
                let all = live.clusters().iter().flat_map(|cluster| {
                    cluster.endpoints_now().into_iter().map(|endpoint| (cluster.spec().name.to_string(), endpoint))
                });
                for (cluster, endpoint) in all.take(MOST_ENDPOINTS) {
                    let address = endpoint.address().to_string();
                    let labels = [KeyValue::new("cluster_name", cluster), KeyValue::new("endpoint", address)];
                    to.observe(figure(&endpoint), &labels);
                }
            };
            meter.u64_observable_gauge(name).with_description(what).with_callback(look).build();
        }
    }

    fn observe_itself(&self, meter: &Meter) {
        let seen = self.clone();
        let version = move |to: &dyn AsyncInstrument<u64>| {
            if let Some(shared) = seen.shared.upgrade() {
                to.observe(shared.live.current().version(), &[]);
            }
        };
        let what = "Counts accepted configurations; 0 before the first.";
        meter.u64_observable_gauge("mesh_config_generation").with_description(what).with_callback(version).build();
        let seen = self.clone();
        let expires = move |to: &dyn AsyncInstrument<f64>| {
            let end = seen.shared.upgrade().and_then(|_| seen.identity.expires());
            if let Some(end) = end.and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok()) {
                to.observe(end.as_secs_f64(), &[]);
            }
        };
        let what = "When the certificate of this workload expires, in seconds since 1970.";
        let name = "mesh_certificate_expiration_timestamp_seconds";
        meter.f64_observable_gauge(name).with_description(what).with_callback(expires).build();
        let build = |to: &dyn AsyncInstrument<u64>| {
            to.observe(1, &[KeyValue::new("component", "proxy"), KeyValue::new("tag", env!("CARGO_PKG_VERSION"))]);
        };
        let what = "1, with the version of the mesh.";
        meter.u64_observable_gauge("istio_build").with_description(what).with_callback(build).build();
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen")
    }
}
