//! What a connection is doing: told by its byte stream and its requests, read by its task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// Shared by the task of a connection, its byte stream (which may move into an upgraded connection)
/// and the requests under way. Nothing here orders other memory, so `Relaxed` does, except for
/// `ended` and `released`, which pair with a wake-up.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    heads: AtomicUsize,
    open: AtomicUsize,
    reading_head: AtomicBool,
    in_body: AtomicBool,
    /// Whether nothing was there when bytes were last asked for.
    is_hungry: AtomicBool,
    reads: AtomicUsize,
    http2: AtomicBool,
    /// On HTTP/2, the number of the head that has begun and not ended; 0 for none.
    open_head: AtomicUsize,
    waiting: AtomicUsize,
    taken: AtomicUsize,
    cancelled: AtomicUsize,
    flawed: AtomicBool,
    unfollowed: AtomicBool,
    resumed: AtomicBool,
    ended: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    released: AtomicBool,
    release: Notify,
}

/// A moment of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Activity {
    /// How many request heads were read so far.
    pub(super) heads: usize,
    /// How many requests are under way: read, and not answered to the end.
    pub(super) open: usize,
    /// Whether bytes have come in since the last request ended.
    pub(super) reading_head: bool,
    /// Whether the connection speaks HTTP/2.
    pub(super) http2: bool,
    /// How many answers have more to give than their caller has taken.
    pub(super) waiting: usize,
    /// How many pieces of answers were taken so far.
    pub(super) taken: usize,
    /// Whether more of the body of a request is waited for (HTTP/1).
    pub(super) awaits_body: bool,
    /// How often bytes came in so far.
    pub(super) reads: usize,
    /// On HTTP/2, the number of the head that has begun and not ended; 0 for none.
    pub(super) open_head: usize,
}

impl ConnectionState {
    pub(super) fn activity(&self) -> Activity {
        Activity {
            heads: self.heads.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            reading_head: self.reading_head.load(Ordering::Relaxed),
            http2: self.http2.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            taken: self.taken.load(Ordering::Relaxed),
            awaits_body: self.in_body.load(Ordering::Relaxed) && self.is_hungry.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            open_head: self.open_head.load(Ordering::Relaxed),
        }
    }

    /// The head of a request was read; the request is under way until the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>, most_cancelled: Option<u32>) -> OpenRequest {
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        self.reading_head.store(false, Ordering::Relaxed);
        // With HTTP/1 a request is cancelled together with its connection.
        let counted = most_cancelled.filter(|_| self.http2.load(Ordering::Relaxed));
        let cancelling = counted.map(|most| (crate::clock::now(), most));
        OpenRequest { state: Arc::clone(self), cancelling, is_waiting: false }
    }

    /// A caller has cancelled a request. Ends the connection if it does little else, as Envoy does.
    fn on_cancelled(&self, most: u32) {
        let cancelled = self.cancelled.fetch_add(1, Ordering::Relaxed) + 1;
        let heads = self.heads.load(Ordering::Relaxed);
        if cancelled * 2 >= heads.max(most as usize) {
            tracing::debug!(cancelled, heads, "connection closed: its caller cancels what it asks");
            self.end();
        }
    }

    /// Bytes were asked for, and none were there.
    pub(super) fn on_nothing_read(&self) {
        self.is_hungry.store(true, Ordering::Relaxed);
    }

    /// Whether there is more to come of the body of a request, by the bytes that came so far.
    pub(super) fn on_body(&self, is_in_body: bool) {
        self.in_body.store(is_in_body && !self.http2.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Bytes came in.
    pub(super) fn on_read(&self) {
        self.is_hungry.store(false, Ordering::Relaxed);
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.open.load(Ordering::Relaxed) == 0 {
            self.reading_head.store(true, Ordering::Relaxed);
        }
    }

    /// Bytes were taken by the socket. With HTTP/2 they may be an answer to a PING, and say nothing of the answers.
    pub(super) fn on_written(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 && !self.http2.load(Ordering::Relaxed) {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The bytes begin as an HTTP/2 connection does.
    pub(super) fn on_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Bytes have come of HTTP/2, and a head has no end yet, or each has.
    pub(super) fn on_open_head(&self, number: Option<usize>) {
        self.open_head.store(number.unwrap_or(0), Ordering::Relaxed);
    }

    /// The bytes of a request are flawed. Tells whether it is under way already; else it is refused when it comes.
    pub(super) fn on_flaw(&self) -> bool {
        self.flawed.store(true, Ordering::Relaxed);
        self.open.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_flawed(&self) -> bool {
        self.flawed.load(Ordering::Relaxed)
    }

    /// Bytes came behind a request for another protocol, before it was answered.
    pub(super) fn on_unfollowed(&self) {
        self.unfollowed.store(true, Ordering::Relaxed);
    }

    /// The other protocol was refused. Tells whether requests may follow: none may be among bytes that nobody has looked at.
    pub(super) fn resume(&self) -> bool {
        self.resumed.store(true, Ordering::Relaxed);
        !self.unfollowed.load(Ordering::Relaxed)
    }

    /// Whether the other protocol was refused since this was last asked.
    pub(super) fn resumes(&self) -> bool {
        self.resumed.swap(false, Ordering::Relaxed)
    }

    /// Makes the byte stream fail, wherever it is by now.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Lets [`end`](Self::end) wake who waits for bytes; returns whether it has come already.
    pub(super) fn watch_reader(&self, cx: &Context<'_>) -> bool {
        self.watch(&self.reader, cx.waker())
    }

    /// Lets [`end`](Self::end) wake who waits for room to write; returns whether it has come already.
    pub(super) fn watch_writer(&self, cx: &Context<'_>) -> bool {
        self.watch(&self.writer, cx.waker())
    }

    fn watch(&self, place: &AtomicWaker, waker: &Waker) -> bool {
        place.register(waker);
        self.has_ended()
    }

    /// The byte stream was dropped.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.release.notify_one();
    }

    /// Waits until the byte stream is dropped.
    pub(super) async fn released(&self) {
        while !self.released.load(Ordering::Acquire) {
            self.release.notified().await;
        }
    }
}

/// A request under way: held by its future, then by its response body.
#[derive(Debug)]
pub(super) struct OpenRequest {
    state: Arc<ConnectionState>,
    /// When it began, and how many requests may be cancelled; nothing once it is answered, or where nobody counts.
    cancelling: Option<(Instant, u32)>,
    /// Whether there is more of its answer than was taken.
    is_waiting: bool,
}

impl OpenRequest {
    /// The answer is there to the end: whatever ends the request now is no cancelling.
    pub(super) fn answered(&mut self) {
        self.cancelling = None;
    }

    /// The connection goes on with requests; see [`ConnectionState::resume`].
    pub(super) fn resume(&self) -> bool {
        self.state.resume()
    }

    /// There is a piece of the answer for the caller to take, or that has come to be given to it.
    pub(super) fn gives(&mut self) {
        if !std::mem::replace(&mut self.is_waiting, true) {
            self.state.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The caller has room for the next piece.
    pub(super) fn taken(&mut self) {
        if std::mem::replace(&mut self.is_waiting, false) {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
            self.state.taken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.taken();
        self.state.open.fetch_sub(1, Ordering::Relaxed);
        if let Some((began, most)) = self.cancelling
            && crate::clock::now().saturating_duration_since(began) < PREMATURE
        {
            self.state.on_cancelled(most);
        }
    }
}

/// A request that is given up later than this was not made to be given up. Envoy's
/// `overload.premature_reset_min_stream_lifetime_seconds`.
const PREMATURE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Arc<ConnectionState> {
        let state = Arc::new(ConnectionState::default());
        state.on_http2();
        state
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_cancels_half_of_what_it_asks_is_cut_off() {
        let state = connection();
        for n in 0..500 {
            assert!(!state.has_ended(), "{n}");
            let mut request = state.begin_request(Some(500));
            if n % 2 == 0 {
                request.answered();
            }
        }
        assert!(state.has_ended());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_cancels_less_than_half_is_not() {
        let state = connection();
        for n in 0..5_000 {
            let mut request = state.begin_request(Some(500));
            if n % 5 < 3 {
                request.answered();
            }
        }
        assert!(!state.has_ended());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_after_a_while_does_not_count() {
        let state = connection();
        for _ in 0..1_000 {
            let request = state.begin_request(Some(500));
            tokio::time::advance(Duration::from_secs(1)).await;
            drop(request);
        }
        for _ in 0..1_000 {
            drop(state.begin_request(None));
        }
        assert!(!state.has_ended());
    }

    #[test]
    fn an_answer_waits_from_a_piece_to_the_next() {
        let state = connection();
        let mut request = state.begin_request(None);
        let seen = || (state.activity().waiting, state.activity().taken);
        request.gives();
        request.gives();
        assert_eq!(seen(), (1, 0));
        request.taken();
        request.taken();
        assert_eq!(seen(), (0, 1));
        request.gives();
        drop(request);
        assert_eq!(seen(), (0, 2));
    }
}
