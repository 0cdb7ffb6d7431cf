//! Holds what a request occupies until its response has been read to the end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use mesh_core::cluster::endpoint::Active;
use mesh_core::limits::Permit;

use crate::endpoint::Lease;
use crate::timeout::clock::Clock;
use crate::timeout::cut_off::CutOff;
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
}

impl Holding {
    /// Ties the holding to the response's body, together with what is left of the route's timeout.
    pub(crate) fn keep(self, response: Response<Incoming>, clock: &Clock) -> Response<Body> {
        use http_body::Body as _;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.upgrade();
            return response.map(|_| Body::empty());
        }
        if response.body().is_end_stream() {
            self.lease.finish();
            return response.map(|_| Body::empty());
        }
        let cut_off = clock.cut_off();
        response.map(|inner| Body::new(Held { inner: Some(inner), holding: Some(self), cut_off }))
    }

    /// Lasts as long as the other protocol is spoken, wherever the two ends of it are then.
    fn upgrade(self) {
        let Self { _request: request, _active: active, lease } = self;
        lease.keep((request, active));
    }
}

/// A response body that gives up its holding when it ends.
#[derive(Debug)]
struct Held {
    /// `None` once it was cut off.
    inner: Option<Incoming>,
    holding: Option<Holding>,
    cut_off: CutOff,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        match Pin::new(&mut *inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                match &frame {
                    Some(Err(_)) => this.holding = None,
                    Some(Ok(frame)) if !frame.is_trailers() && !inner.is_end_stream() => {}
                    _ => this.finish(),
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => this.poll_late(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Held {
    /// All has been read: the connection may serve others.
    fn finish(&mut self) {
        if let Some(holding) = self.holding.take() {
            holding.lease.finish();
        }
    }

    /// Cuts the body off when the route's timeout is over: the caller sees a reset.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let late = std::task::ready!(self.cut_off.poll(cx));
        self.holding = None;
        self.inner = None;
        Poll::Ready(Some(Err(late.into())))
    }
}
