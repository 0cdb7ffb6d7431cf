//! [`Watcher`].

use std::sync::Arc;

use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;

use super::ClusterHandle;

/// Tells the outlier detection what becomes of an answer after its head.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(super) cluster: Arc<ClusterHandle>,
    pub(super) endpoint: Arc<EndpointState>,
}

impl Watcher {
    pub(crate) fn tell(&self, outcome: &Outcome) {
        self.cluster.on_outcome(&self.endpoint, outcome);
    }
}
