//! The request as tries need it: whole for each, if there may be more than one.

use std::sync::{Arc, Mutex, PoisonError};

use http::header::UPGRADE;
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{Request, Version};
use mesh_core::limits::Permit;

use super::clock::Clock;
use super::headers;
use crate::Body;
use crate::body::replay::Replay;

/// The slot that a retry takes. It is free when the last copy is gone, or when one says so.
#[derive(Clone, Debug)]
pub(crate) struct RetrySlot(Arc<Mutex<Option<Permit>>>);

impl RetrySlot {
    fn free(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A request that is sent once or more.
#[derive(Debug)]
pub(crate) struct Outgoing {
    source: Source,
    tries: u32,
    /// The slot that the current retry takes.
    retry: Option<RetrySlot>,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "lives in place in the one future of a request; a box would cost every request"
)]
enum Source {
    /// For one try; there again if it was not sent.
    Once(Option<Request<Body>>),
    /// For many: the head is cloned, the body played again.
    Many { head: Box<Parts>, body: Recording },
}

#[derive(Debug)]
enum Recording {
    /// Small enough, and all there.
    Whole(Body),
    Stream(Replay),
}

impl Outgoing {
    /// Keeps a copy only where `copies` says that there may be another try or a mirror.
    pub(crate) fn new(request: Request<Body>, copies: bool, limit: usize) -> Self {
        let source = if copies {
            let (head, body) = request.into_parts();
            let body = match body.try_clone() {
                Some(_) => Recording::Whole(body),
                None => Recording::Stream(Replay::new(body, limit)),
            };
            Source::Many { head: Box::new(head), body }
        } else {
            Source::Once(Some(request))
        };
        Self { source, tries: 0, retry: None }
    }

    /// The request for the next try.
    ///
    /// `None` if the body can not be played again.
    pub(crate) fn next_request(&mut self, clock: &Clock) -> Option<Request<Body>> {
        let mut request = match &mut self.source {
            Source::Once(request) => request.take()?,
            Source::Many { head, body } => {
                let body = match body {
                    Recording::Whole(body) => body.try_clone()?,
                    Recording::Stream(replay) => Body::new(replay.attempt().ok()?),
                };
                Request::from_parts((**head).clone(), body)
            }
        };
        if self.tries > 1 {
            headers::renew(request.headers_mut(), self.tries, clock, crate::clock::now());
        }
        Some(request)
    }

    /// Takes back a request of which nothing was sent.
    pub(crate) fn give_back(&mut self, unsent: Option<Box<Request<Body>>>) {
        if let (Source::Once(slot), Some(request)) = (&mut self.source, unsent) {
            *slot = Some(*request);
        }
    }

    /// Counts a try, whether it gets as far as a connection or not.
    pub(crate) fn begin_try(&mut self) {
        self.tries += 1;
    }

    /// Whether there can be another try.
    pub(crate) fn can_go_again(&self) -> bool {
        match &self.source {
            Source::Once(request) => request.is_some(),
            Source::Many { body: Recording::Whole(_), .. } => true,
            Source::Many { body: Recording::Stream(replay), .. } => replay.is_replayable(),
        }
    }

    /// Keeps the slot of a retry for as long as that try lasts.
    pub(crate) fn hold(&mut self, permit: Permit) {
        self.retry = Some(RetrySlot(Arc::new(Mutex::new(Some(permit)))));
    }

    /// The slot of the current retry, for its answer to hold.
    pub(crate) fn retry_slot(&self) -> Option<RetrySlot> {
        self.retry.clone()
    }

    /// Gives the slot of a retry back while its answer is still there: the next retry may need it.
    pub(crate) fn end_retry(&mut self) {
        if let Some(slot) = self.retry.take() {
            slot.free();
        }
    }

    /// A copy of the request for a mirror, whose body follows the main one; `None` where no copy is kept.
    pub(crate) fn copy(&self, limit: usize) -> Option<Request<Body>> {
        let Source::Many { head, body } = &self.source else { return None };
        let body = match body {
            Recording::Whole(body) => body.try_clone()?,
            Recording::Stream(replay) => Body::new(replay.tee(limit)),
        };
        let mut copy = Request::new(body);
        *copy.method_mut() = head.method.clone();
        *copy.uri_mut() = head.uri.clone();
        *copy.version_mut() = head.version;
        *copy.headers_mut() = head.headers.clone();
        Some(copy)
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

    pub(crate) fn version(&self) -> Version {
        match &self.source {
            Source::Once(request) => request.as_ref().map_or(Version::HTTP_11, Request::version),
            Source::Many { head, .. } => head.version,
        }
    }

    /// Whether this asks for an upgrade, which only HTTP/1 has.
    pub(crate) fn is_upgrade(&self) -> bool {
        let headers = match &self.source {
            Source::Once(request) => request.as_ref().map(Request::headers),
            Source::Many { head, .. } => Some(&head.headers),
        };
        headers.is_some_and(|headers| headers.contains_key(UPGRADE))
    }

    fn uri(&self) -> Option<&http::Uri> {
        match &self.source {
            Source::Once(request) => request.as_ref().map(Request::uri),
            Source::Many { head, .. } => Some(&head.uri),
        }
    }
}
