//! The request as tries need it: whole for each, if there may be more than one.

use std::sync::Arc;

use http::header::UPGRADE;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, Version};
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{EndpointAddress, UpstreamProtocol};
use mesh_core::limits::Permit;
use mesh_core::network::Network;

use super::added::LeftOut;
use super::{Shared, headers};
use crate::Body;
use crate::mirror::slots::Slots;
use crate::repeatable::{Copy, Keep, Repeatable};
use crate::timeout::clock::Clock;

/// A request that is sent once or more.
#[derive(Debug)]
pub(crate) struct Outgoing {
    request: Repeatable,
    tries: u32,
    /// The slot that the current retry takes.
    retry: Option<Permit>,
    left_out: LeftOut,
    /// Whether a connection that had been waiting broke under it.
    is_burnt: bool,
    /// Whether a try's status is looked for in trailers, too.
    peeks: bool,
    at_gateway: bool,
}

/// Blocks of addresses that a request may not go to, whatever a name resolves to: an extension of it.
#[derive(Clone, Debug)]
pub(crate) struct Barred(pub(crate) Arc<[Network]>);

impl Outgoing {
    /// Keeps a copy only where `copies` says that there may be another try or a mirror.
    pub(crate) fn new(request: Request<Body>, copies: bool, shared: &Shared) -> Self {
        let keep = Keep::within(shared.options.replay_limit, &shared.replays);
        let request = Repeatable::new(request, copies, keep);
        let peeks = copies && shared.options.peek_trailers;
        Self {
            request,
            tries: 0,
            retry: None,
            left_out: shared.options.left_out,
            is_burnt: false,
            peeks,
            at_gateway: false,
        }
    }

    /// The same on its way through a gateway, or not.
    pub(crate) fn at_gateway(self, at_gateway: bool) -> Self {
        Self { at_gateway, ..self }
    }

    /// Whether a cluster that speaks this gets it as HTTP/2.
    pub(crate) fn wants_http2(&self, protocol: UpstreamProtocol) -> bool {
        protocol.is_http2(self.version() == Version::HTTP_2, self.at_gateway)
    }

    /// Whether it may not go to an endpoint.
    pub(crate) fn is_barred_from(&self, endpoint: &EndpointState) -> bool {
        let extensions = self.request.head(Request::extensions, |head| &head.extensions);
        let Some(Barred(networks)) = extensions.and_then(|extensions| extensions.get()) else { return false };
        match endpoint.address() {
            EndpointAddress::Socket(at) => networks.iter().any(|network| network.reaches(at.ip())),
            // No name leads there.
            _ => false,
        }
    }

    /// Whether a try's `grpc-status` is looked for in trailers, too.
    pub(crate) const fn peeks(&self) -> bool {
        self.peeks
    }

    /// The request for the next try.
    ///
    /// `None` if the body can not be played again.
    pub(crate) fn next_request(&mut self, clock: &mut Clock) -> Option<Request<Body>> {
        let mut request = self.request.next_request()?;
        if self.tries > 1 {
            let now = clock.now();
            headers::renew(request.headers_mut(), self.tries, clock, now, self.left_out);
        }
        Some(request)
    }

    /// The headers of this try and those that follow.
    pub(crate) fn headers_mut(&mut self) -> Option<&mut HeaderMap> {
        self.request.headers_mut()
    }

    /// Takes back a request of which nothing was sent.
    pub(crate) fn give_back(&mut self, unsent: Option<Box<Request<Body>>>) {
        self.request.give_back(unsent);
    }

    /// Notes that a connection broke; `is_stale`: one that had been waiting, as others may have been.
    pub(crate) fn broke(&mut self, is_stale: bool) {
        self.is_burnt |= is_stale;
    }

    /// Whether the next try is better made on a new connection: its peer closes those that wait.
    pub(crate) fn wants_fresh(&self) -> bool {
        self.is_burnt && self.tries > 1
    }

    /// Counts a try, whether it gets as far as a connection or not.
    pub(crate) fn begin_try(&mut self) {
        self.tries += 1;
    }

    /// Whether there can be another try.
    pub(crate) fn can_go_again(&self) -> bool {
        self.request.can_go_again()
    }

    /// Keeps the slot of a retry until its answer is here, as Envoy does: what then streams may last.
    pub(crate) fn hold(&mut self, permit: Permit) {
        self.retry = Some(permit);
    }

    /// Gives the slot of a retry back: the next retry may need it.
    pub(crate) fn end_retry(&mut self) {
        self.retry = None;
    }

    /// A copy of the request for a mirror, whose body follows the main one, up to `lag` bytes behind; `None`
    /// where no copy is kept.
    pub(crate) fn copy(&self, lag: usize, slots: &Slots) -> Option<Copy> {
        self.request.copy(lag, slots)
    }

    pub(crate) fn authority(&self) -> Option<&Authority> {
        self.uri()?.authority()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.uri().and_then(http::Uri::scheme) == Some(&Scheme::HTTPS)
    }

    pub(crate) fn default_port(&self) -> u16 {
        if self.is_https() { 443 } else { 80 }
    }

    fn version(&self) -> Version {
        self.request.head(Request::version, |head| head.version).unwrap_or(Version::HTTP_11)
    }

    /// Whether this asks for an upgrade, which only HTTP/1 has.
    pub(crate) fn is_upgrade(&self) -> bool {
        let headers = self.request.head(Request::headers, |head| &head.headers);
        headers.is_some_and(|headers| headers.contains_key(UPGRADE))
    }

    fn uri(&self) -> Option<&http::Uri> {
        self.request.head(Request::uri, |head| &head.uri)
    }
}
