//! The clocks of one request: the route's timeout over all tries, and one for each try.
//!
//! Both start no earlier than the end of the request's body, so a slow upload or a bidirectional
//! stream is not cut while the caller still sends. A try's clock also waits for its connection. One
//! timer serves both, and none is armed for a request without timeouts.
//!
//! Where asked to, they also run while there is more to send and the endpoint does not take it: for a body
//! that cannot be sent the end would never come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mesh_core::Failure;
use mesh_core::deadline::Deadline;
use pin_project::pin_project;

use super::cut_off::CutOff;
use super::timer::Timer;
use crate::Body;
use crate::body::ended::{BodyEnd, Ended, Waits};

/// When a request, and the current try of it, have to be over.
#[derive(Debug)]
pub(crate) struct Clock {
    deadline: Deadline,
    arrived: Instant,
    /// The time, unless something was waited for since it was read.
    now: Option<Instant>,
    /// `None`: the request has no body worth waiting for.
    body: Option<Arc<BodyEnd>>,
    /// Whether the time runs while an endpoint takes nothing of the body.
    heeds_stalls: bool,
    timer: Option<Timer>,
}

impl Clock {
    /// Of a request that arrives, or goes on after a delay, at this moment.
    pub(crate) fn new(deadline: Deadline, arrived: Instant) -> Self {
        Self { deadline, arrived, now: Some(arrived), body: None, heeds_stalls: false, timer: None }
    }

    pub(crate) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Watches for the end of the request's body, if anything depends on it.
    pub(crate) fn watch(&mut self, body: &mut Body, heeds_stalls: bool) {
        let timed = self.deadline.timeout().is_some() || self.deadline.per_try().is_some();
        if !timed || body.is_full() {
            return;
        }
        let end = Arc::new(BodyEnd::new(self.arrived));
        self.body = Some(Arc::clone(&end));
        self.heeds_stalls = heeds_stalls;
        *body = Body::new(Ended::new(std::mem::take(body), end));
    }

    /// What time it is, or was at the last wait: a request that waits for nothing asks once.
    pub(crate) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(crate::clock::now)
    }

    /// When the whole request has to be over; `None` while its body is still being sent.
    pub(crate) fn route_deadline(&self) -> Option<Instant> {
        self.body_ended()?.checked_add(self.deadline.timeout()?)
    }

    /// What ends an answer that takes too long; `None` for one that may take as long as it likes.
    pub(crate) fn cut_off(&self) -> Option<CutOff> {
        let timeout = self.deadline.timeout()?;
        match (self.body_ended(), &self.body) {
            (Some(ended), _) => ended.checked_add(timeout).map(CutOff::at),
            (None, Some(body)) => Some(CutOff::after(Arc::clone(body), timeout)),
            (None, None) => None,
        }
    }

    /// Time left for the request at `now`; `None` if there is no limit (yet).
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        self.route_deadline().map(|deadline| deadline.saturating_duration_since(now))
    }

    /// Waits for something that only the route's timeout bounds: a free connection, a pause.
    ///
    /// # Errors
    /// [`Failure::RequestTimeout`]
    pub(crate) fn bounded<F: Future>(&mut self, work: F) -> Bounded<'_, F> {
        Bounded { clock: self, ready: None, work }
    }

    /// Waits for the answer to a try whose connection was ready at `ready`.
    ///
    /// # Errors
    /// [`Failure::RequestTimeout`] or [`Failure::PerTryTimeout`]
    pub(crate) fn answering<F: Future>(&mut self, ready: Instant, work: F) -> Bounded<'_, F> {
        Bounded { clock: self, ready: Some(ready), work }
    }

    /// Comes with the failure when the time is over, for a request that waits; `ready` as in
    /// [`answering`](Self::answering), `None` where only the route's timeout counts.
    pub(crate) fn poll_expired(&mut self, ready: Option<Instant>, cx: &mut Context<'_>) -> Poll<Failure> {
        if self.deadline.timeout().is_none() && (self.deadline.per_try().is_none() || ready.is_none()) {
            return Poll::Pending;
        }
        if let Some(body) = &self.body {
            body.register(Waits::Clock, cx.waker());
        }
        let ended = match self.body_ended() {
            Some(ended) => ended,
            None if self.heeds_stalls => match self.body.as_ref().and_then(|body| body.stands_still_since()) {
                Some(since) => since,
                None => return self.look_again(ready, cx),
            },
            None => return Poll::Pending,
        };
        // A limit beyond the end of time is none.
        let route = self.deadline.timeout().and_then(|timeout| ended.checked_add(timeout));
        let per_try = ready.zip(self.deadline.per_try());
        let attempt = per_try.and_then(|(ready, per_try)| ready.max(ended).checked_add(per_try));
        let (at, failure) = match (route, attempt) {
            (Some(route), Some(attempt)) if attempt < route => (attempt, Failure::PerTryTimeout),
            (Some(route), _) => (route, Failure::RequestTimeout),
            (None, Some(attempt)) => (attempt, Failure::PerTryTimeout),
            (None, None) => return Poll::Pending,
        };
        self.timer.get_or_insert_with(|| Timer::take(at)).poll_at(at, cx).map(|()| failure)
    }

    /// While the body flows: it may stand still from now on.
    fn look_again(&mut self, ready: Option<Instant>, cx: &mut Context<'_>) -> Poll<Failure> {
        let per_try = ready.and(self.deadline.per_try());
        let shortest = self.deadline.timeout().into_iter().chain(per_try).min();
        if let Some(at) = shortest.and_then(|shortest| crate::clock::now().checked_add(shortest)) {
            let _to_come = self.timer.get_or_insert_with(|| Timer::take(at)).poll_at(at, cx);
        }
        Poll::Pending
    }

    /// When the request's body had been sent; `None` while it is being sent.
    fn body_ended(&self) -> Option<Instant> {
        match &self.body {
            None => Some(self.arrived),
            Some(body) => body.at(),
        }
    }
}

/// Work until the time is over. A type of its own because an asynchronous function would hold its
/// argument twice, and what a request is in the end has to be moved.
#[pin_project]
#[must_use = "does nothing unless awaited"]
pub(crate) struct Bounded<'c, F> {
    clock: &'c mut Clock,
    ready: Option<Instant>,
    #[pin]
    work: F,
}

impl<F: Future> Future for Bounded<'_, F> {
    type Output = Result<F::Output, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.work.poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => {
                this.clock.now = None;
                this.clock.poll_expired(*this.ready, cx).map(Err)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use bytes::Bytes;
    use http::HeaderMap;
    use http_body::Frame;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A clock of one second, and a body of two pieces that it watches.
    fn watched(heeds_stalls: bool) -> (Clock, Body) {
        let pieces = (0..2).map(|_| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"piece"))));
        let mut body = Body::new(StreamBody::new(tokio_stream::iter(pieces.collect::<Vec<_>>())));
        let deadline = Deadline::new(Some(SECOND), None, false, &HeaderMap::new());
        let mut clock = Clock::new(deadline, crate::clock::now());
        clock.watch(&mut body, heeds_stalls);
        (clock, body)
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_runs_while_nobody_takes_the_rest_of_a_body_where_that_is_asked_for() {
        let (mut clock, mut body) = watched(true);
        let began = crate::clock::now();
        let reading = async {
            tokio::time::sleep(5 * SECOND).await;
            body.frame().await.unwrap().unwrap();
            pending::<()>().await;
        };
        // Before anything of it is taken there is nothing that stands still.
        assert_eq!(clock.bounded(reading).await, Err(Failure::RequestTimeout));
        assert_eq!((crate::clock::now() - began).as_secs(), 6);
        let (mut clock, mut body) = watched(false);
        body.frame().await.unwrap().unwrap();
        let long = tokio::time::timeout(60 * SECOND, clock.bounded(pending::<()>())).await;
        assert!(long.is_err(), "elsewhere it waits for the end of the body");
    }
}
