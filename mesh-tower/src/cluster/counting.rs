//! What the requests to a cluster count in.

use std::sync::Arc;

use mesh_core::cluster::{ClusterKey, EndpointSpec};
use mesh_core::telemetry::Workload;
use mesh_core::telemetry::standard::Called;

use crate::telemetry::{Group, Metrics};

/// What the requests to a cluster count in, by the workload that they get to.
#[derive(Debug)]
pub(super) struct Counting {
    metrics: Arc<Metrics>,
    called: Called,
    /// Of requests that get to none.
    nowhere: Arc<Group>,
}

impl Counting {
    pub(super) fn new(metrics: &Arc<Metrics>, key: &ClusterKey) -> Self {
        let called = match key {
            ClusterKey::Outbound { host, .. } => Called::of_host(host, metrics.cluster_domain()),
            // Not the host that the request names: anybody could make up as many as he likes.
            _ => Called::nobody(PASSTHROUGH, PASSTHROUGH),
        };
        let nowhere = metrics.towards(Workload::unknown(), called.clone());
        Self { metrics: Arc::clone(metrics), called, nowhere }
    }

    pub(super) const fn group(&self) -> &Arc<Group> {
        &self.nowhere
    }

    /// Of requests to an endpoint.
    pub(super) fn group_of(&self, endpoint: &EndpointSpec) -> Arc<Group> {
        let namespace = Some(&*self.called.namespace);
        self.metrics.towards(Workload::new(None, namespace, &endpoint.labels), self.called.clone())
    }
}

const PASSTHROUGH: &str = "PassthroughCluster";
