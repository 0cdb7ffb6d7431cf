//! The bodies of HTTP/2 requests, which have to go on while they are waited for.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::BoxError;

/// Whether the answer to a request has begun: from then on its body may be as silent as it likes.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered(Arc<AtomicBool>);

impl Answered {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body that breaks off where its caller pauses for too long while somebody waits for more and nothing is answered yet.
#[derive(Debug)]
pub(super) struct PatientBody {
    body: Incoming,
    limit: Duration,
    answered: Answered,
    /// Since when nothing has come that is waited for; its timer may be for an earlier pause.
    pause: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl PatientBody {
    pub(super) fn new(body: Incoming, limit: Duration, answered: Answered) -> Self {
        Self { body, limit, answered, pause: None, timer: None }
    }

    /// Ready when the pause is too long.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.pause.get_or_insert_with(Instant::now);
        let end = since + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
    }
}

impl http_body::Body for PatientBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.pause = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if self.answered.is_set() {
            return Poll::Pending;
        }
        ready!(self.poll_pause(cx));
        if self.answered.is_set() {
            return Poll::Pending;
        }
        tracing::debug!("the body of a request does not go on");
        Poll::Ready(Some(Err("the body of the request does not go on".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
