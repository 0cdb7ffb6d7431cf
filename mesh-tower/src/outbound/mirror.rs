//! Copies of a request for destinations that only listen.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use mesh_core::deadline::Deadline;
use mesh_core::lb::Pick;
use mesh_core::route::Mirror;

use super::outgoing::Outgoing;
use super::route_info::Trail;
use super::{Journey, attempt};
use crate::body;
use crate::cluster::ClusterHandle;
use crate::timeout::clock::Clock;

const INTERNAL: HeaderName = HeaderName::from_static("x-envoy-internal");

/// The mirrors that this request's draw hits.
fn hits(journey: &Journey) -> impl Iterator<Item = &Mirror> {
    journey.route().mirrors.iter().filter(|mirror| mirror.is_hit(journey.routed.draw))
}

/// Whether a copy of the request is needed.
pub(super) fn is_due(journey: &Journey) -> bool {
    hits(journey).next().is_some()
}

/// Sends the copies, each in a task of its own: they never delay, fail or change the main call.
///
/// None is sent when the main cluster has no healthy endpoint, as in Envoy. A mirror to a cluster
/// that does not exist is nothing.
pub(super) fn send(journey: &Journey, main: &ClusterHandle, outgoing: &Outgoing) {
    if !is_due(journey) || !main.has_healthy_endpoint() {
        return;
    }
    for mirror in hits(journey) {
        let Some(cluster) = mirror.cluster.id.and_then(|id| journey.live.cluster(id)) else { continue };
        let Some(mut copy) = outgoing.copy(journey.shared.options.replay_limit) else { continue };
        copy.headers_mut().insert(INTERNAL, HeaderValue::from_static("true"));
        let limit = journey.route().timeout.unwrap_or(journey.shared.options.mirror_timeout);
        let clock = Clock::new(Deadline::of(limit), crate::clock::now());
        let copy = Outgoing::new(copy, false, &journey.shared.options);
        tokio::spawn(deliver(Arc::clone(cluster), Arc::clone(&journey.shared), journey.grpc(), copy, clock));
    }
}

async fn deliver(
    cluster: Arc<ClusterHandle>,
    shared: Arc<super::Shared>,
    grpc: bool,
    mut outgoing: Outgoing,
    mut clock: Clock,
) {
    let mut trail = Trail::new(crate::clock::now());
    let pick = Pick::first(trail.arrived());
    let tried = attempt::send(&cluster, &shared.chance, grpc, &mut outgoing, pick, &mut clock, &mut trail).await;
    match tried.result {
        // Read to the end, so that the connection can be used again.
        Ok(response) => drop(clock.bounded(body::drain(response.into_body())).await),
        Err(error) => tracing::debug!(cluster = %cluster.spec().key, %error, "mirrored request failed"),
    }
}
