//! What a connection is doing: told by its byte stream and its requests, read by its task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};

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
    http2: AtomicBool,
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
}

impl ConnectionState {
    pub(super) fn activity(&self) -> Activity {
        Activity {
            heads: self.heads.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            reading_head: self.reading_head.load(Ordering::Relaxed),
            http2: self.http2.load(Ordering::Relaxed),
        }
    }

    /// The head of a request was read; the request is under way until the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> OpenRequest {
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        self.reading_head.store(false, Ordering::Relaxed);
        OpenRequest(Arc::clone(self))
    }

    /// Bytes came in.
    pub(super) fn on_read(&self) {
        if self.open.load(Ordering::Relaxed) == 0 {
            self.reading_head.store(true, Ordering::Relaxed);
        }
    }

    /// The bytes begin as an HTTP/2 connection does.
    pub(super) fn on_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
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
pub(super) struct OpenRequest(Arc<ConnectionState>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
