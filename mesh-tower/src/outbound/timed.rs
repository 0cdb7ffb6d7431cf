//! A response that has to be over in time, whether its caller reads it or not.
//!
//! As in Envoy the route's timeout runs until the endpoint has sent the whole response. A caller that does not read
//! on holds the endpoint up, and with it a slot and a connection, so the time runs for it, too: what has come until
//! then and is short stays there to be read, and what is still to come is cut off.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::runtime::Handle;

use super::response::{Holding, Left, what_is_left};
use crate::timeout::cut_off::CutOff;
use crate::{BoxError, Error};

/// Up to so many bytes of an answer that nobody has read in time are fetched, to see whether that was all.
const SHORT: u64 = 64 * 1024;

/// How long that may take: what was sent in time is only to be taken over from the connection.
const FETCHED_WITHIN: Duration = Duration::from_millis(100);

/// The body.
#[derive(Debug)]
pub(crate) struct Timed(Arc<Watched>);

/// The body and who ends it.
#[derive(Debug)]
struct Watched {
    state: Mutex<State>,
    runtime: Option<Handle>,
}

#[derive(Debug)]
struct State {
    /// `None` once all of it is here, or it was cut off.
    inner: Option<Incoming>,
    holding: Option<Holding>,
    cut_off: CutOff,
    /// What has come and was not read yet.
    fetched: VecDeque<Frame<Bytes>>,
    /// What its reader is still to be told.
    error: Option<BoxError>,
    /// Who reads it, and waits for more.
    reader: Option<Waker>,
}

impl Timed {
    pub(super) fn new(inner: Incoming, holding: Holding, cut_off: CutOff) -> Self {
        let state = State {
            inner: Some(inner),
            holding: Some(holding),
            cut_off,
            fetched: VecDeque::new(),
            error: None,
            reader: None,
        };
        let watched = Arc::new(Watched { state: Mutex::new(state), runtime: Handle::try_current().ok() });
        watched.look();
        Self(watched)
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the body if its time is over; else this is called again when it may be.
    fn look(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut state = self.lock();
        if state.inner.is_none() {
            return;
        }
        let Poll::Ready(late) = state.cut_off.poll(&mut Context::from_waker(&waker)) else { return };
        // Whoever waits for more has read all there is.
        if state.reader.is_some() {
            drop(state);
            self.cut(late);
        } else if let Some(runtime) = &self.runtime {
            drop(state);
            runtime.spawn(Arc::clone(self).fetch(late));
        }
    }

    /// Takes over what was sent in time and is short; the endpoint need not wait for who reads it.
    async fn fetch(self: Arc<Self>, late: Error) {
        let fetching = std::future::poll_fn(|cx| self.poll_fetch(cx));
        if !matches!(tokio::time::timeout(FETCHED_WITHIN, fetching).await, Ok(true)) {
            self.cut(late);
        }
    }

    /// Comes with whether that was all.
    fn poll_fetch(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        let mut reader = state.reader.take();
        let fetched = loop {
            if state.inner.is_none() {
                break Poll::Ready(true);
            }
            if bytes(&state.fetched) > SHORT {
                break Poll::Ready(false);
            }
            let Poll::Ready(frame) = state.poll_inner(cx) else {
                // Its waker is not the one that will be woken.
                state.reader = reader.take();
                break Poll::Pending;
            };
            match frame {
                Some(Ok(frame)) => state.fetched.push_back(frame),
                Some(Err(error)) => state.error = Some(error),
                None => {}
            }
            reader.take().into_iter().for_each(Waker::wake);
        };
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        fetched
    }

    fn cut(&self, late: Error) {
        let mut state = self.lock();
        let Some(inner) = state.inner.take() else { return };
        let (holding, reader) = (state.holding.take(), state.reader.take());
        state.error = Some(late.into());
        drop(state);
        drop((inner, holding));
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Watched {
    fn wake(self: Arc<Self>) {
        // Not at once: who wakes may hold what is needed to look.
        if let Some(runtime) = &self.runtime {
            let watched = Arc::clone(&self);
            runtime.spawn(async move { watched.look() });
        }
    }
}

impl State {
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *inner).poll_frame(cx));
        match what_is_left(frame.as_ref(), inner) {
            Left::More => {}
            Left::Nothing => self.end().into_iter().for_each(Holding::finish),
            Left::Broken(error) => self.end().into_iter().for_each(|holding| holding.broken(error)),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    /// No time runs any more.
    fn end(&mut self) -> Option<Holding> {
        self.cut_off = CutOff::default();
        self.inner = None;
        self.holding.take()
    }
}

impl Body for Timed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = self.0.lock();
        if let Some(frame) = state.fetched.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(error) = state.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        state.reader = None;
        let frame = state.poll_inner(cx);
        if frame.is_pending() {
            state.reader = Some(cx.waker().clone());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        let is_over = state.inner.as_ref().is_none_or(Body::is_end_stream);
        is_over && state.fetched.is_empty() && state.error.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.0.lock();
        let fetched = bytes(&state.fetched);
        let rest = state.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(fetched));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(fetched));
        }
        hint
    }
}

fn bytes(frames: &VecDeque<Frame<Bytes>>) -> u64 {
    frames.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum()
}

impl Drop for Timed {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        // The timer's waker is what it belongs to: neither would ever end.
        let (cut_off, inner) = (std::mem::take(&mut state.cut_off), state.inner.take());
        let holding = state.holding.take();
        drop(state);
        drop((cut_off, inner, holding));
    }
}
