use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use pin_project::pin_project;

use super::reply;
use crate::layers::failure_of;
use crate::{Body, BoxError, Error};

/// The response of a [`LocalReply`](super::LocalReply) to come.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    future: F,
    caller: Caller,
    foreign: bool,
}

/// What an answer depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) grpc: bool,
    /// It asks with HEAD.
    pub(super) head: bool,
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(future: F, caller: Caller, foreign: bool) -> Self {
        Self { future, caller, foreign }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let error = match ready!(this.future.poll(cx)) {
            Ok(response) => return Poll::Ready(Ok(response.map(Body::new))),
            Err(error) => error.into(),
        };
        Poll::Ready(match error.downcast::<Error>() {
            Ok(error) => Ok(answer(&error, *this.caller)),
            Err(error) if *this.foreign => Ok(answer(&failure_of(&error).into(), *this.caller)),
            Err(error) => Err(error),
        })
    }
}

fn answer(error: &Error, caller: Caller) -> Response<Body> {
    tracing::debug!(%error, flags = %error.flags(), "request failed");
    let response = reply(error, caller.grpc);
    if caller.head { response.map(|_| Body::empty()) } else { response }
}
