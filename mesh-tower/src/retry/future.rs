use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use mesh_core::deadline::Deadline;
use mesh_core::failure::Limit;
use mesh_core::retry::{Attempts, Next};
use tower::ServiceExt as _;
use tower_service::Service;

use super::layer::Shared;
use crate::layers::outcome_of_try;
use crate::repeatable::{Keep, Repeatable};
use crate::timeout::clock::Clock;
use crate::{Body, BoxError, Error, Failure, hops};

/// The response of a [`Retry`](super::Retry) to come.
pub struct ResponseFuture<R>(Running<R>);

type Running<R> = Pin<Box<dyn Future<Output = Result<Response<R>, BoxError>> + Send>>;

impl<R> ResponseFuture<R> {
    pub(super) fn new<S>(inner: S, shared: Arc<Shared>, request: Request<Body>) -> Self
    where
        S: Service<Request<Body>, Response = Response<R>> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        R: Send + 'static,
    {
        Self(Box::pin(run(inner, shared, request)))
    }
}

impl<R> Future for ResponseFuture<R> {
    type Output = Result<Response<R>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<R> fmt::Debug for ResponseFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// The loop of `outbound::retry` without what only a cluster has: endpoints to choose from, limits,
/// and requests that come back unsent. So each request is kept if there may be a retry at all.
async fn run<S, R>(mut inner: S, shared: Arc<Shared>, mut request: Request<Body>) -> Result<Response<R>, BoxError>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<BoxError>,
{
    let Shared { policy, permits, chance, .. } = &*shared;
    let _active = permits.acquire_over_limit(Limit::Requests);
    shared.budget.begin(crate::clock::now());
    let deadline = Deadline::new(None, policy.per_try_timeout, false, &HeaderMap::new());
    let mut clock = Clock::new(deadline, crate::clock::now());
    clock.watch(request.body_mut(), false);
    let mut request = Repeatable::new(request, policy.attempts > 0, Keep::new(shared.max_replay));
    let mut attempts = Attempts::new(Some(policy));
    // The slot of the retry under way.
    let mut _slot = None;
    loop {
        let Some(next) = request.next_request() else { return Err(Error::from(Failure::LocalReset).into()) };
        let result = one(&mut inner, next, &mut clock).await;
        let retried = attempts.retries() > 0;
        if result.as_ref().is_ok_and(|answer| hops::is_spent(answer.headers())) {
            tracing::debug!("no retry: it has been tried again further on");
            return answered(result, retried);
        }
        let outcome = outcome_of_try(&result, shared.is_unsent);
        let Next::RetryAfter(pause) = chance.with(|rng| attempts.next(&outcome, rng)) else {
            return answered(result, retried);
        };
        if !request.can_go_again() {
            shared.skipped.fetch_add(1, Ordering::Relaxed);
            tracing::debug!("no retry: the request's body is too long to be kept");
            return answered(result, retried);
        }
        // Its slot may be the one that the next retry needs.
        _slot = None;
        _slot = shared.budget.try_acquire(crate::clock::now(), permits);
        if _slot.is_none() {
            tracing::debug!("no retry: the budget is used up");
            return answered(result, retried);
        }
        // The answer is given up, unread.
        drop(result);
        clock.bounded(tokio::time::sleep(pause)).await.map_err(Error::from)?;
        clock.bounded(inner.ready()).await.map_err(Error::from)?.map_err(Into::into)?;
    }
}

/// One try, within its time limit.
async fn one<S, R>(inner: &mut S, request: Request<Body>, clock: &mut Clock) -> Result<Response<R>, BoxError>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<BoxError>,
{
    let ready = clock.now();
    match clock.answering(ready, inner.call(request)).await {
        Ok(result) => result.map_err(Into::into),
        Err(failure) => Err(Error::from(failure).into()),
    }
}

/// An error of ours says whether there were retries: the reply to the caller tells.
fn answered<R>(result: Result<R, BoxError>, retried: bool) -> Result<R, BoxError> {
    result.map_err(|error| match error.downcast::<Error>() {
        Ok(error) => error.retried(retried).into(),
        Err(foreign) => foreign,
    })
}
