//! Holds what a request occupies until its response has been read to the end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::Active;
use mesh_core::limits::Permit;

use super::timed::Timed;
use crate::cluster::Watcher;
use crate::endpoint::classify::failure_of;
use crate::endpoint::{Lease, Sent};
use crate::telemetry::{Counted, Group};
use crate::timeout::clock::Clock;
use crate::{Body, BoxError};

/// What one try occupies.
#[derive(Debug)]
pub(crate) struct Holding {
    /// A slot of `http2MaxRequests`.
    pub(crate) _request: Permit,
    /// Counts at the endpoint, for least request.
    pub(crate) _active: Active,
    /// The connection.
    pub(crate) lease: Lease,
    /// Who is told if it breaks; nobody where nothing is made of it.
    pub(crate) watcher: Option<Watcher>,
}

impl Holding {
    /// How much was sent of the request's body, if it was not all there.
    pub(crate) fn sent(&self) -> Option<Sent> {
        self.lease.sent()
    }

    /// What the request counts in, now that it is known who the endpoint is; nothing where that has proved nothing.
    pub(crate) fn group(&self, of_endpoint: Option<&Arc<Group>>) -> Option<Arc<Group>> {
        let group = of_endpoint?;
        self.lease.peer().map(|id| group.proved(&id))
    }

    /// Ties the holding to the response's body, together with what is left of the route's timeout.
    pub(crate) fn keep(self, response: Response<Incoming>, clock: &Clock) -> Response<Body> {
        use http_body::Body as _;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.upgrade();
            return response.map(|_| Body::empty());
        }
        if response.body().is_end_stream() {
            self.finish();
            return response.map(|_| Body::empty());
        }
        match clock.cut_off() {
            Some(cut_off) => response.map(|inner| answer(Reading::Timed(Timed::new(inner, self, cut_off)))),
            None => response.map(|inner| answer(Reading::Held(Held { inner, holding: Some(self) }))),
        }
    }

    /// All has been read: the connection may serve others. Who waits for it finds the slot free.
    pub(super) fn finish(self) {
        let Self { _request: request, _active: active, lease, .. } = self;
        drop((request, active));
        lease.finish();
    }

    /// The rest of the answer will not come: that counts against the endpoint as much as no answer.
    pub(super) fn broken(self, error: &hyper::Error) {
        if let Some(watcher) = self.watcher {
            watcher.tell(&Outcome::Failed(failure_of(error)));
        }
    }

    /// Lasts as long as the other protocol is spoken, wherever the two ends of it are then.
    fn upgrade(self) {
        let Self { _request: request, _active: active, lease, .. } = self;
        lease.keep((request, active));
    }
}

/// The body of an endpoint's answer, and what is measured of it.
pub(crate) type Answer = Counted<Reading>;

fn answer(reading: Reading) -> Body {
    Body::answer(Counted::unmeasured(reading))
}

/// The body of an endpoint's answer.
#[derive(Debug)]
pub(crate) enum Reading {
    Held(Held),
    Timed(Timed),
}

impl http_body::Body for Reading {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Held(body) => Pin::new(body).poll_frame(cx),
            Self::Timed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Held(body) => body.is_end_stream(),
            Self::Timed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Held(body) => body.size_hint(),
            Self::Timed(body) => body.size_hint(),
        }
    }
}

/// A response body that gives up its holding when it ends, and may take as long as it likes: as in Istio, which sets
/// no idle timeout for streams, a caller that does not read on occupies what it holds.
#[derive(Debug)]
pub(crate) struct Held {
    inner: Incoming,
    holding: Option<Holding>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        match what_is_left(frame.as_ref(), &this.inner) {
            Left::More => {}
            Left::Nothing => this.holding.take().into_iter().for_each(Holding::finish),
            Left::Broken(error) => this.holding.take().into_iter().for_each(|holding| holding.broken(error)),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What is to come behind a frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left<'f> {
    More,
    /// It was the last: the connection may serve others.
    Nothing,
    Broken(&'f hyper::Error),
}

pub(super) fn what_is_left<'f>(frame: Option<&'f Result<Frame<Bytes>, hyper::Error>>, body: &Incoming) -> Left<'f> {
    use http_body::Body as _;
    match frame {
        Some(Err(error)) => Left::Broken(error),
        Some(Ok(frame)) if !frame.is_trailers() && !body.is_end_stream() => Left::More,
        _ => Left::Nothing,
    }
}
