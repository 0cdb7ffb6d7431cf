//! Tells when a body has been read to its end.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};

use crate::{Body, BoxError};

/// The moment at which a body ended, for somebody who waits for it.
#[derive(Debug, Default)]
pub(crate) struct BodyEnd {
    at: OnceLock<Instant>,
    waker: AtomicWaker,
}

impl BodyEnd {
    /// When the body ended; `None` if it has not.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.at.get().copied()
    }

    /// Wakes `waker` when the body ends.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    fn reached(&self) {
        if self.at.set(crate::clock::now()).is_ok() {
            self.waker.wake();
        }
    }
}

/// A body that reports its end, or that nobody reads it any more.
#[derive(Debug)]
pub(crate) struct Ended {
    inner: Body,
    end: std::sync::Arc<BodyEnd>,
}

impl Ended {
    pub(crate) fn new(inner: Body, end: std::sync::Arc<BodyEnd>) -> Self {
        Self { inner, end }
    }
}

impl http_body::Body for Ended {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        // With a known length the last frame is the end: nobody asks for another one.
        let over = match &frame {
            None | Some(Err(_)) => true,
            Some(Ok(frame)) => frame.is_trailers() || self.inner.is_end_stream(),
        };
        if over {
            self.end.reached();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.end.reached();
    }
}
