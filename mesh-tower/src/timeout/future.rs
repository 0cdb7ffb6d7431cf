use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project::pin_project;

use super::ResponseBody;
use super::clock::Clock;
use crate::{BoxError, Error};

/// The response of a [`Timeout`](super::Timeout) to come.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    future: F,
    clock: Clock,
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(future: F, clock: Clock) -> Self {
        Self { future, clock }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    R: http_body::Body,
{
    type Output = Result<Response<ResponseBody<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.poll(cx) {
            Poll::Ready(Ok(response)) => {
                let cut_off = this.clock.cut_off().unwrap_or_default();
                Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, cut_off))))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => this.clock.poll_expired(None, cx).map(|failure| Err(Error::from(failure).into())),
        }
    }
}
