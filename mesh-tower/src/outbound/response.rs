//! Holds what a request occupies until its response has been read to the end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use mesh_core::cluster::endpoint::Active;
use mesh_core::limits::Permit;
use tokio::time::Sleep;

use super::clock::Clock;
use crate::{Body, BoxError, Error};
use mesh_core::Failure;

/// What one try occupies.
#[derive(Debug)]
pub(crate) struct Holding {
    /// A slot of `http2MaxRequests`.
    pub(crate) request: Permit,
    /// A slot of `maxRetries`, if this is a retry.
    pub(crate) retry: Option<Permit>,
    /// Counts at the endpoint, for least request.
    pub(crate) active: Active,
}

impl Holding {
    /// Ties the holding to the response's body, together with what is left of the route's timeout.
    pub(crate) fn keep(self, response: Response<Body>, clock: &Clock) -> Response<Body> {
        use http_body::Body as _;
        if response.body().is_end_stream() {
            return response;
        }
        let deadline = clock.route_deadline();
        response.map(|inner| Body::new(Held { inner, holding: Some(self), deadline, timer: None }))
    }
}

/// A response body that gives up its holding when it ends.
#[derive(Debug)]
struct Held {
    inner: Body,
    holding: Option<Holding>,
    deadline: Option<Instant>,
    /// Armed when the body first makes its reader wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                let over = match &frame {
                    None | Some(Err(_)) => true,
                    Some(Ok(frame)) => frame.is_trailers() || this.inner.is_end_stream(),
                };
                if over {
                    this.holding = None;
                }
                Poll::Ready(frame)
            }
            Poll::Pending => this.poll_late(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Held {
    /// Cuts the body off when the route's timeout is over: the caller sees a reset.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let at = tokio::time::Instant::from_std(deadline);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        std::task::ready!(timer.as_mut().poll(cx));
        self.deadline = None;
        self.holding = None;
        self.inner = Body::empty();
        Poll::Ready(Some(Err(Error::from(Failure::RequestTimeout).into())))
    }
}
