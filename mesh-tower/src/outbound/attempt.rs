//! One try: permit, endpoint, connection, answer.

use std::sync::Arc;

use http::{Request, Response, Version};
use mesh_core::Failure;
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{EndpointSource, TlsSpec, UpstreamProtocol};
use mesh_core::failure::Limit;
use mesh_core::lb::Pick;

use super::clock::Clock;
use super::response::Holding;
use super::retry::Outgoing;
use super::route_info::Trail;
use crate::chance::Chance;
use crate::cluster::{ClusterHandle, LOOKUP_TIMEOUT, Member};
use crate::endpoint::Protocol;
use crate::{Body, Error};

/// What a try came to, and what it tells the outlier detection and the retry policy.
pub(crate) struct Tried {
    pub(crate) result: Result<Response<Body>, Error>,
    pub(crate) outcome: Outcome,
    /// Where it went, if it got that far.
    pub(crate) endpoint: Option<Arc<EndpointState>>,
}

impl Tried {
    fn failed(error: Error, endpoint: Option<Arc<EndpointState>>) -> Self {
        Self { outcome: Outcome::Failed(error.failure()), result: Err(error), endpoint }
    }
}

/// Sends a request to one endpoint of the cluster, avoiding those in `tried`.
pub(crate) async fn send(
    cluster: &ClusterHandle,
    chance: &Chance,
    outgoing: &mut Outgoing,
    tried: &[Arc<EndpointState>],
    clock: &mut Clock,
    trail: &mut Trail,
) -> Tried {
    let member = match choose(cluster, chance, outgoing, tried, clock).await {
        Ok(member) => member,
        Err(error) => return Tried::failed(error, None),
    };
    trail.chosen(&member.state);
    let tried = deliver(cluster, &member, outgoing, clock).await;
    cluster.on_outcome(crate::clock::now(), &member.state, &tried.outcome);
    tried
}

async fn choose(
    cluster: &ClusterHandle,
    chance: &Chance,
    outgoing: &Outgoing,
    tried: &[Arc<EndpointState>],
    clock: &mut Clock,
) -> Result<Member, Error> {
    let pick = Pick { hash: None, tried, now: crate::clock::now() };
    if !matches!(cluster.spec().endpoints, EndpointSource::OriginalDestination) {
        return chance.with(|rng| cluster.pick(&pick, rng)).map_err(Error::from);
    }
    let authority = outgoing.authority().ok_or(Failure::MalformedRequest)?;
    let host = authority.host();
    let port = authority.port_u16().unwrap_or_else(|| outgoing.default_port());
    let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, cluster.members_at(host, port));
    let members = clock.bounded(lookup).await?.map_err(|_| Failure::NoHealthyUpstream)??;
    chance.with(|rng| members.pick(&pick, rng)).ok_or_else(|| Failure::NoHealthyUpstream.into())
}

async fn deliver(cluster: &ClusterHandle, member: &Member, outgoing: &mut Outgoing, clock: &mut Clock) -> Tried {
    let endpoint = Some(Arc::clone(&member.state));
    let failed = |error: Error| Tried::failed(error, endpoint.clone());
    if let TlsSpec::NotYetServed(mode) = &cluster.spec().tls {
        // Never send in plaintext what the configuration asks to protect.
        let why = format!("the DestinationRule asks for TLS mode {mode}, which does not act yet");
        return failed(Error::with_source(Failure::ConnectFailed, why));
    }
    let permit = match cluster.permits().try_acquire(Limit::Requests) {
        Ok(permit) => permit,
        Err(failure) => return failed(failure.into()),
    };
    let active = member.state.begin();
    let protocol = protocol_of(cluster.spec().protocol, outgoing);
    let connection = match clock.bounded(member.pool.checkout(protocol)).await {
        Err(failure) => return failed(failure.into()),
        Ok(Err(error)) => {
            forget_place(cluster, outgoing);
            return failed(error);
        }
        Ok(Ok(connection)) => connection,
    };
    cluster.on_connected(&member.state);
    let ready = crate::clock::now();
    let request = outgoing.next_request(clock, ready);
    match clock.answering(ready, connection.send(request)).await {
        Err(failure) => failed(failure.into()),
        Ok(Err(unsent)) => {
            outgoing.give_back(unsent.request);
            failed(unsent.error)
        }
        Ok(Ok(response)) => Tried {
            outcome: Outcome::of_response(response.status(), response.headers()),
            result: Ok(Holding { permit, active }.keep(response, clock)),
            endpoint,
        },
    }
}

fn forget_place(cluster: &ClusterHandle, outgoing: &Outgoing) {
    if matches!(cluster.spec().endpoints, EndpointSource::OriginalDestination) {
        if let Some(authority) = outgoing.authority() {
            cluster.forget(authority.host(), authority.port_u16().unwrap_or_else(|| outgoing.default_port()));
        }
    }
}

/// An upgrade needs HTTP/1, whatever the cluster speaks otherwise.
fn protocol_of(spec: UpstreamProtocol, outgoing: &Outgoing) -> Protocol {
    match spec {
        _ if outgoing.is_upgrade() => Protocol::Http1,
        UpstreamProtocol::Http1 => Protocol::Http1,
        UpstreamProtocol::Http2 => Protocol::Http2,
        UpstreamProtocol::FollowCaller if outgoing.version() == Version::HTTP_2 => Protocol::Http2,
        UpstreamProtocol::FollowCaller => Protocol::Http1,
    }
}

/// A request that no try needs any more.
pub(crate) type Unsent = Option<Request<Body>>;
