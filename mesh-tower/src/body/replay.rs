//! A body that can be sent again, although it streams.
//!
//! [`Replay`] hands out one [`Attempt`] after another over the same body. The first reads it as it
//! comes and leaves a recording; a later one plays the recording and goes on reading where the one
//! before stopped. Only the newest may read: an older one gets an error, so that it can do no harm if
//! it is still around.
//!
//! Memory is bounded. A body that grows beyond the limit streams on to the attempt that is reading it,
//! and there can be no further one. Compare Envoy's per-request buffer, which gives up retries the same
//! way.
//!
//! A [`Tee`] reads along while the body is read, however long that is, and never holds it up: it serves a
//! mirror, which must not slow the request that it mirrors. What all have read is forgotten, unless there may
//! be another attempt; a tee that falls too far behind is given up.

pub(crate) mod memory;
mod tape;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::{Body, BoxError};

use self::memory::Memory;
use self::tape::{Place, Shared, Tape};

/// Hands out attempts over one body.
#[derive(Debug)]
pub struct Replay {
    tape: Shared,
}

/// Why a body cannot be played again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotReplayable {
    /// Reading it failed.
    Failed,
    /// It is longer than what is kept, of it or of all bodies together.
    OverLimit,
}

/// One attempt's view of the body.
#[derive(Debug)]
pub struct Attempt {
    tape: Shared,
    number: u64,
    place: Place,
}

/// A reader that follows the others.
///
/// It fails if it lies further behind than what is kept for it, or if those who read the body stop before
/// its end.
#[derive(Debug)]
pub struct Tee {
    tape: Shared,
    follower: u64,
}

impl Replay {
    /// Records up to `limit` bytes of `body`.
    pub fn new(body: Body, limit: usize) -> Self {
        Self { tape: Shared::new(Tape::new(body, limit as u64, None)) }
    }

    /// The same for a body that shares what is kept of all bodies with others.
    pub(crate) fn within(body: Body, limit: usize, memory: &Arc<Memory>) -> Self {
        Self { tape: Shared::new(Tape::new(body, limit as u64, Some(Arc::clone(memory)))) }
    }

    /// The body for the next attempt; the one before must no longer be read.
    ///
    /// # Errors
    /// The first attempt always gets it. Later ones do not if the body is too long or failed.
    pub fn attempt(&self) -> Result<Attempt, NotReplayable> {
        let mut tape = self.tape.lock();
        if tape.attempts > 0 {
            tape.replayable()?;
        }
        tape.attempts += 1;
        tape.readers += 1;
        // Who still waits for the body is told that it is another's now.
        let superseded = tape.waiting.take();
        let number = tape.attempts;
        drop(tape);
        superseded.into_iter().for_each(Waker::wake);
        Ok(Attempt { tape: self.tape.clone(), number, place: Place::default() })
    }

    /// Whether there could be another attempt.
    pub fn is_replayable(&self) -> bool {
        let tape = self.tape.lock();
        tape.attempts == 0 || tape.replayable().is_ok()
    }

    /// A reader of its own that may lie up to `limit` bytes behind the attempts; to be asked for before one
    /// of them has begun to read.
    pub fn tee(&self, limit: usize) -> Tee {
        self.follow(limit, None)
    }

    /// The same, counted in `given_up` if it falls further behind.
    pub(crate) fn tee_counted(&self, limit: usize, given_up: Arc<AtomicU64>) -> Tee {
        self.follow(limit, Some(given_up))
    }

    fn follow(&self, limit: usize, given_up: Option<Arc<AtomicU64>>) -> Tee {
        let follower = self.tape.lock().enter(limit as u64, given_up);
        Tee { tape: self.tape.clone(), follower }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.tape.leave();
    }
}

impl http_body::Body for Attempt {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let mut tape = this.tape.lock();
        if tape.attempts != this.number {
            return Poll::Ready(Some(Err(Superseded.into())));
        }
        if let Some(frame) = tape.recorded(&mut this.place) {
            return Poll::Ready(Some(Ok(frame)));
        }
        let read = ready!(tape.read(cx));
        let followers = tape.waiting_followers();
        drop(tape);
        followers.into_iter().for_each(Waker::wake);
        if let Some(Ok(frame)) = &read {
            this.place.pass(frame);
        }
        Poll::Ready(read)
    }

    fn is_end_stream(&self) -> bool {
        let tape = self.tape.lock();
        tape.attempts == self.number && tape.is_end(&self.place)
    }

    fn size_hint(&self) -> SizeHint {
        self.place.left_of(&self.tape.lock().hint)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.tape.leave();
    }
}

impl http_body::Body for Tee {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        this.tape.lock().follow(this.follower, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.tape.lock().is_end_for(self.follower)
    }

    fn size_hint(&self) -> SizeHint {
        self.tape.lock().left_for(self.follower)
    }
}

impl Tee {
    /// Comes when the tee is given up: whoever reads it may be waiting for something else.
    pub(crate) fn given_up(&self) -> GivenUp {
        GivenUp { tape: self.tape.clone(), follower: self.follower }
    }
}

/// The end of a tee that will not see the end of the body; never for one that does.
#[derive(Debug)]
pub(crate) struct GivenUp {
    tape: Shared,
    follower: u64,
}

impl Future for GivenUp {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.tape.lock().poll_given_up(self.follower, cx)
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.tape.lock().exit(self.follower);
    }
}

/// The error of an attempt that another one has replaced.
#[derive(Clone, Copy, Debug)]
struct Superseded;

impl fmt::Display for Superseded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request is being sent by a later try")
    }
}

impl std::error::Error for Superseded {}

/// The error of a follower that will not see the end.
#[derive(Clone, Copy, Debug)]
struct Unfollowed;

impl fmt::Display for Unfollowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the copy fell too far behind the request's body, or that was not read to its end")
    }
}

impl std::error::Error for Unfollowed {}

#[cfg(test)]
mod tests;
