//! The recording of a body, and who reads it.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::memory::{Memory, Reserved};
use super::{NotReplayable, Unfollowed};
use crate::{Body, BoxError};

#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Tape>>);

impl Shared {
    pub(super) fn new(tape: Tape) -> Self {
        Self(Arc::new(Mutex::new(tape)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of those who can make the recording grow is gone. With the last one its followers wait in vain.
    pub(super) fn leave(&self) {
        let mut tape = self.lock();
        tape.readers -= 1;
        if tape.readers > 0 {
            return;
        }
        let followers = tape.waiting_followers();
        drop(tape);
        followers.into_iter().for_each(Waker::wake);
    }
}

/// The recording, and what is left of the body.
pub(super) struct Tape {
    source: Source,
    /// What is known of the length of the whole body.
    pub(super) hint: SizeHint,
    /// What is kept: all of it as long as there may be another attempt, then what a follower has not read.
    pub(super) frames: VecDeque<Recorded>,
    /// Where the body has been read to.
    end: Place,
    /// How many bytes a further attempt may need.
    limit: u64,
    /// Attempts handed out; the last is the one that may read.
    pub(super) attempts: u64,
    /// The `Replay` and the attempts that still exist.
    pub(super) readers: usize,
    /// The attempt that waits for more.
    pub(super) waiting: Option<Waker>,
    followers: Vec<Follower>,
    entered: u64,
    memory: Reserved,
    /// There was no room among all recordings.
    refused: bool,
}

enum Source {
    Open(Body),
    Ended,
    Failed,
}

#[derive(Clone)]
pub(super) enum Recorded {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
}

/// Who reads along, and how far it has come.
struct Follower {
    number: u64,
    place: Place,
    limit: u64,
    /// It fell too far behind: what it would read next is gone.
    is_lost: bool,
    waiting: Option<Waker>,
    /// Who wants to know that it is given up.
    watching: Option<Waker>,
    given_up: Option<Arc<AtomicU64>>,
}

impl Follower {
    fn lose(&mut self) {
        if !mem::replace(&mut self.is_lost, true)
            && let Some(count) = &self.given_up
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Tape {
    pub(super) fn new(body: Body, limit: u64, memory: Option<Arc<Memory>>) -> Self {
        use http_body::Body as _;
        let hint = body.size_hint();
        Self {
            source: Source::Open(body),
            hint,
            frames: VecDeque::new(),
            end: Place::default(),
            limit,
            attempts: 0,
            readers: 1,
            waiting: None,
            followers: Vec::new(),
            entered: 0,
            memory: Reserved::of(memory),
            refused: false,
        }
    }

    /// Whether the body, as far as is known, can be kept whole: it is not too long, nor in so small pieces
    /// that keeping track of them takes more than that.
    fn is_kept(&self) -> bool {
        !self.refused && self.hint.lower() <= self.limit && !self.end.exceeds(self.limit)
    }

    pub(super) fn replayable(&self) -> Result<(), NotReplayable> {
        match self.source {
            Source::Failed => Err(NotReplayable::Failed),
            // Of a body that nobody has read nothing is missing, however long it is.
            _ if self.end.frame > 0 && !self.is_kept() => Err(NotReplayable::OverLimit),
            _ => Ok(()),
        }
    }

    pub(super) fn is_end(&self, place: &Place) -> bool {
        use http_body::Body as _;
        let at_end = match &self.source {
            Source::Open(body) => body.is_end_stream(),
            Source::Ended => true,
            Source::Failed => false,
        };
        at_end && place.frame >= self.end.frame
    }

    /// The number of the first frame that is kept.
    fn first(&self) -> usize {
        self.end.frame - self.frames.len()
    }

    pub(super) fn recorded(&self, place: &mut Place) -> Option<Frame<Bytes>> {
        let recorded = self.frames.get(place.frame.checked_sub(self.first())?)?;
        let frame = recorded.clone().into();
        place.pass(&frame);
        Some(frame)
    }

    /// Reads on, for the one attempt that may.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
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
        let before = self.end;
        self.end.pass(&frame);
        let recorded = match frame.into_data() {
            Ok(data) => Recorded::Data(data),
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => Recorded::Trailers(Box::new(trailers)),
                // There is no third kind. Should there be one, nobody has it twice.
                Err(unknown) => {
                    self.refused = true;
                    self.forget();
                    return unknown;
                }
            },
        };
        let end = self.end;
        for follower in &mut self.followers {
            if end.since(&follower.place).exceeds(follower.limit) {
                follower.lose();
            }
        }
        let wanted = self.is_kept() || self.followers.iter().any(|follower| !follower.is_lost);
        if wanted && self.memory.grow(end.since(&before).cost()) {
            self.frames.push_back(recorded.clone());
            self.trim();
        } else {
            self.refused |= wanted;
            self.forget();
        }
        recorded.into()
    }

    /// Keeps nothing, which nobody may need: the memory is better used elsewhere.
    fn forget(&mut self) {
        self.followers.iter_mut().for_each(Follower::lose);
        self.frames = VecDeque::new();
        self.memory.shrink_to_nothing();
    }

    /// Gives up what everybody has read, once there can be no further attempt.
    fn trim(&mut self) {
        if self.is_kept() {
            return;
        }
        let live = self.followers.iter().filter(|follower| !follower.is_lost);
        let needed = live.map(|follower| follower.place.frame).min().unwrap_or(usize::MAX);
        while self.first() < needed
            && let Some(frame) = self.frames.pop_front()
        {
            let mut gone = Place::default();
            gone.pass(&frame.into());
            self.memory.shrink(gone.cost());
        }
    }

    /// Somebody follows from the beginning.
    pub(super) fn enter(&mut self, limit: u64, given_up: Option<Arc<AtomicU64>>) -> u64 {
        self.entered += 1;
        self.followers.push(Follower {
            number: self.entered,
            place: Place::default(),
            limit,
            is_lost: self.first() > 0,
            waiting: None,
            watching: None,
            given_up,
        });
        self.entered
    }

    pub(super) fn exit(&mut self, number: u64) {
        self.followers.retain(|follower| follower.number != number);
        self.trim();
    }

    /// Those who wait for more, or for word that there will be none.
    pub(super) fn waiting_followers(&mut self) -> Vec<Waker> {
        self.followers
            .iter_mut()
            .flat_map(|follower| [follower.waiting.take(), follower.watching.take()])
            .flatten()
            .collect()
    }

    fn follower(&self, number: u64) -> Option<&Follower> {
        self.followers.iter().find(|follower| follower.number == number)
    }

    /// Reads on for a follower.
    pub(super) fn follow(&mut self, number: u64, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(at) = self.followers.iter().position(|follower| follower.number == number) else {
            return Poll::Ready(None);
        };
        if self.is_given_up(&self.followers[at]) {
            self.exit(number);
            return Poll::Ready(Some(Err(Unfollowed.into())));
        }
        let mut place = self.followers[at].place;
        if let Some(frame) = self.recorded(&mut place) {
            self.followers[at].place = place;
            self.trim();
            return Poll::Ready(Some(Ok(frame)));
        }
        if matches!(self.source, Source::Ended) {
            return Poll::Ready(None);
        }
        self.followers[at].waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether a follower will not see the end.
    fn is_given_up(&self, follower: &Follower) -> bool {
        follower.is_lost
            || match self.source {
                Source::Failed => true,
                Source::Ended => false,
                Source::Open(_) => self.readers == 0,
            }
    }

    /// Ready once a follower that is still there will not see the end.
    pub(super) fn poll_given_up(&mut self, number: u64, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.followers.iter().position(|follower| follower.number == number) else {
            return Poll::Pending;
        };
        if self.is_given_up(&self.followers[at]) {
            return Poll::Ready(());
        }
        self.followers[at].watching = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn is_end_for(&self, number: u64) -> bool {
        let Some(follower) = self.follower(number) else { return true };
        self.is_end(&follower.place) && !self.is_given_up(follower)
    }

    pub(super) fn left_for(&self, number: u64) -> SizeHint {
        match self.follower(number) {
            Some(follower) => follower.place.left_of(&self.hint),
            None => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape")
            .field("bytes", &self.end.bytes)
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
pub(super) struct Place {
    frame: usize,
    bytes: u64,
    /// What keeping the frames costs beside their bytes.
    overhead: u64,
}

/// What a frame takes beside its bytes.
const PER_FRAME: u64 = 64;

/// What keeping track of a body may take where the limit for the body itself is small.
const LEAST_OVERHEAD: u64 = 4 * 1024;

impl Place {
    /// Steps over a frame.
    pub(super) fn pass(&mut self, frame: &Frame<Bytes>) {
        self.frame += 1;
        self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        self.overhead += PER_FRAME + frame.trailers_ref().map_or(0, size_of_trailers);
    }

    /// The way from another place to this one.
    fn since(&self, other: &Self) -> Self {
        Self {
            frame: self.frame - other.frame,
            bytes: self.bytes - other.bytes,
            overhead: self.overhead - other.overhead,
        }
    }

    fn exceeds(&self, limit: u64) -> bool {
        self.bytes > limit || self.overhead > limit.max(LEAST_OVERHEAD)
    }

    fn cost(&self) -> usize {
        usize::try_from(self.bytes.saturating_add(self.overhead)).unwrap_or(usize::MAX)
    }

    /// What a body of length `whole` still has: a replay keeps the content length of the original.
    pub(super) fn left_of(&self, whole: &SizeHint) -> SizeHint {
        let mut left = SizeHint::new();
        if let Some(upper) = whole.upper() {
            left.set_upper(upper.saturating_sub(self.bytes));
        }
        left.set_lower(whole.lower().saturating_sub(self.bytes));
        left
    }
}

fn size_of_trailers(trailers: &HeaderMap) -> u64 {
    trailers.iter().map(|(name, value)| PER_FRAME + (name.as_str().len() + value.len()) as u64).sum()
}
