//! The way of a request out of this process: every step, in Envoy's order, on one page.
//!
//! One asynchronous function instead of a stack of services: the context travels as an argument,
//! the whole way is one allocation, and the order can be read. The mechanisms themselves are pure
//! functions of mesh-core and the pieces beside this file.

mod added;
mod answer;
mod attempt;
pub(crate) mod direct;
mod hash;
mod head;
mod headers;
mod mirror;
mod outgoing;
mod response;
mod retry;
mod route_info;
mod shared;
mod timed;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use mesh_core::deadline::Deadline;
use mesh_core::route::substitution::Exchange;
use mesh_core::route::{Action, Fault, RequestHash, RequestHead, Route, Routed, prepare};
use mesh_core::snapshot::TableId;
use mesh_core::telemetry::Side;
use mesh_core::{Failure, Profile, Scheme};

use crate::cluster::ClusterHandle;
use crate::hops::Nature;
use crate::inbound::Guard;
use crate::live::Live;
use crate::telemetry::{About, Begun, Metrics, Recording};
use crate::timeout::clock::Clock;
use crate::{Body, Error, explained, inbound};

pub use added::AddedHeader;
pub(crate) use headers::EXPECTED_TIMEOUT;
pub(crate) use outgoing::Barred;
pub(crate) use response::Answer;
pub use route_info::RouteInfo;
pub(crate) use shared::{Options, Shared};

use self::head::Head;
pub(crate) use self::head::ToldAtGateway;
use self::route_info::{AnsweredBy, Trail};

/// Which routes apply to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listener {
    /// Those of the mesh, by the port of the URI or the given one.
    Mesh { port: Option<u16> },
    /// Those of a gateway's listener, for a caller at an address.
    Gateway { port: u16, table: Option<TableId>, is_tls: bool, caller: Option<Caller> },
}

/// Where a gateway's caller is: what counts of its address, in less room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    ip: IpAddr,
    port: u16,
}

impl From<SocketAddr> for Caller {
    fn from(at: SocketAddr) -> Self {
        Self { ip: at.ip(), port: at.port() }
    }
}

impl From<Caller> for SocketAddr {
    fn from(caller: Caller) -> Self {
        Self::new(caller.ip, caller.port)
    }
}

/// A request that is on its way: what was decided, and by which version.
#[derive(Debug)]
pub(crate) struct Journey {
    shared: Arc<Shared>,
    live: Arc<Live>,
    routed: Routed,
    head: Head,
    protocol: Version,
    /// Where a gateway's caller is.
    caller: Option<Caller>,
    at_gateway: bool,
    /// The time of day, where header operations may write it.
    began: Option<SystemTime>,
    /// What few requests have, in one box, since room is dear here.
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    /// The origin of a browser that may call.
    origin: Option<HeaderValue>,
    /// What it sticks to its endpoint by, where it does.
    hash: Option<RequestHash>,
    /// The head as it was sent on, where response header operations read it.
    kept: Option<KeptHead>,
}

#[derive(Debug)]
struct KeptHead {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

/// A request that no rule takes.
enum Unrouted {
    Failed {
        failure: Failure,
        grpc: bool,
    },
    /// At a gateway it was not let in, and this is the answer.
    Refused(Box<Response<Body>>),
}

impl Unrouted {
    fn answer(self, mut trail: Trail) -> Response<Body> {
        match self {
            Self::Failed { failure, grpc } => {
                trail.is_grpc = grpc;
                answer::unrouted(&failure.into(), grpc, trail)
            }
            Self::Refused(response) => answer::refused(*response, trail),
        }
    }
}

impl Journey {
    /// Finds the rule of a request: the first matching route of its host's virtual host. One draw a request.
    fn begin(
        shared: Arc<Shared>,
        live: Arc<Live>,
        listener: Listener,
        head: Head,
        request: &mut Request<Body>,
    ) -> Result<Self, Unrouted> {
        // Where those have changed headers who were asked about the request, and that is to make no difference here.
        let routed_by = request.extensions_mut().remove::<inbound::RoutedBy>();
        let changed = routed_by.map(|inbound::RoutedBy(before)| std::mem::replace(request.headers_mut(), before));
        let routed = route(&shared, &live, listener, &head, request).map_err(|failure| Unrouted::Failed {
            failure: if head.upgrade_refused { Failure::UpgradeRefused } else { failure },
            grpc: head.grpc,
        });
        if let Some(changed) = changed {
            *request.headers_mut() = changed;
        }
        let routed = routed?;
        explained::trace(&live, listener, request, head.port, routed.draw);
        let protocol = request.version();
        let (caller, at_gateway) = match listener {
            Listener::Gateway { caller, .. } => (caller, true),
            Listener::Mesh { .. } => (None, false),
        };
        let (began, rare) = (None, None);
        let mut journey = Self { shared, live, routed, head, protocol, caller, at_gateway, began, rare };
        if journey.route().carried {
            journey.head.take_back(request.headers_mut());
        }
        journey.note_beginning();
        Ok(journey)
    }

    fn grpc(&self) -> bool {
        self.head.grpc
    }

    /// What is heeded of how this request came to be made: nothing where Istio would not.
    fn nature(&self) -> Nature {
        if self.is_safe() { self.head.nature } else { Nature::default() }
    }

    fn is_safe(&self) -> bool {
        self.shared.options.profile == Profile::Safe
    }

    fn route(&self) -> &Route {
        self.live.snapshot().rule(self.routed.route)
    }

    fn exchange(&self) -> Exchange<'_> {
        let began = self.began.unwrap_or(SystemTime::UNIX_EPOCH);
        Exchange {
            protocol: self.protocol,
            downstream_remote: self.caller.map(SocketAddr::from),
            ..Exchange::new(began)
        }
    }

    fn note_beginning(&mut self) {
        let destination = self.routed.destination;
        if prepare::changes_request(self.route(), destination) || prepare::changes_response(self.route(), destination) {
            self.began = Some(crate::clock::wall());
        }
    }

    fn keep_head(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap) {
        if prepare::response_reads_request(self.route(), self.routed.destination) {
            let (method, uri, headers) = (method.clone(), uri.clone(), headers.clone());
            self.rare_mut().kept = Some(KeptHead { method, uri, headers });
        }
    }

    fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn kept_head(&self) -> Option<RequestHead<'_>> {
        self.rare()
            .and_then(|rare| rare.kept.as_ref())
            .map(|kept| RequestHead::of_uri(&kept.method, &kept.uri, &kept.headers))
    }

    /// Where the rule sends the request.
    fn cluster(&self) -> Result<&Arc<ClusterHandle>, Error> {
        let id = match &self.route().action {
            Action::Passthrough(id) => Some(*id),
            Action::Forward(_) => self.live.snapshot().destination(self.routed).and_then(|to| to.cluster.id),
            _ => return Err(Failure::Blocked.into()),
        };
        id.and_then(|id| self.live.cluster(id)).ok_or_else(|| Failure::NoCluster.into())
    }
}

/// Sends a request and comes back with what the caller gets: a response, always.
///
/// What is awaited here is moved a few times, into boxes and into whatever awaits it, so it is kept
/// small: the steps borrow the request where they await something, and moves of it are left to functions
/// that do not.
#[expect(clippy::manual_async_fn, reason = "an asynchronous function holds its arguments twice")]
pub(crate) fn send(
    shared: Arc<Shared>,
    live: Arc<Live>,
    listener: Listener,
    mut request: Request<Body>,
) -> impl Future<Output = Response<Body>> + Send {
    async move {
        // Whoever answers, and whatever the answer would be: none to HEAD has a body.
        let bodiless = request.method() == Method::HEAD;
        let mut trail = begin_trail(&shared, &live, listener, &request);
        // What is matched on here lasts no longer than the statement: it would be kept while the endpoint is waited for.
        let (mut journey, added) = match match take_head(&shared, &live, listener, &mut request, &mut trail) {
            Ok((head, None)) => {
                Journey::begin(shared, live, listener, head, &mut request).map(|journey| (journey, None))
            }
            // Boxed, since what is awaited for it is large.
            Ok((head, Some(guard))) => Box::pin(admit(guard, shared, live, listener, head, &mut request)).await,
            Err(unrouted) => Err(unrouted),
        } {
            Ok(begun) => begun,
            Err(unrouted) => {
                trail.tell(None, &request);
                return without_body(bodiless, unrouted.answer(trail));
            }
        };
        let answered = outbound(&mut journey, &mut request, &mut trail).await;
        trail.tell(Some(&journey), &request);
        let mut response = match answered {
            Ok(response) => answer::finish(response, journey, trail),
            Err(error) => answer::failed(&error, journey, trail),
        };
        if let Some(added) = added {
            inbound::append(response.headers_mut(), &added);
        }
        without_body(bodiless, response)
    }
}

fn begin_trail(shared: &Shared, live: &Arc<Live>, listener: Listener, request: &Request<Body>) -> Trail {
    let now = crate::clock::now();
    let mut recording = Recording::begin(shared, live, Side::Client, request);
    if let (Some(recording), Listener::Gateway { port, caller, .. }) = (&mut recording, listener) {
        let at = SocketAddr::from(([0, 0, 0, 0], port));
        recording.came(caller.map(SocketAddr::from), Some(at));
    }
    let group = shared.metrics.as_ref().map(Metrics::to_nobody);
    let begun = (group.is_some() || recording.is_some()).then(|| {
        let body = request.body();
        let there = if body.is_full() { http_body::Body::size_hint(body).lower() } else { 0 };
        Begun::new(group, recording, request, there)
    });
    Trail::new(now, begun)
}

fn without_body(bodiless: bool, response: Response<Body>) -> Response<Body> {
    if bodiless { response.map(|_| Body::empty()) } else { response }
}

/// Lets a request in at a gateway, if it may come in. With what is to be added to its answer.
async fn admit(
    guard: Guard,
    shared: Arc<Shared>,
    live: Arc<Live>,
    listener: Listener,
    head: Head,
    request: &mut Request<Body>,
) -> Result<(Journey, Option<Box<HeaderMap>>), Unrouted> {
    let added = guard.admitted(&live, request).await.map_err(Unrouted::Refused)?;
    Ok((Journey::begin(shared, live, listener, head, request)?, added))
}

/// Brings a request into canonical form. At a gateway there may be somebody who has to let it in.
fn take_head(
    shared: &Arc<Shared>,
    live: &Live,
    listener: Listener,
    request: &mut Request<Body>,
    trail: &mut Trail,
) -> Result<(Head, Option<Guard>), Unrouted> {
    if !live.is_complete() {
        let grpc = mesh_core::route::reply::is_grpc(request.headers());
        return Err(Unrouted::Failed { failure: Failure::NotReady, grpc });
    }
    let mut head = Head::take(request, listener, &shared.options, live.snapshot().path_normalization())
        .map_err(|(failure, grpc)| Unrouted::Failed { failure, grpc })?;
    if head.grpc {
        trail.is_call(request.body());
    }
    if let Some(traces) = &shared.traces
        && !traces.is_settled(request.headers(), head.says_trace)
    {
        let edge = match listener {
            Listener::Gateway { caller, .. } => Some(caller.map(SocketAddr::from)),
            Listener::Mesh { .. } => None,
        };
        let is_https = head.scheme == Scheme::Https;
        let about = About { side: Side::Client, says_itself: head.says_trace, is_grpc: head.grpc, is_https, edge };
        let (begun, added) = traces.begin(live, &shared.chance, request, about);
        trail.traced = begun;
        head.adds_trace(added.0);
    }
    let guard = match listener {
        Listener::Gateway { port, caller, is_tls, .. } if live.snapshot().judges() => {
            let scheme = if is_tls { Scheme::Https } else { Scheme::Http };
            Some(Guard::at_gateway(Arc::clone(shared), port, caller.map(|caller| caller.ip), scheme))
        }
        _ => None,
    };
    Ok((head, guard))
}

fn route(
    shared: &Shared,
    live: &Live,
    listener: Listener,
    head: &Head,
    request: &Request<Body>,
) -> Result<Routed, Failure> {
    let view = head.view(request);
    shared.chance.for_route(request.extensions(), |rng| match listener {
        Listener::Mesh { .. } => live.snapshot().route(&view, rng),
        Listener::Gateway { table, .. } => live.snapshot().route_in(table.ok_or(Failure::NoRoute)?, &view, rng),
    })
}

/// The steps of a routed request.
async fn outbound(
    journey: &mut Journey,
    request: &mut Request<Body>,
    trail: &mut Trail,
) -> Result<Response<Body>, Error> {
    if journey.head.upgrade_refused {
        return Err(Failure::UpgradeRefused.into());
    }
    // An answer of our own may tell of the request too.
    journey.keep_head(request.method(), request.uri(), request.headers());
    // Faults come before the clocks of the route and before anything is sent.
    let begins = match &journey.route().fault {
        Some(fault) => inject(journey, fault, trail).await?,
        None => trail.arrived(),
    };
    // Preflights are answered even where the destination is missing.
    if let Some(reply) = answer::preflight(journey, request) {
        trail.answered_by(AnsweredBy::Cors);
        return Ok(reply);
    }
    // Redirects and direct responses end here.
    if let Some(reply) = answer::of_route(journey, request) {
        trail.answered_by(AnsweredBy::Rule);
        return Ok(reply);
    }
    // A destination that does not exist is refused before anything else is made of the request.
    hash::read(journey, request)?;
    let mut clock = make_ready(journey, request, begins);
    // Mirrors, tries, and tries again.
    trail.answered_by(AnsweredBy::Upstream);
    if !journey.route().carried {
        trail.traced.announce(request.headers_mut());
    }
    trail.tell(Some(journey), request);
    let cluster = journey.cluster()?;
    introduce(journey, cluster, request);
    retry::send(journey, cluster, request, &mut clock, trail).await
}

/// Tells a service of the mesh who calls, where requests are counted.
fn introduce(journey: &Journey, cluster: &ClusterHandle, request: &mut Request<Body>) {
    let Shared { metrics: Some(metrics), options, .. } = &*journey.shared else { return };
    let is_wanted = !journey.route().carried && !options.left_out.has(AddedHeader::PeerMetadata);
    if is_wanted && !cluster.spec().is_external {
        metrics.tell(request.headers_mut());
    }
}

/// Clocks, then header operations and rewrites in Envoy's order: endpoints see the result.
fn make_ready(journey: &mut Journey, request: &mut Request<Body>, begins: Instant) -> Clock {
    let per_try = journey.route().retry.as_ref().and_then(|retry| retry.per_try_timeout);
    let mut deadline = Deadline::new(journey.route().timeout, per_try, journey.grpc(), request.headers());
    if journey.shared.options.carry_deadline {
        deadline = deadline.within(inbound::time_left(begins));
    }
    let mut clock = Clock::new(deadline, begins);
    if !journey.route().carried {
        headers::begin(request.headers_mut(), &clock, journey.shared.options.left_out);
    }
    if prepare::touches_request(journey.route(), journey.routed.destination) {
        let (mut parts, body) = std::mem::take(request).into_parts();
        prepare::prepare_request(journey.route(), journey.routed.destination, &mut parts, &journey.exchange());
        headers::hide_originals(&mut parts.headers, journey.shared.options.left_out);
        *request = Request::from_parts(parts, body);
    }
    journey.keep_head(request.method(), request.uri(), request.headers());
    clock.watch(request.body_mut(), journey.is_safe());
    clock
}

/// Gives when the request goes on.
async fn inject(journey: &Journey, fault: &Fault, trail: &mut Trail) -> Result<Instant, Error> {
    let decision = journey.shared.chance.with(|rng| fault.draw(rng));
    let mut goes_on = trail.arrived();
    if let Some(delay) = decision.delay {
        trail.flag(mesh_core::ResponseFlags::DI);
        tokio::time::sleep(delay).await;
        goes_on = crate::clock::now();
    }
    decision.abort.map_or(Ok(goes_on), |failure| Err(failure.into()))
}
