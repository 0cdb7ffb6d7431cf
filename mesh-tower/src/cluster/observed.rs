//! What may be known of a cluster from outside.

use std::sync::Arc;

use mesh_core::cluster::endpoint::EndpointState;

use super::ClusterHandle;
use super::members::members_of;

impl ClusterHandle {
    /// The endpoints with what was learned about them, after the sweep that a request at this moment would run.
    pub(crate) fn endpoints_now(&self) -> Vec<Arc<EndpointState>> {
        self.sweep(crate::clock::now());
        members_of(&self.current(crate::clock::now())).into_iter().map(|member| member.state).collect()
    }

    /// Ejections, and those that `maxEjectionPercent` did not allow.
    pub(super) fn ejections(&self) -> (u64, u64) {
        self.shared.detector.as_ref().map_or((0, 0), |detector| (detector.ejections(), detector.overflows()))
    }

    /// How long outlier detection keeps an endpoint out of rotation; `None` where it does not.
    #[cfg(feature = "admin")]
    pub(crate) fn ejected_for(&self, endpoint: &EndpointState) -> Option<std::time::Duration> {
        self.shared.detector.as_ref()?.left(crate::clock::now(), endpoint)
    }

    /// Takes an endpoint back into rotation before its time is over; whether it was out.
    #[cfg(feature = "admin")]
    pub(crate) fn take_back(&self, endpoint: &EndpointState) -> bool {
        let is_back =
            self.shared.detector.as_ref().is_some_and(|detector| detector.take_back(crate::clock::now(), endpoint));
        if is_back {
            self.shared.health.fetch_add(1, std::sync::atomic::Ordering::Release);
        }
        is_back
    }

    /// Ejections that `maxEjectionPercent` did not allow.
    #[cfg(feature = "testing")]
    pub(crate) fn refused_ejections(&self) -> u64 {
        self.ejections().1
    }

    /// Connections that were ever begun to its endpoints.
    #[cfg(feature = "testing")]
    pub(crate) fn connections_opened(&self) -> u64 {
        members_of(&self.current(crate::clock::now())).iter().map(|member| member.pool.counts().opened).sum()
    }
}
