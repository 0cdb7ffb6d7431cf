use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use mesh_core::Failure;
use pin_project::pin_project;
use tokio::time::Sleep;
use tower_service::Service;

use crate::{BoxError, Error};

/// The response of a [`Fault`](super::Fault) to come.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<S, Q, F> {
    #[pin]
    state: State<S, Q, F>,
}

#[pin_project(project = Projection)]
#[derive(Debug)]
enum State<S, Q, F> {
    Aborted(Failure),
    /// Held, until the one or the other follows.
    Delayed(Pin<Box<Sleep>>, Option<Then<S, Q>>),
    Calling(#[pin] F),
}

#[derive(Debug)]
enum Then<S, Q> {
    Abort(Failure),
    Call(S, Q),
}

impl<S, Q, F> ResponseFuture<S, Q, F> {
    pub(super) fn calling(future: F) -> Self {
        Self { state: State::Calling(future) }
    }

    pub(super) fn aborted(failure: Failure) -> Self {
        Self { state: State::Aborted(failure) }
    }

    pub(super) fn late_abort(delay: Duration, failure: Failure) -> Self {
        Self { state: State::Delayed(Box::pin(tokio::time::sleep(delay)), Some(Then::Abort(failure))) }
    }

    pub(super) fn late_call(delay: Duration, inner: S, request: Q) -> Self {
        Self { state: State::Delayed(Box::pin(tokio::time::sleep(delay)), Some(Then::Call(inner, request))) }
    }
}

impl<S, Q> Future for ResponseFuture<S, Q, S::Future>
where
    S: Service<Q>,
    S::Error: Into<BoxError>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Projection::Calling(future) => return future.poll(cx).map_err(Into::into),
                Projection::Aborted(failure) => return Poll::Ready(Err(Error::from(*failure).into())),
                Projection::Delayed(timer, then) => {
                    ready!(timer.as_mut().poll(cx));
                    match then.take() {
                        Some(Then::Call(mut inner, request)) => State::Calling(inner.call(request)),
                        Some(Then::Abort(failure)) => State::Aborted(failure),
                        None => return Poll::Pending,
                    }
                }
            };
            state.set(next);
        }
    }
}
