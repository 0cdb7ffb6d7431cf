use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use mesh_core::Failure;
use mesh_core::limits::Permit;
use pin_project::pin_project;

use super::ResponseBody;
use crate::{BoxError, Error};

/// The response of a [`Limit`](super::Limit), or of another service that holds something until then, to come.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F, H = Permit> {
    #[pin]
    state: State<F, H>,
}

#[pin_project(project = Projection)]
#[derive(Debug)]
enum State<F, H> {
    Calling {
        #[pin]
        future: F,
        /// Until the response has it.
        held: Option<H>,
    },
    Refused(Failure),
}

impl<F, H> ResponseFuture<F, H> {
    pub(crate) fn calling(future: F, held: H) -> Self {
        Self { state: State::Calling { future, held: Some(held) } }
    }

    pub(crate) fn refused(failure: Failure) -> Self {
        Self { state: State::Refused(failure) }
    }
}

impl<F, H, R, E> Future for ResponseFuture<F, H>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    R: http_body::Body,
{
    type Output = Result<Response<ResponseBody<R, H>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projection::Calling { future, held } => {
                let result = ready!(future.poll(cx));
                let held = held.take();
                Poll::Ready(match result {
                    Ok(response) => Ok(response.map(|inner| ResponseBody::new(inner, held))),
                    Err(error) => Err(error.into()),
                })
            }
            Projection::Refused(failure) => Poll::Ready(Err(Error::from(*failure).into())),
        }
    }
}
