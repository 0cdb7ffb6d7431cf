//! Copies of a request for destinations that only listen.

use std::sync::Arc;

use http::Request;
use mesh_core::deadline::Deadline;
use mesh_core::lb::Pick;
use mesh_core::limits::Permit;
use mesh_core::route::Mirror;

use super::added::AddedHeader;
use super::direct::INTERNAL;
use super::outgoing::Outgoing;
use super::route_info::Trail;
use super::{Journey, attempt};
use crate::cluster::ClusterHandle;
use crate::mirror::slots::unless_given_up;
use crate::telemetry::forget_introduction;
use crate::timeout::clock::Clock;
use crate::{Body, body, hops};

/// The mirrors that this request's draw hits. What is asked because of a copy has none: a service that is
/// its own mirror would copy for ever.
fn hits(journey: &Journey) -> impl Iterator<Item = &Mirror> {
    let mirrors = journey.route().mirrors.iter().filter(|mirror| mirror.is_hit(journey.routed.draw));
    mirrors.filter(|_| !journey.nature().is_copy)
}

/// The clocks of the copies that are due. As in Envoy a copy's time runs from the moment at which the caller has sent
/// the whole request: while it is still sending, nobody can have answered.
pub(super) fn clocks(journey: &Journey, request: &mut Request<Body>) -> Vec<Clock> {
    let limit = journey.route().timeout.unwrap_or(journey.shared.options.mirror_timeout);
    let now = crate::clock::now();
    let clock = |_: &Mirror| {
        let mut clock = Clock::new(Deadline::of(limit), now);
        clock.watch(request.body_mut(), false);
        clock
    };
    hits(journey).map(clock).collect()
}

/// Sends the copies, each in a task of its own: they never delay, fail or change the main call.
///
/// Each takes a slot of its own kind, beside those of its cluster; with none free it is left out, and counted.
///
/// None is sent when the main cluster has no healthy endpoint, as in Envoy. A mirror to a cluster
/// that does not exist is nothing.
pub(super) fn send(journey: &Journey, main: &Arc<ClusterHandle>, outgoing: &Outgoing, clocks: Vec<Clock>) {
    // While the names of its endpoints are looked up, nobody knows.
    let unknown = Some(main).filter(|main| main.awaits_look_up());
    if clocks.is_empty() || (unknown.is_none() && !main.has_healthy_endpoint()) {
        return;
    }
    for (mirror, clock) in hits(journey).zip(clocks) {
        let Some(cluster) = mirror.cluster.id.and_then(|id| journey.live.cluster(id)) else { continue };
        let Some(slot) = journey.shared.mirrors.take() else { continue };
        let options = &journey.shared.options;
        let Some(copy) = outgoing.copy(options.mirror_lag, &journey.shared.mirrors) else { continue };
        let (mut copy, given_up) = copy.into_parts();
        copy.headers_mut().insert(INTERNAL, hops::TRUE);
        if cluster.spec().is_external {
            forget_introduction(copy.headers_mut());
        }
        if let Some(traces) = &journey.shared.traces {
            traces.forget(copy.headers_mut());
        }
        if !options.left_out.has(AddedHeader::Nature) {
            copy.headers_mut().insert(hops::MIRRORED, hops::TRUE);
        }
        let copy = Outgoing::new(copy, false, &journey.shared).at_gateway(journey.at_gateway);
        let delivering = deliver(Arc::clone(cluster), Arc::clone(&journey.shared), journey.grpc(), copy, clock, slot);
        let unknown = unknown.cloned();
        let delivering = async move {
            if let Some(main) = unknown {
                main.looked_up().await;
                if !main.has_healthy_endpoint() {
                    return;
                }
            }
            delivering.await;
        };
        tokio::spawn(unless_given_up(given_up, delivering));
    }
}

async fn deliver(
    cluster: Arc<ClusterHandle>,
    shared: Arc<super::Shared>,
    grpc: bool,
    mut outgoing: Outgoing,
    mut clock: Clock,
    _slot: Permit,
) {
    let mut trail = Trail::new(crate::clock::now(), None);
    let pick = Pick::first(trail.arrived());
    let tried = attempt::send(&cluster, &shared.chance, grpc, &mut outgoing, pick, &mut clock, &mut trail).await;
    match tried.result {
        // Read to the end, so that the connection can be used again.
        Ok(response) => drop(clock.bounded(body::drain(response.into_body())).await),
        Err(error) => tracing::debug!(cluster = %cluster.spec().key, %error, "mirrored request failed"),
    }
}
