//! What is in use at one moment: slots, endpoints, memory; and what there was no room for.

use std::sync::Arc;

use mesh_core::cluster::ClusterSpec;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::failure::Limit;
use mesh_core::limits::Permits;

use crate::inbound::DryRunCounts;
use crate::outbound::Shared;

/// What a mesh has in use; see [`Mesh::gauges`](crate::Mesh::gauges).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gauges {
    /// Each cluster of the version in use.
    pub clusters: Vec<ClusterGauges>,
    /// Mirrored requests under way.
    pub mirrors: u32,
    /// Mirrored requests that were due and not sent since the mesh began, for want of a
    /// [slot](crate::MeshBuilder::max_mirrors).
    pub mirrors_skipped: u64,
    /// Mirrored requests that were given up since the mesh began, since they
    /// [fell behind](crate::MeshBuilder::mirror_lag).
    pub mirrors_cut: u64,
    /// Bytes that are kept of the bodies of requests, for other tries and mirrors.
    pub replay_bytes: usize,
    /// Lines of access logs that were left out since the mesh began: more than 8,192 waited to be written.
    pub log_lines_left_out: u64,
    /// What policies with the annotation `istio.io/dry-run` would have decided since the mesh began.
    pub dry_run: DryRunCounts,
}

/// What a cluster has in use, all versions of its configuration together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterGauges {
    /// Its name, such as `outbound|9080|v1|reviews.default.svc.cluster.local`.
    pub name: String,
    /// Connections, those that are being opened included.
    pub connections: u32,
    /// Requests that wait for a connection.
    pub pending_requests: u32,
    /// Requests that have a connection and whose answers have not been read to their ends.
    pub requests: u32,
    /// Retries that wait for their turn or for their answer.
    pub retries: u32,
    /// Tries that its endpoints have under way.
    pub active: u32,
    /// Endpoints.
    pub endpoints: usize,
    /// Those that outlier detection has out of rotation.
    pub ejected: usize,
    /// How often each limit was in somebody's way since the cluster's policy last changed.
    pub refused: Refused,
    /// Retries that the policy asked for, but the request's body, too long to be kept, did not allow; since the
    /// cluster's policy last changed.
    pub skipped_retries: u64,
    /// Ejections by outlier detection, since the cluster's policy last changed.
    pub ejections: u64,
    /// Ejections that `maxEjectionPercent` did not allow; since the cluster's policy last changed.
    pub ejections_refused: u64,
}

/// How often each limit of a cluster was in somebody's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Connections that were not opened (`tcp.maxConnections`); who wanted them waits for those that there are.
    pub connections: u64,
    /// Requests that were turned away, since too many wait for a connection (`http.http1MaxPendingRequests`).
    pub pending_requests: u64,
    /// Requests that were turned away, since too many are under way (`http.http2MaxRequests`).
    pub requests: u64,
    /// Retries that were not sent (`http.maxRetries`, or the retry budget).
    pub retries: u64,
}

impl Refused {
    fn of(permits: &Permits) -> Self {
        Self {
            connections: permits.refused(Limit::Connections),
            pending_requests: permits.refused(Limit::PendingRequests),
            requests: permits.refused(Limit::Requests),
            retries: permits.refused(Limit::Retries),
        }
    }
}

impl Gauges {
    pub(crate) fn of(shared: &Shared) -> Self {
        let live = shared.live.current();
        Self {
            clusters: live.clusters().iter().map(|cluster| cluster.gauges()).collect(),
            mirrors: shared.mirrors.in_use(),
            mirrors_skipped: shared.mirrors.skipped(),
            mirrors_cut: shared.mirrors.cut(),
            replay_bytes: shared.replays.used(),
            log_lines_left_out: shared.sinks.logs.left_out(),
            dry_run: shared.trials.counts(),
        }
    }

    /// Whether no request, retry, mirror or kept body is left; connections may wait for others.
    pub fn is_at_rest(&self) -> bool {
        self.mirrors == 0 && self.replay_bytes == 0 && self.clusters.iter().all(ClusterGauges::is_at_rest)
    }
}

impl ClusterGauges {
    pub(crate) fn of<'e>(
        spec: &ClusterSpec,
        permits: &Permits,
        endpoints: impl Iterator<Item = &'e Arc<EndpointState>> + Clone,
    ) -> Self {
        Self {
            name: spec.name.to_string(),
            connections: permits.in_use(Limit::Connections),
            pending_requests: permits.in_use(Limit::PendingRequests),
            requests: permits.in_use(Limit::Requests),
            retries: permits.in_use(Limit::Retries),
            active: endpoints.clone().map(|endpoint| endpoint.active()).sum(),
            endpoints: endpoints.clone().count(),
            ejected: endpoints.filter(|endpoint| endpoint.is_ejected()).count(),
            refused: Refused::of(permits),
            skipped_retries: 0,
            ejections: 0,
            ejections_refused: 0,
        }
    }

    fn is_at_rest(&self) -> bool {
        self.pending_requests == 0 && self.requests == 0 && self.retries == 0 && self.active == 0
    }
}
