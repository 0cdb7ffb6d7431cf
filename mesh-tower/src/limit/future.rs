use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use mesh_core::Failure;
use mesh_core::limits::Permit;
use pin_project::pin_project;

use super::ResponseBody;
use crate::{BoxError, Error};

/// The response of a [`Limit`](super::Limit) to come.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    state: State<F>,
}

#[pin_project(project = Projection)]
#[derive(Debug)]
enum State<F> {
    Calling {
        #[pin]
        future: F,
        /// Until the response has it.
        permit: Option<Permit>,
    },
    Refused(Failure),
}

impl<F> ResponseFuture<F> {
    pub(super) fn calling(future: F, permit: Permit) -> Self {
        Self { state: State::Calling { future, permit: Some(permit) } }
    }

    pub(super) fn refused(failure: Failure) -> Self {
        Self { state: State::Refused(failure) }
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
        match self.project().state.project() {
            Projection::Calling { future, permit } => {
                let result = ready!(future.poll(cx));
                let permit = permit.take();
                Poll::Ready(match result {
                    Ok(response) => Ok(response.map(|inner| ResponseBody::new(inner, permit))),
                    Err(error) => Err(error.into()),
                })
            }
            Projection::Refused(failure) => Poll::Ready(Err(Error::from(*failure).into())),
        }
    }
}
