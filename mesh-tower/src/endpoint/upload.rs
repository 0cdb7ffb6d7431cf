//! The body of a request on its way to an endpoint: it can be stopped, and it can wait to be asked for.
//!
//! An answer may come, or its reader may go, before the request has been sent to its end. Nobody wants the
//! rest then, as in Envoy: the caller's body is given up, an HTTP/1 connection closes, since it cannot carry
//! another request, and an HTTP/2 stream is reset.
//!
//! A request that says `expect: 100-continue` keeps its body until the endpoint asks for it. It is not for
//! the mesh to answer that question. An endpoint that knows nothing of it gets the body after a second.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use h2::Reason;
use http::header::EXPECT;
use http::{Request, StatusCode};
use http_body::{Frame, SizeHint};
use mesh_core::Failure;
use mesh_core::route::reply::is_grpc;
use mesh_core::telemetry::messages::Messages;
use tokio::time::Sleep;

use crate::telemetry::Group;
use crate::{Body, BoxError, Error};

/// The sending of a request's body; stops it when dropped.
#[derive(Debug)]
pub(crate) struct Upload {
    /// `None`: the body is all there.
    shared: Option<Arc<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    /// What was sent of it.
    bytes: AtomicU64,
    /// Messages that have begun in it and were not counted yet.
    messages: AtomicU64,
    /// What they count in, once it is known who answers.
    group: OnceLock<Arc<Group>>,
    reader: AtomicWaker,
}

const FLOWS: u8 = 0;
const WAITS: u8 = 1;
const STOPPED: u8 = 2;
const ENDED: u8 = 3;

impl Shared {
    /// Takes one state for another; tells the reader if it was that.
    fn change(&self, from: u8, to: u8) {
        if self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.reader.wake();
        }
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    /// Counts what waits for it. Whoever comes later, the one with messages or the one with the group, sees the other's:
    /// both change the same number.
    fn count_messages(&self, more: u64) {
        let waiting = self.messages.fetch_add(more, Ordering::AcqRel) + more;
        if let Some(group) = self.group.get().filter(|_| waiting > 0) {
            group.record_messages(self.messages.swap(0, Ordering::AcqRel), 0);
        }
    }
}

impl Upload {
    /// Watches the body of a request that is about to be sent.
    pub(super) fn of(request: &mut Request<Body>) -> Self {
        if request.body().is_full() {
            return Self { shared: None };
        }
        Self::watch(request, FLOWS)
    }

    /// The same on a connection that tells of the answer 100.
    pub(super) fn asking(request: &mut Request<Body>) -> Self {
        let expects = request.headers().get(EXPECT).is_some_and(|what| what.as_bytes().eq_ignore_ascii_case(GO_ON));
        if !expects || http_body::Body::is_end_stream(request.body()) {
            return Self::of(request);
        }
        let upload = Self::watch(request, WAITS);
        if let Some(shared) = upload.shared.clone() {
            hyper::ext::on_informational(request, move |answer| {
                if answer.status() == StatusCode::CONTINUE {
                    shared.change(WAITS, FLOWS);
                }
            });
        }
        upload
    }

    fn watch(request: &mut Request<Body>, state: u8) -> Self {
        let shared = Arc::new(Shared { state: AtomicU8::new(state), ..Shared::default() });
        let messages = is_grpc(request.headers()).then(Messages::default);
        let inner = std::mem::take(request.body_mut());
        let patience = (state == WAITS).then(|| Box::pin(tokio::time::sleep(PATIENCE)));
        *request.body_mut() = Body::new(Watched { inner, shared: Arc::clone(&shared), messages, patience });
        Self { shared: Some(shared) }
    }

    /// Whether there is nothing left to send.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.state() == ENDED)
    }

    /// Tells how much was sent, also when this is gone; `None` for a body that is all there.
    pub(super) fn sent(&self) -> Option<Sent> {
        self.shared.clone().map(Sent)
    }

    /// Lets the body go on without this: the request was not sent.
    pub(super) fn release(mut self) {
        if let Some(shared) = self.shared.take() {
            shared.change(WAITS, FLOWS);
        }
    }
}

/// How much was sent of a body.
#[derive(Debug)]
pub(crate) struct Sent(Arc<Shared>);

impl Sent {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Counts the messages in it in this group, those that are still to come as they do.
    pub(crate) fn count_messages_in(&self, group: &Arc<Group>) {
        // Whoever was first goes on counting.
        let _known = self.0.group.set(Arc::clone(group));
        self.0.count_messages(0);
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.change(FLOWS, STOPPED);
            shared.change(WAITS, STOPPED);
        }
    }
}

#[derive(Debug)]
struct Watched {
    inner: Body,
    shared: Arc<Shared>,
    /// Of a gRPC request.
    messages: Option<Messages>,
    /// How long to wait to be asked for the body.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    /// Ready once the body may be read.
    fn poll_wanted(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // In line before looking: what changes meanwhile wakes this one.
        self.shared.reader.register(cx.waker());
        match self.shared.state() {
            STOPPED => return Poll::Ready(Err(stopped())),
            WAITS => {}
            _ => return Poll::Ready(Ok(())),
        }
        let patient = self.patience.as_mut().is_some_and(|patience| patience.as_mut().poll(cx).is_pending());
        if patient {
            return Poll::Pending;
        }
        self.patience = None;
        self.shared.change(WAITS, FLOWS);
        Poll::Ready(Ok(()))
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Err(error) = std::task::ready!(self.poll_wanted(cx)) {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        // With a known length the last frame is the end: nobody asks for another one.
        let over = match &frame {
            None | Some(Err(_)) => true,
            Some(Ok(frame)) => frame.is_trailers() || self.inner.is_end_stream(),
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.shared.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
            if let Some(messages) = &mut self.messages {
                match messages.begun_in(data) {
                    0 => {}
                    begun => self.shared.count_messages(begun),
                }
            }
        }
        if over {
            self.shared.end();
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

impl Drop for Watched {
    fn drop(&mut self) {
        // The connection wants no more of it.
        self.shared.end();
    }
}

/// Resets an HTTP/2 stream as a caller does that has lost interest.
fn stopped() -> BoxError {
    Error::with_source(Failure::LocalReset, h2::Error::from(Reason::CANCEL)).into()
}

const GO_ON: &[u8] = b"100-continue";
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::error::Error as _;

    use futures_util::FutureExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    type Pieces = tokio::sync::mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>;

    fn streaming() -> (Pieces, Request<Body>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        (sender, Request::new(Body::new(StreamBody::new(Box::pin(stream)))))
    }

    fn piece() -> Result<Frame<Bytes>, Infallible> {
        Ok(Frame::data(Bytes::from_static(b"piece")))
    }

    #[tokio::test]
    async fn what_is_all_there_is_left_alone() {
        let mut request = Request::new(Body::from("text"));
        let upload = Upload::of(&mut request);
        assert!(upload.has_ended() && request.body().is_full());
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_told_to_stop() {
        let (_pieces, mut request) = streaming();
        let upload = Upload::of(&mut request);
        let mut body = request.into_body();
        let reading = tokio::spawn(async move { body.frame().await.map(|frame| frame.map(drop)) });
        tokio::task::yield_now().await;
        drop(upload);
        let error = reading.await.unwrap().unwrap().unwrap_err().downcast::<Error>().unwrap();
        assert_eq!(error.failure(), Failure::LocalReset);
        let http2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>()).unwrap();
        assert_eq!(http2.reason(), Some(Reason::CANCEL));
    }

    #[tokio::test]
    async fn a_body_has_ended_when_it_was_read_or_dropped() {
        let (pieces, mut request) = streaming();
        let upload = Upload::of(&mut request);
        pieces.send(piece()).unwrap();
        drop(pieces);
        assert!(!upload.has_ended());
        request.into_body().collect().await.unwrap();
        assert!(upload.has_ended());
        let (_pieces, mut request) = streaming();
        let upload = Upload::of(&mut request);
        drop(request);
        assert!(upload.has_ended());
    }

    #[tokio::test]
    async fn a_request_that_was_not_sent_keeps_its_body() {
        let (pieces, mut request) = streaming();
        Upload::of(&mut request).release();
        pieces.send(piece()).unwrap();
        drop(pieces);
        assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "piece");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_must_be_asked_for_waits_a_second() {
        let mut request = Request::builder().header(EXPECT, "100-Continue").body(Body::from("text")).unwrap();
        let upload = Upload::asking(&mut request);
        let mut body = request.into_body();
        assert!(body.frame().now_or_never().is_none() && !upload.has_ended());
        tokio::time::sleep(Duration::from_millis(999)).await;
        assert!(body.frame().now_or_never().is_none());
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(body.collect().await.unwrap().to_bytes(), "text");
        assert!(upload.has_ended());
    }
}
