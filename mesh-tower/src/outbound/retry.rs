//! Tries, and tries again: the loop around [`attempt`](super::attempt).

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Version};
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::failure::Limit;
use mesh_core::lb::Pick;
use mesh_core::retry::{Attempts, Next, RetryPolicy, asked};
use mesh_core::{Failure, ResponseFlags};

use super::attempt::{self, Tried};
use super::outgoing::Outgoing;
use super::route_info::Trail;
use super::{Journey, mirror};
use crate::cluster::ClusterHandle;
use crate::timeout::clock::Clock;
use crate::{Body, Error, hops};

/// Sends a request, again where the policy says so, and gives the last answer.
pub(super) async fn send(
    journey: &Journey,
    cluster: &Arc<ClusterHandle>,
    request: &mut Request<Body>,
    clock: &mut Clock,
    trail: &mut Trail,
) -> Result<Response<Body>, Error> {
    let policy = journey.route().retry.as_ref();
    let (mut outgoing, copies) = begin(journey, cluster, request);
    let chance = &journey.shared.chance;
    let mut attempts = Attempts::new(policy);
    cluster.budget().begin(clock.now());
    trail.counts_in(cluster.group());
    let mut tried: Vec<Arc<EndpointState>> = Vec::new();
    loop {
        let pick = Pick { tried: &tried, ..first_pick(journey, policy, trail) };
        let Tried { result, outcome, endpoint } =
            attempt::send(cluster, chance, journey.grpc(), &mut outgoing, pick, clock, trail).await;
        trail.try_ended(&result, endpoint.as_ref());
        let retries = attempts.retries();
        let outcome = if copies { outcome } else { outcome.without_grpc_status() };
        let is_reason = || policy.is_some_and(|policy| policy.on.take(&outcome));
        if journey.is_safe() && result.as_ref().is_ok_and(|answer| hops::is_spent(answer.headers()) && is_reason()) {
            // Somebody further on has tried again in vain; what is done here would multiply that.
            trail.retries_spent();
            return answered(result, retries);
        }
        let pause = match chance.with(|rng| attempts.next(&outcome, rng)) {
            Next::RetryAfter(pause) => asked_pause(journey, &result).unwrap_or(pause),
            Next::Done => return answered(result, retries),
            Next::Exhausted => {
                trail.retries_spent();
                trail.flag(ResponseFlags::URX);
                return answered(result, retries);
            }
        };
        if journey.nature().is_retry && !is_unsent(&outcome) {
            // Whoever sent that retry has others left.
            return answered(result, retries);
        }
        if !outgoing.can_go_again() {
            trail.retry_skipped();
            cluster.count_skipped_retry();
            return answered(result, retries);
        }
        outgoing.end_retry();
        let Some(permit) = cluster.budget().try_acquire(crate::clock::now(), cluster.permits()) else {
            cluster.note_refusal(Limit::Retries);
            trail.refused_by(Limit::Retries, cluster.permits());
            trail.retries_spent();
            trail.flag(ResponseFlags::UO);
            return answered(result, retries);
        };
        // The answer is given up, unread: on HTTP/1 its connection goes with it.
        drop(result);
        tried.extend(endpoint);
        clock.bounded(tokio::time::sleep(pause)).await.map_err(|failure| Error::from(failure).retried(true))?;
        outgoing.hold(permit);
    }
}

/// The request as tries need it, and whether it is kept for more than one; its mirrors are on their way.
fn begin(journey: &Journey, cluster: &Arc<ClusterHandle>, request: &mut Request<Body>) -> (Outgoing, bool) {
    let policy = journey.route().retry.as_ref();
    let mirrors = mirror::clocks(journey, request);
    let copies = policy.is_some_and(|policy| needs_copy(policy, journey, cluster, request)) || !mirrors.is_empty();
    let outgoing = Outgoing::new(std::mem::take(request), copies, &journey.shared).at_gateway(journey.at_gateway);
    mirror::send(journey, cluster, &outgoing, mirrors);
    (outgoing, copies)
}

/// The pause that the answer asks for, where that is to be heeded.
fn asked_pause(journey: &Journey, result: &Result<Response<Body>, Error>) -> Option<Duration> {
    let most = journey.shared.options.retry_after?;
    let headers = result.as_ref().ok()?.headers();
    journey.shared.chance.with(|rng| asked::pause(headers, crate::clock::wall(), most, rng))
}

/// By what endpoints are chosen, before any was tried.
fn first_pick(journey: &Journey, policy: Option<&RetryPolicy>, trail: &Trail) -> Pick<'static> {
    Pick {
        hash: journey.rare().and_then(|rare| rare.hash.as_ref()?.hash),
        avoid_tried: policy.is_some_and(|policy| policy.ignore_previous_hosts),
        elsewhere: policy.is_some_and(|policy| policy.remote_localities),
        ..Pick::first(trail.arrived())
    }
}

/// Whether nobody has got the request.
const fn is_unsent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(Failure::ConnectFailed | Failure::ConnectTimeout))
}

/// Whether the request has to be kept whole: the policy asks for more than a connection that was not
/// made.
fn needs_copy(policy: &RetryPolicy, journey: &Journey, cluster: &Arc<ClusterHandle>, request: &Request<Body>) -> bool {
    let http2 = cluster.spec().protocol.is_http2(request.version() == Version::HTTP_2, journey.at_gateway);
    policy.needs_copy(journey.grpc(), http2, journey.shared.options.profile)
}

fn answered(result: Result<Response<Body>, Error>, retries: u32) -> Result<Response<Body>, Error> {
    result.map_err(|error| error.retried(retries > 0))
}
