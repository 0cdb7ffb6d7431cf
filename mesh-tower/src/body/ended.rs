//! Tells when a body has been read to its end, or is not read on.

use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};

use crate::{Body, BoxError};

/// Who waits for the end of a request's body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waits {
    /// The clock of the request.
    Clock,
    /// What cuts the answer off, which may have begun before that end.
    CutOff,
}

/// The moment at which a body ended, for those who wait for it.
#[derive(Debug)]
pub(crate) struct BodyEnd {
    at: OnceLock<Instant>,
    /// One for each that may wait at the same time.
    wakers: [AtomicWaker; 2],
    epoch: Instant,
    /// Microseconds since `epoch`, and one, at which a piece was taken of which the next has not been asked for; 0
    /// while the reader waits for one.
    taken: AtomicU64,
}

impl BodyEnd {
    /// Of a body that nobody has begun to read at this moment.
    pub(crate) fn new(now: Instant) -> Self {
        Self { at: OnceLock::new(), wakers: Default::default(), epoch: now, taken: AtomicU64::new(0) }
    }

    /// Since when its reader has not asked for more; `None` if it waits for more, or has not begun.
    pub(crate) fn stands_still_since(&self) -> Option<Instant> {
        let taken = self.taken.load(Ordering::Relaxed).checked_sub(1)?;
        self.epoch.checked_add(Duration::from_micros(taken))
    }

    fn taken(&self) {
        let since = crate::clock::now().saturating_duration_since(self.epoch);
        self.taken.store(u64::try_from(since.as_micros()).unwrap_or(u64::MAX - 1) + 1, Ordering::Relaxed);
    }

    fn waits(&self) {
        self.taken.store(0, Ordering::Relaxed);
    }

    /// When the body ended; `None` if it has not.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.at.get().copied()
    }

    /// Wakes `waker`, the last one of each who waits, when the body ends.
    pub(crate) fn register(&self, who: Waits, waker: &Waker) {
        self.wakers[who as usize].register(waker);
    }

    fn reached(&self) {
        if self.at.set(crate::clock::now()).is_ok() {
            self.wakers.iter().for_each(AtomicWaker::wake);
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
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_pending() {
            self.end.waits();
        }
        let frame = ready!(polled);
        // With a known length the last frame is the end: nobody asks for another one.
        let over = match &frame {
            None | Some(Err(_)) => true,
            Some(Ok(frame)) => frame.is_trailers() || self.inner.is_end_stream(),
        };
        if over {
            self.end.reached();
        } else {
            self.end.taken();
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
