//! Tries, and tries again: the loop around [`attempt`](super::attempt).

use std::sync::Arc;
use std::time::Instant;

use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::uri::Authority;
use http::{Request, Response, Version};
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::failure::Limit;
use mesh_core::limits::Permit;
use mesh_core::retry::{Attempts, Next, RetryPolicy};
use mesh_core::ResponseFlags;

use super::attempt::{self, Tried, Unsent};
use super::clock::Clock;
use super::route_info::Trail;
use super::{Journey, mirror};
use crate::body::replay::Replay;
use crate::cluster::ClusterHandle;
use crate::{Body, Error};

const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");

/// Sends a request, again where the policy says so, and gives the last answer.
pub(crate) async fn send(
    journey: &Journey,
    cluster: &Arc<ClusterHandle>,
    request: Request<Body>,
    clock: &mut Clock,
    trail: &mut Trail,
) -> Result<Response<Body>, Error> {
    let policy = journey.route().retry.as_ref();
    let copies = policy.is_some_and(|policy| needs_copy(policy, journey, &request));
    let mut outgoing = Outgoing::new(request, copies || mirror::is_due(journey), journey.shared.options.replay_limit);
    mirror::send(journey, cluster, &outgoing);
    let mut attempts = Attempts::new(policy);
    let mut tried: Vec<Arc<EndpointState>> = Vec::new();
    let chance = &journey.shared.chance;
    loop {
        let Tried { result, outcome, endpoint } =
            attempt::send(cluster, chance, &mut outgoing, &tried, clock, trail).await;
        let pause = match chance.with(|rng| attempts.next(&outcome, rng)) {
            Next::Done => return answered(result, &attempts, trail),
            Next::Exhausted => {
                trail.flag(ResponseFlags::URX);
                return answered(result, &attempts, trail);
            }
            Next::RetryAfter(pause) => pause,
        };
        if !outgoing.can_go_again() {
            trail.retry_skipped();
            return answered(result, &attempts, trail);
        }
        let Some(permit) = permit(cluster, crate::clock::now()) else {
            trail.flag(ResponseFlags::UO);
            return answered(result, &attempts, trail);
        };
        // The answer is given up: its connection is free for the next try.
        drop(result);
        trail.retrying(&outcome);
        if policy.is_some_and(|policy| policy.ignore_previous_hosts) {
            tried.extend(endpoint);
        }
        clock.bounded(tokio::time::sleep(pause)).await?;
        outgoing.hold(permit);
    }
}

fn needs_copy(policy: &RetryPolicy, journey: &Journey, request: &Request<Body>) -> bool {
    let http2 = request.version() == Version::HTTP_2;
    policy.needs_copy(journey.grpc, http2, journey.shared.options.profile)
}

fn permit(cluster: &ClusterHandle, now: Instant) -> Option<(Permit, mesh_core::retry::budget::BudgetPermit)> {
    let budget = cluster.budget().try_acquire(now, cluster.permits())?;
    let permit = cluster.permits().try_acquire(Limit::Retries).ok()?;
    Some((permit, budget))
}

fn answered(
    result: Result<Response<Body>, Error>,
    attempts: &Attempts<'_>,
    trail: &mut Trail,
) -> Result<Response<Body>, Error> {
    trail.flag_result(&result);
    result.map_err(|error| error.retried(attempts.retries() > 0))
}
