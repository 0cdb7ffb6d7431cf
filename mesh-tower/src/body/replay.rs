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
//! A [`Tee`] reads the recording too, while it grows, and never holds it up: it serves a mirror, which
//! must not slow the request that it mirrors.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use crate::{Body, BoxError};

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
    /// It is longer than what is kept.
    OverLimit,
}

/// One attempt's view of the body.
#[derive(Debug)]
pub struct Attempt {
    tape: Shared,
    number: u64,
    place: Place,
}

/// A reader that follows the recording.
///
/// It fails if the body outgrows what is kept for it, or if those who read the body stop before its end.
#[derive(Debug)]
pub struct Tee {
    tape: Shared,
    limit: u64,
    place: Place,
    over: bool,
}

impl Replay {
    /// Records up to `limit` bytes of `body`.
    pub fn new(body: Body, limit: usize) -> Self {
        Self { tape: Shared(Arc::new(Mutex::new(Tape::new(body, limit as u64)))) }
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

    /// A reader of its own that follows the attempts up to `limit` bytes.
    pub fn tee(&self, limit: usize) -> Tee {
        let limit = limit as u64;
        let mut tape = self.tape.lock();
        tape.keep = tape.keep.max(limit);
        drop(tape);
        Tee { tape: self.tape.clone(), limit, place: Place::default(), over: false }
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
        let followers = mem::take(&mut tape.followers);
        drop(tape);
        followers.into_iter().for_each(Waker::wake);
        if let Some(Ok(frame)) = &read {
            this.place.pass(frame.data_ref());
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
        if this.over {
            return Poll::Ready(None);
        }
        let mut tape = this.tape.lock();
        if tape.is_given_up(this.limit) {
            this.over = true;
            return Poll::Ready(Some(Err(Unfollowed.into())));
        }
        if let Some(frame) = tape.recorded(&mut this.place) {
            return Poll::Ready(Some(Ok(frame)));
        }
        if matches!(tape.source, Source::Ended) {
            return Poll::Ready(None);
        }
        tape.follow(cx.waker());
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        let tape = self.tape.lock();
        self.over || (tape.is_end(&self.place) && !tape.is_given_up(self.limit))
    }

    fn size_hint(&self) -> SizeHint {
        self.place.left_of(&self.tape.lock().hint)
    }
}

#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Tape>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of those who can make the recording grow is gone. With the last one its followers wait in vain.
    fn leave(&self) {
        let mut tape = self.lock();
        tape.readers -= 1;
        if tape.readers > 0 {
            return;
        }
        let followers = mem::take(&mut tape.followers);
        drop(tape);
        followers.into_iter().for_each(Waker::wake);
    }
}

/// The recording, and what is left of the body.
struct Tape {
    source: Source,
    /// What is known of the length of the whole body.
    hint: SizeHint,
    frames: Vec<Recorded>,
    /// Bytes read so far, recorded or not.
    bytes: u64,
    /// Frames read so far, recorded or not, and what those cost beside their bytes.
    read: u64,
    overhead: u64,
    /// How many bytes a further attempt may need.
    limit: u64,
    /// How many bytes are kept: `limit`, or more if a follower asks for it.
    keep: u64,
    /// Attempts handed out; the last is the one that may read.
    attempts: u64,
    /// The `Replay` and the attempts that still exist.
    readers: usize,
    /// The attempt that waits for more.
    waiting: Option<Waker>,
    followers: Vec<Waker>,
}

enum Source {
    Open(Body),
    Ended,
    Failed,
}

#[derive(Clone)]
enum Recorded {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

impl Tape {
    fn new(body: Body, limit: u64) -> Self {
        use http_body::Body as _;
        let hint = body.size_hint();
        Self {
            source: Source::Open(body),
            hint,
            frames: Vec::new(),
            bytes: 0,
            read: 0,
            overhead: 0,
            limit,
            keep: limit,
            attempts: 0,
            readers: 1,
            waiting: None,
            followers: Vec::new(),
        }
    }

    /// Whether the body, as far as is known, is longer than a limit, or in so small pieces that keeping
    /// track of them takes more than that.
    fn exceeds(&self, limit: u64) -> bool {
        self.bytes.max(self.hint.lower()) > limit || self.overhead > limit.max(LEAST_OVERHEAD)
    }

    fn replayable(&self) -> Result<(), NotReplayable> {
        match self.source {
            Source::Failed => Err(NotReplayable::Failed),
            // Of a body that nobody has read nothing is missing, however long it is.
            _ if self.read > 0 && self.exceeds(self.limit) => Err(NotReplayable::OverLimit),
            _ => Ok(()),
        }
    }

    /// Whether a follower with this limit will not see the end.
    fn is_given_up(&self, limit: u64) -> bool {
        match self.source {
            Source::Failed => true,
            Source::Ended => self.exceeds(limit),
            Source::Open(_) => self.readers == 0 || self.exceeds(limit),
        }
    }

    fn is_end(&self, place: &Place) -> bool {
        use http_body::Body as _;
        let at_end = match &self.source {
            Source::Open(body) => body.is_end_stream(),
            Source::Ended => true,
            Source::Failed => false,
        };
        at_end && place.frame >= self.frames.len()
    }

    fn recorded(&self, place: &mut Place) -> Option<Frame<Bytes>> {
        let recorded = self.frames.get(place.frame)?;
        place.frame += 1;
        if let Recorded::Data(data) = recorded {
            place.bytes += data.len() as u64;
        }
        Some(recorded.clone().into())
    }

    /// Reads on, for the one attempt that may.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        use http_body::Body as _;
        let Source::Open(body) = &mut self.source else { return Poll::Ready(None) };
        let frame = match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                self.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        self.waiting = None;
        match frame {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(self.record(frame)))),
            Some(Err(error)) => {
                self.source = Source::Failed;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.source = Source::Ended;
                Poll::Ready(None)
            }
        }
    }

    fn record(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        self.read += 1;
        self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        self.overhead += PER_FRAME + frame.trailers_ref().map_or(0, size_of_trailers);
        if self.exceeds(self.keep) {
            // Nobody may play it again: the memory is better used elsewhere.
            self.frames = Vec::new();
            return frame;
        }
        let recorded = match frame.into_data() {
            Ok(data) => Recorded::Data(data),
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => Recorded::Trailers(Box::new(trailers)),
                Err(unknown) => return unknown,
            },
        };
        self.frames.push(recorded.clone());
        recorded.into()
    }

    fn follow(&mut self, waker: &Waker) {
        if !self.followers.iter().any(|known| known.will_wake(waker)) {
            self.followers.push(waker.clone());
        }
    }
}

/// What a frame takes beside its bytes.
const PER_FRAME: u64 = 64;

/// What keeping track of a body may take where the limit for the body itself is small.
const LEAST_OVERHEAD: u64 = 4 * 1024;

fn size_of_trailers(trailers: &HeaderMap) -> u64 {
    trailers.iter().map(|(name, value)| PER_FRAME + (name.as_str().len() + value.len()) as u64).sum()
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape")
            .field("bytes", &self.bytes)
            .field("frames", &self.frames.len())
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl From<Recorded> for Frame<Bytes> {
    fn from(recorded: Recorded) -> Self {
        match recorded {
            Recorded::Data(data) => Self::data(data),
            Recorded::Trailers(trailers) => Self::trailers(*trailers),
        }
    }
}

/// How far somebody has read.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    frame: usize,
    bytes: u64,
}

impl Place {
    /// Steps over a frame that was read and not played.
    fn pass(&mut self, data: Option<&Bytes>) {
        self.frame += 1;
        self.bytes += data.map_or(0, |data| data.len() as u64);
    }

    /// What a body of length `whole` still has: a replay keeps the content length of the original.
    fn left_of(&self, whole: &SizeHint) -> SizeHint {
        let mut left = SizeHint::new();
        if let Some(upper) = whole.upper() {
            left.set_upper(upper.saturating_sub(self.bytes));
        }
        left.set_lower(whole.lower().saturating_sub(self.bytes));
        left
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
        f.write_str("the request's body outgrew what is kept of it, or was not read to its end")
    }
}

impl std::error::Error for Unfollowed {}

#[cfg(test)]
mod tests;
