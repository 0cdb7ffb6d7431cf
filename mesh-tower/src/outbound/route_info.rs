//! What became of a request, for whoever wants to know why.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use mesh_core::cluster::EndpointAddress;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::failure::Limit;
use mesh_core::limits::Permits;
use mesh_core::route::{Action, Route, Routed};
use mesh_core::telemetry::standard::Security;
use mesh_core::{Failure, ResponseFlags};

use super::Journey;
use crate::endpoint::{Checkout, Sent};
use crate::live::Live;
use crate::telemetry::{Begun, Group, Traced};
use crate::{Body, Error};

/// How the mesh handled a request; an extension of every response of a [`MeshClient`](crate::MeshClient).
#[derive(Clone)]
pub struct RouteInfo {
    routed: Option<(Arc<Live>, Routed)>,
    endpoint: Option<Arc<EndpointState>>,
    attempts: u32,
    flags: ResponseFlags,
    details: &'static str,
    skipped_retries: u32,
    over_limit: Option<(Limit, u32)>,
}

impl RouteInfo {
    /// The rule that took the request; `None` if none did.
    pub fn route(&self) -> Option<&Route> {
        self.routed.as_ref().map(|(live, routed)| live.snapshot().rule(routed.route))
    }

    /// The rule's name, empty if it has none.
    pub fn route_name(&self) -> &str {
        self.route().map_or("", |route| &route.name)
    }

    /// The name of the chosen cluster, such as `outbound|9080|v1|reviews.default.svc.cluster.local`.
    pub fn cluster_name(&self) -> Option<&str> {
        let (live, routed) = self.routed.as_ref()?;
        cluster_name(live, *routed)
    }

    /// The endpoint of the last try.
    pub fn endpoint(&self) -> Option<&EndpointAddress> {
        self.endpoint.as_deref().map(EndpointState::address)
    }

    /// Tries that were made, failed connections and one that found no endpoint included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Retries that the policy asked for but the request's body, too long to be kept, did not allow.
    pub fn skipped_retries(&self) -> u32 {
        self.skipped_retries
    }

    /// The limit that turned the request, or a retry of it, away, and its value; `u32::MAX` where it was the retry
    /// budget. The response has the flag `UO` then.
    pub fn over_limit(&self) -> Option<(Limit, u32)> {
        self.over_limit
    }

    /// Envoy's response flags.
    pub fn flags(&self) -> ResponseFlags {
        self.flags
    }

    /// Envoy's response code details, such as `via_upstream` or `route_not_found`.
    pub fn details(&self) -> &'static str {
        self.details
    }

    /// The version of the configuration that decided; 0 if none did.
    pub fn version(&self) -> u64 {
        self.routed.as_ref().map_or(0, |(live, _)| live.version())
    }
}

/// The name of the cluster that a request was routed to.
fn cluster_name(live: &Live, routed: Routed) -> Option<&str> {
    match &live.snapshot().rule(routed.route).action {
        Action::Passthrough(id) => Some(&live.snapshot().cluster(*id).name),
        _ => live.snapshot().destination(routed).map(|destination| &*destination.cluster.name),
    }
}

impl fmt::Debug for RouteInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteInfo")
            .field("route", &self.route_name())
            .field("cluster", &self.cluster_name())
            .field("endpoint", &self.endpoint().map(ToString::to_string))
            .field("attempts", &self.attempts)
            .field("flags", &self.flags)
            .field("details", &self.details)
            .finish_non_exhaustive()
    }
}

/// What answers a request that nothing keeps from it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnsweredBy {
    /// It got to no rule.
    Nobody,
    /// The rule, whether a browser may call.
    Cors,
    /// The rule.
    Rule,
    Upstream,
}

impl AnsweredBy {
    const fn details(self) -> &'static str {
        match self {
            Self::Nobody => "",
            Self::Cors => "cors_response",
            Self::Rule => "direct_response",
            Self::Upstream => "via_upstream",
        }
    }
}

/// Collects a [`RouteInfo`] along the way.
#[derive(Debug)]
pub(crate) struct Trail {
    arrived: Instant,
    endpoint: Option<Arc<EndpointState>>,
    attempts: u32,
    flags: ResponseFlags,
    skipped_retries: u32,
    over_limit: Option<(Limit, u32)>,
    spent: bool,
    /// What answered, unless something failed.
    answered_by: AnsweredBy,
    failure: Option<Failure>,
    /// What is measured of it; apart from whether it is gRPC, which finds room here.
    begun: Option<Begun>,
    pub(crate) is_grpc: bool,
    /// What is traced of it.
    pub(crate) traced: Traced,
}

impl Trail {
    pub(crate) fn new(arrived: Instant, begun: Option<Begun>) -> Self {
        Self {
            begun,
            is_grpc: false,
            traced: Traced::default(),
            arrived,
            endpoint: None,
            attempts: 0,
            flags: ResponseFlags::NONE,
            skipped_retries: 0,
            over_limit: None,
            answered_by: AnsweredBy::Nobody,
            spent: false,
            failure: None,
        }
    }

    /// It is a gRPC request, and this its body.
    pub(crate) fn is_call(&mut self, body: &Body) {
        self.is_grpc = true;
        if let Some(begun) = &mut self.begun {
            begun.is_call(body);
        }
    }

    pub(crate) fn arrived(&self) -> Instant {
        self.arrived
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn flags(&self) -> ResponseFlags {
        self.flags
    }

    pub(crate) fn details(&self) -> &'static str {
        self.failure.map_or(self.answered_by.details(), Failure::details)
    }

    pub(crate) fn endpoint(&self) -> Option<&EndpointState> {
        self.endpoint.as_deref()
    }

    pub(crate) fn endpoint_socket(&self) -> Option<SocketAddr> {
        match self.endpoint()?.address() {
            EndpointAddress::Socket(address) => Some(*address),
            _ => None,
        }
    }

    pub(crate) fn over_limit(&self) -> Option<(Limit, u32)> {
        self.over_limit
    }

    /// Notes the limit that was in the way.
    pub(crate) fn refused_by(&mut self, limit: Limit, permits: &Permits) {
        self.over_limit = Some((limit, permits.limit(limit)));
    }

    /// Counts a try, whether there is an endpoint for it or not.
    pub(crate) fn try_begins(&mut self, headers: Option<&mut HeaderMap>) {
        self.attempts += 1;
        self.traced.try_begins(headers);
    }

    /// What a try came to; `endpoint` is where it went, if it got that far.
    pub(crate) fn try_ended(&mut self, result: &Result<Response<Body>, Error>, endpoint: Option<&Arc<EndpointState>>) {
        self.traced.try_ended(endpoint, result);
    }

    pub(crate) fn chosen(&mut self, endpoint: &Arc<EndpointState>, group: Option<&Arc<Group>>) {
        self.endpoint = Some(Arc::clone(endpoint));
        self.counts_in(group);
        // That of a try before is none of this one.
        if let Some(recording) = self.begun.as_mut().and_then(Begun::recording) {
            recording.record().upstream_local = None;
        }
    }

    /// How its last try is sent, where somebody wants to know.
    pub(crate) fn sent_by(&mut self, is_tls: impl FnOnce() -> bool) {
        if let Some(recording) = self.begun.as_mut().and_then(Begun::recording) {
            recording.sent(is_tls());
        }
    }

    /// What the request counts in from now on.
    pub(crate) fn counts_in(&mut self, group: Option<&Arc<Group>>) {
        if let (Some(begun), Some(group)) = (&mut self.begun, group) {
            begun.goes_to(group);
        }
    }

    /// Takes what the endpoint tells of itself out of the headers of its answer.
    pub(crate) fn hear(&mut self, headers: &mut http::HeaderMap) {
        if let Some(begun) = &mut self.begun {
            begun.hear(headers);
        }
    }

    /// Notes where the connection comes from that a try goes over, and gives it back: what is borrowed is kept while its
    /// answer is awaited.
    pub(crate) fn connected(&mut self, connection: Checkout) -> Checkout {
        if let Some(recording) = self.begun.as_mut().and_then(Begun::recording) {
            recording.record().upstream_local = connection.local();
        }
        connection
    }

    /// What of the request's body was not there at the beginning is counted there.
    pub(crate) fn sends(&mut self, sent: Option<Sent>) {
        if let Some(begun) = &mut self.begun {
            begun.sends(sent);
        }
    }

    /// Notes the request as it is sent on, or would have been, where somebody wants to know.
    pub(crate) fn tell(&mut self, journey: Option<&Journey>, request: &Request<Body>) {
        if let Some(recording) = self.begun.as_mut().and_then(Begun::recording) {
            recording.request(request);
            if let Some(journey) = journey {
                recording.taken_by(journey.routed.route);
                let record = recording.record();
                record.trace_id = self.traced.trace_id();
                record.route = (*journey.route().name).into();
                record.cluster = cluster_name(&journey.live, journey.routed).map(Into::into);
                record.scheme = journey.head.scheme.as_str();
            }
        }
    }

    /// Notes what became of it.
    fn tell_end(&mut self) {
        let (details, attempts) = (self.details(), self.attempts);
        let upstream = self.endpoint.as_deref().map(EndpointState::address);
        let is_answered_here = self.failure.is_some() || !matches!(self.answered_by, AnsweredBy::Upstream);
        let is_unconnected = self.failure == Some(Failure::ConnectFailed);
        if let Some(recording) = self.begun.as_mut().and_then(Begun::recording) {
            let record = recording.record();
            record.details = match (&record.upstream_failure, details.strip_suffix('}')) {
                // As in Envoy why there was no connection is a part of the detail.
                (Some(why), Some(detail)) if is_unconnected => format!("{detail}|{}}}", why.replace(' ', "_")).into(),
                _ => details.into(),
            };
            record.attempts = attempts;
            record.upstream = upstream.map(|address| address.to_string().into());
            if is_answered_here {
                recording.is_answered_here();
            }
        }
    }

    /// Counts the answer, as it is now, and what is read of it.
    fn measure(&mut self, response: &mut Response<Body>, cluster: Option<&str>) {
        let measured = self.begun.take().map(|begun| {
            let mut measured = begun.measured(self.arrived, self.is_grpc, Security::Unknown);
            measured.answered(response, self.flags);
            measured
        });
        let mut span = self.traced.answered(response, self.flags, self.failure);
        if let (Some(span), Some(cluster)) = (&mut span, cluster) {
            span.went_to(cluster);
        }
        response.body_mut().measure(measured, span);
    }

    pub(crate) fn flag(&mut self, flags: ResponseFlags) {
        self.flags = self.flags.with(flags);
    }

    /// Trying again has been in vain, here or further on.
    pub(crate) fn retries_spent(&mut self) {
        self.spent = true;
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    pub(crate) fn retry_skipped(&mut self) {
        self.skipped_retries += 1;
    }

    /// What made the response: an upstream, or a rule that answers itself.
    pub(crate) fn answered_by(&mut self, by: AnsweredBy) {
        self.answered_by = by;
    }

    pub(crate) fn failed(&mut self, error: &Error) {
        self.flag(error.failure().flags());
        self.failure = Some(error.failure());
        if let Some(recording) = self.begun.as_mut().and_then(Begun::recording) {
            recording.record().upstream_failure = transport_failure(error).map(Into::into);
        }
    }

    /// Puts the info on the response.
    pub(crate) fn attach(mut self, response: &mut Response<Body>, journey: Option<Journey>) {
        // Before the endpoint goes to the info.
        self.tell_end();
        let info = RouteInfo {
            routed: journey.map(|journey| (journey.live, journey.routed)),
            endpoint: self.endpoint.take(),
            attempts: self.attempts,
            flags: self.flags,
            details: self.details(),
            skipped_retries: self.skipped_retries,
            over_limit: self.over_limit,
        };
        self.measure(response, info.cluster_name());
        response.extensions_mut().insert(info);
    }
}

/// Why no connection could be made, in Envoy's words where it has some.
fn transport_failure(error: &Error) -> Option<String> {
    if !matches!(error.failure(), Failure::ConnectFailed | Failure::TlsNotServed) {
        return None;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    let mut last = None;
    while let Some(known) = cause {
        last = Some(known);
        cause = known.source();
    }
    let text = last?.to_string();
    let of_system = text.split_once(" (os error ").map(|(what, _)| format!("delayed connect error: {what}"));
    Some(of_system.unwrap_or_else(|| format!("TLS_error: {text}")))
}

/// Without an answer it was given up by its caller.
impl Drop for Trail {
    fn drop(&mut self) {
        (self.failure, self.answered_by) = (None, AnsweredBy::Nobody);
        self.tell_end();
        if let Some(begun) = self.begun.take() {
            drop(begun.measured(self.arrived, self.is_grpc, Security::Unknown));
        }
    }
}
