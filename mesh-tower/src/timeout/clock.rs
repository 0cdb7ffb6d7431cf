//! The clocks of one request: the route's timeout over all tries, and one for each try.
//!
//! Both start no earlier than the end of the request's body, so a slow upload or a bidirectional
//! stream is not cut while the caller still sends. A try's clock also waits for its connection. One
//! timer serves both, and none is armed for a request without timeouts.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mesh_core::Failure;
use mesh_core::deadline::Deadline;
use tokio::time::Sleep;

use crate::Body;
use crate::body::ended::{BodyEnd, Ended};

/// When a request, and the current try of it, have to be over.
#[derive(Debug)]
pub(crate) struct Clock {
    deadline: Deadline,
    arrived: Instant,
    /// `None`: the request has no body worth waiting for.
    body: Option<Arc<BodyEnd>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    pub(crate) fn new(deadline: Deadline, arrived: Instant) -> Self {
        Self { deadline, arrived, body: None, timer: None }
    }

    pub(crate) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Watches for the end of the request's body, if anything depends on it.
    pub(crate) fn watch(&mut self, body: Body) -> Body {
        let timed = self.deadline.timeout().is_some() || self.deadline.per_try().is_some();
        if !timed || body.try_clone().is_some() {
            return body;
        }
        let end = Arc::new(BodyEnd::default());
        self.body = Some(Arc::clone(&end));
        Body::new(Ended::new(body, end))
    }

    /// The moment from which a try's limit counts, if there is one; else one that will do.
    pub(crate) fn try_begins(&self) -> Instant {
        if self.deadline.per_try().is_some() { crate::clock::now() } else { self.arrived }
    }

    /// When the whole request has to be over; `None` while its body is still being sent.
    pub(crate) fn route_deadline(&self) -> Option<Instant> {
        self.body_ended()?.checked_add(self.deadline.timeout()?)
    }

    /// Time left for the request at `now`; `None` if there is no limit (yet).
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        self.route_deadline().map(|deadline| deadline.saturating_duration_since(now))
    }

    /// Waits for something that only the route's timeout bounds: a free connection, a pause.
    ///
    /// # Errors
    /// [`Failure::RequestTimeout`]
    pub(crate) async fn bounded<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        self.run(None, work).await
    }

    /// Waits for the answer to a try whose connection was ready at `ready`.
    ///
    /// # Errors
    /// [`Failure::RequestTimeout`] or [`Failure::PerTryTimeout`]
    pub(crate) async fn answering<T>(&mut self, ready: Instant, work: impl Future<Output = T>) -> Result<T, Failure> {
        self.run(Some(ready), work).await
    }

    async fn run<T>(&mut self, ready: Option<Instant>, work: impl Future<Output = T>) -> Result<T, Failure> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            self.poll_expired(ready, cx).map(Err)
        })
        .await
    }

    /// Comes with the failure when the time is over, for a request that waits; `ready` as in
    /// [`answering`](Self::answering), `None` where only the route's timeout counts.
    pub(crate) fn poll_expired(&mut self, ready: Option<Instant>, cx: &mut Context<'_>) -> Poll<Failure> {
        if self.deadline.timeout().is_none() && (self.deadline.per_try().is_none() || ready.is_none()) {
            return Poll::Pending;
        }
        if let Some(body) = &self.body {
            body.register(cx.waker());
        }
        let Some(ended) = self.body_ended() else { return Poll::Pending };
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
        self.timer_at(at).as_mut().poll(cx).map(|()| failure)
    }

    fn timer_at(&mut self, at: Instant) -> &mut Pin<Box<Sleep>> {
        let at = tokio::time::Instant::from_std(at);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer
    }

    /// When the request's body had been sent; `None` while it is being sent.
    fn body_ended(&self) -> Option<Instant> {
        match &self.body {
            None => Some(self.arrived),
            Some(body) => body.at(),
        }
    }
}
