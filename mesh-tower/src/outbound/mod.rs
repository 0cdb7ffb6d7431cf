//! The way of a request out of this process: every step, in Envoy's order, on one page.
//!
//! One asynchronous function instead of a stack of services: the context travels as an argument,
//! the whole way is one allocation, and the order can be read. The steps are the mechanisms that
//! are also public as layers of their own ([`crate::retry`], [`crate::timeout`], ...).

mod answer;
mod attempt;
mod clock;
mod head;
mod mirror;
mod response;
mod retry;
mod route_info;

use std::sync::Arc;

use http::{Request, Response};
use mesh_core::route::prepare::{self, PrepareContext};
use mesh_core::route::{Action, Route, Routed};
use mesh_core::snapshot::TableId;
use mesh_core::{Failure, PeerView, RequestView};

use crate::chance::Chance;
use crate::cluster::ClusterHandle;
use crate::live::{Live, LiveHandle};
use crate::{Body, Error};

pub use route_info::RouteInfo;

use self::clock::Clock;
use self::head::Head;
use self::route_info::Trail;

/// What all requests of a mesh share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) live: LiveHandle,
    pub(crate) chance: Chance,
    pub(crate) options: Options,
}

/// What may be switched.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) profile: mesh_core::Profile,
    /// Bytes of a request's body that are kept for another try.
    pub(crate) replay_limit: usize,
    /// Bytes of a request's body that a mirror may lag behind.
    pub(crate) mirror_limit: usize,
}

/// Which routes apply to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listener {
    /// Those of the mesh, by the port of the URI or the given one.
    Mesh { port: Option<u16> },
    /// Those of a gateway's server.
    Gateway { port: u16 },
}

/// A request that is on its way: what was decided, and by which version.
#[derive(Debug)]
pub(crate) struct Journey {
    pub(crate) shared: Arc<Shared>,
    pub(crate) live: Arc<Live>,
    pub(crate) routed: Routed,
    pub(crate) grpc: bool,
}

impl Journey {
    pub(crate) fn route(&self) -> &Route {
        self.live.snapshot().rule(self.routed.route)
    }
}

/// Sends a request and comes back with what the caller gets: a response, always.
pub(crate) async fn send(shared: Arc<Shared>, listener: Listener, mut request: Request<Body>) -> Response<Body> {
    let arrived = crate::clock::now();
    let mut trail = Trail::new(arrived);
    let head = match Head::take(&mut request, listener) {
        Ok(head) => head,
        Err((failure, grpc)) => return answer::without_route(Error::from(failure), grpc, trail),
    };
    // Routing: the first matching route of the host's virtual host; one draw a request.
    let live = shared.live.current();
    let routed = {
        let view = head.view(&request);
        shared.chance.with(|rng| match listener {
            Listener::Mesh { .. } => live.snapshot().route(&view, rng),
            Listener::Gateway { port } => {
                let table = gateway_table(&live, port).ok_or(Failure::NoRoute)?;
                live.snapshot().route_in(table, &view, rng)
            }
        })
    };
    let routed = match routed {
        Ok(routed) => routed,
        Err(failure) => return answer::without_route(Error::from(failure), head.grpc, trail),
    };
    let journey = Journey { shared, live, routed, grpc: head.grpc };
    trail.routed(&journey);
    match outbound(&journey, &head, request, &mut trail).await {
        Ok(response) => answer::finish(response, &journey, trail),
        Err(error) => answer::local_reply(error, &journey, trail),
    }
}

fn gateway_table(live: &Live, port: u16) -> Option<TableId> {
    live.snapshot().gateway_servers().iter().find(|server| server.port == port).map(|server| server.table)
}

/// The steps of a routed request.
async fn outbound(
    journey: &Journey,
    head: &Head,
    mut request: Request<Body>,
    trail: &mut Trail,
) -> Result<Response<Body>, Error> {
    let route = journey.route();
    // Faults come before the clocks of the route and before anything is sent.
    if let Some(fault) = &route.fault {
        inject(journey, fault, trail).await?;
    }
    // Redirects and direct responses end here; unknown hosts pass through or are refused.
    let cluster = match &route.action {
        Action::Redirect(redirect) => return Ok(redirect.respond(&head.view(&request), journey.grpc).map(Body::from)),
        Action::DirectResponse(direct) => return Ok(direct.respond(&head.view(&request), journey.grpc).map(Body::from)),
        Action::Blocked => return Err(Failure::Blocked.into()),
        Action::Passthrough(id) => cluster(journey, Some(*id))?,
        Action::Forward(_) => {
            let destination = journey.live.snapshot().destination(journey.routed).ok_or(Failure::NoCluster)?;
            cluster(journey, destination.cluster.id)?
        }
    };
    // Header operations, then rewrites: endpoints and hash policies see the result.
    let mut clock = Clock::new(route.timeout, journey.grpc, request.headers(), trail.arrived);
    clock.write_headers(request.headers_mut(), route.retry.as_ref(), journey.grpc);
    let (mut parts, body) = request.into_parts();
    let context = PrepareContext { view: head.facts(trail.arrived_wall), cluster: &cluster.spec().key };
    prepare::prepare_request(route, journey.routed.destination, &mut parts, &context);
    let body = clock.watch(body);
    // Mirrors read along; they never delay, fail or change the main call.
    let request = mirror::send(journey, Request::from_parts(parts, body));
    retry::send(journey, cluster, request, &mut clock, trail).await
}

fn cluster(journey: &Journey, id: Option<mesh_core::cluster::ClusterId>) -> Result<&Arc<ClusterHandle>, Error> {
    id.and_then(|id| journey.live.cluster(id)).ok_or_else(|| Failure::NoCluster.into())
}

async fn inject(journey: &Journey, fault: &mesh_core::route::Fault, trail: &mut Trail) -> Result<(), Error> {
    let decision = journey.shared.chance.with(|rng| fault.draw(rng));
    if let Some(delay) = decision.delay {
        trail.delayed();
        tokio::time::sleep(delay).await;
    }
    decision.abort.map_or(Ok(()), |failure| Err(failure.into()))
}
