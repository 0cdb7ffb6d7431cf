//! One try: permit, endpoint, connection, answer.

use std::sync::Arc;

use http::Response;
use mesh_core::Failure;
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{EndpointSource, UpstreamProtocol};
use mesh_core::failure::Limit;
use mesh_core::lb::Pick;

use super::outgoing::Outgoing;
use super::response::Holding;
use super::route_info::Trail;
use crate::chance::Chance;
use crate::cluster::{ClusterHandle, LOOKUP_TIMEOUT, Member};
use crate::endpoint::{Checkout, Protocol, Sent, Unanswered};
use crate::telemetry::Group;
use crate::timeout::clock::Clock;
use crate::{Body, Error, body};

/// What a try came to, and what it tells the outlier detection and the retry policy.
pub(crate) struct Tried {
    pub(crate) result: Result<Response<Body>, Error>,
    pub(crate) outcome: Outcome,
    /// Where it went, if it got that far: one that was still waiting for a connection says nothing
    /// about the endpoint.
    pub(crate) endpoint: Option<Arc<EndpointState>>,
}

impl Tried {
    /// It got to no endpoint.
    fn nowhere(error: Error) -> Self {
        Self { outcome: Outcome::Failed(error.failure()), result: Err(error), endpoint: None }
    }
}

/// Sends a request to one endpoint of the cluster; `pick` says by what it is chosen.
pub(crate) async fn send(
    cluster: &Arc<ClusterHandle>,
    chance: &Chance,
    grpc: bool,
    outgoing: &mut Outgoing,
    pick: Pick<'_>,
    clock: &mut Clock,
    trail: &mut Trail,
) -> Tried {
    outgoing.begin_try();
    trail.try_begins(outgoing.headers_mut());
    let place = place_of(cluster, outgoing);
    let member = match choose(cluster, chance, place.as_ref(), pick, clock).await {
        Ok(member) => member,
        Err(error) => return Tried::nowhere(error),
    };
    if outgoing.is_barred_from(&member.state) {
        let why = format!("{} may not be connected to for this", member.state.address());
        return Tried::nowhere(Error::with_source(Failure::NoHealthyUpstream, why));
    }
    trail.chosen(&member.state, member.group.as_ref());
    trail.sent_by(|| cluster.tls(&member.state, outgoing.is_https()).is_some());
    let (answer, counts) = exchange(cluster, &member, outgoing, clock, trail)
        .await
        .map_or_else(|missed| (Err(missed), Counts::default()), |(answer, counts)| (Ok(answer), counts));
    trail.counts_in(counts.group.as_ref());
    trail.sends(counts.sent);
    let is_carried = clock.deadline().is_carried();
    let tried = tried_at(cluster, member, place, answer, grpc, is_carried);
    if grpc && outgoing.peeks() {
        // Boxed, since few ask for it: it would make every call larger.
        return Box::pin(peeked(tried, clock)).await;
    }
    tried
}

/// The same with the status that stands in trailers, if they come right behind the headers. An answer whose first frame
/// does not come in time stays as it is: what reads it will see.
async fn peeked(mut tried: Tried, clock: &mut Clock) -> Tried {
    if let Ok(answer) = &mut tried.result
        && let Ok(Some(trailers)) = clock.bounded(body::peeked::leading_trailers(answer.body_mut())).await
    {
        tried.outcome = tried.outcome.with_trailers(&trailers);
    }
    tried
}

/// What a try came to for which there was an endpoint.
fn tried_at(
    cluster: &Arc<ClusterHandle>,
    member: Member,
    place: Option<Place>,
    answer: Result<Response<Body>, Missed>,
    grpc: bool,
    is_carried: bool,
) -> Tried {
    let (result, outcome) = match answer {
        Ok(response) => {
            let outcome = Outcome::of_response(response.status(), response.headers());
            (Ok(response), outcome)
        }
        Err(Missed { error, queued: true }) => return Tried::nowhere(error),
        // Ours to mend, and no fault of the endpoint's.
        Err(Missed { error, .. }) if error.failure() == Failure::TlsNotServed => return Tried::nowhere(error),
        // Who asks for it had no more time; a stranger's short patience is not to take endpoints out.
        Err(Missed { error, .. }) if is_carried && error.failure() == Failure::RequestTimeout => {
            return Tried::nowhere(error);
        }
        Err(Missed { error, queued: false }) => {
            let outcome = Outcome::Failed(error.failure());
            if let Failure::Overflow(limit) = error.failure() {
                cluster.note_refusal(limit);
            }
            (Err(error), outcome)
        }
    };
    // A name may have come to mean another place.
    if let (Some((host, port)), Outcome::Failed(Failure::ConnectFailed | Failure::ConnectTimeout)) = (place, outcome) {
        cluster.forget(&host, port);
    }
    // Only a gRPC caller's `grpc-status` says how the endpoint is.
    let counted = if grpc { outcome } else { outcome.without_grpc_status() };
    cluster.on_outcome(&member.state, &counted);
    Tried { result, outcome, endpoint: Some(member.state) }
}

/// Where a request goes that says so itself.
type Place = (Box<str>, u16);

/// The request's own authority, if it decides; nothing where the cluster has endpoints.
fn place_of(cluster: &Arc<ClusterHandle>, outgoing: &Outgoing) -> Option<Place> {
    let EndpointSource::OriginalDestination { port } = cluster.spec().endpoints else { return None };
    let authority = outgoing.authority()?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    Some((host.into(), port.or(authority.port_u16()).unwrap_or_else(|| outgoing.default_port())))
}

async fn choose(
    cluster: &Arc<ClusterHandle>,
    chance: &Chance,
    place: Option<&Place>,
    pick: Pick<'_>,
    clock: &mut Clock,
) -> Result<Member, Error> {
    clock.bounded(cluster.looked_up()).await?;
    let pick = Pick { now: clock.now(), ..pick };
    let Some((host, port)) = place else {
        return chance.with(|rng| cluster.pick(&pick, rng)).map_err(Error::from);
    };
    let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, cluster.members_at(host, *port));
    let members = clock.bounded(lookup).await?.map_err(|_| Failure::NoHealthyUpstream)??;
    chance.with(|rng| members.pick(&pick, rng)).ok_or_else(|| Failure::NoHealthyUpstream.into())
}

/// What an answered request counts in, and how much was sent of it.
#[derive(Default)]
struct Counts {
    sent: Option<Sent>,
    /// Where that is another than the endpoint's.
    group: Option<Arc<Group>>,
}

/// Why there is no answer.
struct Missed {
    error: Error,
    /// The time was over before there was a connection.
    queued: bool,
}

impl<E: Into<Error>> From<E> for Missed {
    fn from(error: E) -> Self {
        Self { error: error.into(), queued: false }
    }
}

/// Times a connection that turns out to be closed is replaced by another one within a try.
const RECONNECTS: u32 = 3;

#[expect(clippy::manual_async_fn, reason = "an asynchronous function holds its arguments twice")]
fn exchange(
    cluster: &Arc<ClusterHandle>,
    member: &Member,
    outgoing: &mut Outgoing,
    clock: &mut Clock,
    trail: &mut Trail,
) -> impl Future<Output = Result<(Response<Body>, Counts), Missed>> {
    async move {
        let active = member.state.begin();
        let protocol = protocol_of(cluster.spec().protocol, outgoing);
        let mut reconnects = 0;
        // A stream that is then not used wears its connection all the same where that serves only so many.
        if protocol == Protocol::Http2 && cluster.spec().pool.max_requests_per_connection > 0 {
            drop(cluster.permits().try_acquire(Limit::Requests)?);
        }
        loop {
            let checkout = clock.bounded(connection(cluster, member, outgoing, protocol)).await;
            let ready_connection = checkout.map_err(|late| Missed { error: late.into(), queued: true })??;
            // As in Envoy a request counts once it has a connection: those that wait have a limit of their own.
            let request_permit = cluster.permits().try_acquire(Limit::Requests)?;
            cluster.on_connected(&member.state);
            let ready = clock.now();
            let request = outgoing.next_request(clock).ok_or(Failure::LocalReset)?;
            match clock.answering(ready, trail.connected(ready_connection).send(request)).await? {
                Ok((response, lease)) => {
                    let watcher = cluster.watcher(&member.state);
                    let holding = Holding { _request: request_permit, _active: active, lease, watcher };
                    let counts = Counts { sent: holding.sent(), group: holding.group(member.group.as_ref()) };
                    return Ok((holding.keep(response, clock), counts));
                }
                Err(Unanswered { error, unsent, is_stale }) => {
                    // A connection that its peer had closed meanwhile: nothing was sent, so another one
                    // may serve the same try.
                    outgoing.broke(is_stale);
                    let again = is_stale && unsent.is_some() && reconnects < RECONNECTS;
                    outgoing.give_back(unsent);
                    if !again {
                        return Err(error.into());
                    }
                    reconnects += 1;
                }
            }
        }
    }
}

/// A connection to the endpoint, encrypted as the policy or the request asks: never less.
///
/// Not an asynchronous function, which would hold the request.
fn connection(
    cluster: &Arc<ClusterHandle>,
    member: &Member,
    outgoing: &Outgoing,
    protocol: Protocol,
) -> impl Future<Output = Result<Checkout, Error>> + use<> {
    let tls = cluster.tls(&member.state, outgoing.is_https());
    let host = || outgoing.authority().map_or("", http::uri::Authority::host);
    member.pool.checkout_with(protocol, tls.map(|originator| (originator, host())), outgoing.wants_fresh())
}

/// An upgrade needs HTTP/1, whatever the cluster speaks otherwise.
fn protocol_of(spec: UpstreamProtocol, outgoing: &Outgoing) -> Protocol {
    if !outgoing.is_upgrade() && outgoing.wants_http2(spec) { Protocol::Http2 } else { Protocol::Http1 }
}
