//! So many requests at once, and no more: what is over the limit fails at once.
//!
//! Unlike tower's concurrency limit nobody waits. A request counts until its response body has been
//! read or dropped, as in Envoy's `http2MaxRequests`. All services of one layer share its limit.
//!
//! ```
//! use mesh_tower::limit::LimitLayer;
//! use tower::{ServiceBuilder, service_fn};
//! # async fn answer(_: http::Request<mesh_tower::Body>) -> Result<http::Response<mesh_tower::Body>, mesh_tower::BoxError> { Ok(http::Response::default()) }
//!
//! let service = ServiceBuilder::new().layer(LimitLayer::new(100)).service(service_fn(answer));
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use mesh_core::failure::Limit as Which;
use mesh_core::limits::{Limits, Permit, Permits};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::accessors;
use crate::{BoxError, Error};

/// Limits the requests that are under way at once.
#[derive(Clone, Debug)]
pub struct LimitLayer {
    permits: Arc<Permits>,
}

impl LimitLayer {
    /// Up to `most` requests at once.
    pub fn new(most: u32) -> Self {
        Self { permits: Permits::new(Limits { requests: most, ..Limits::default() }) }
    }

    /// Requests under way.
    pub fn in_use(&self) -> u32 {
        self.permits.in_use(Which::Requests)
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit { inner, permits: Arc::clone(&self.permits) }
    }
}

/// A service that takes so many requests at once; made by [`LimitLayer`].
#[derive(Clone, Debug)]
pub struct Limit<S> {
    inner: S,
    permits: Arc<Permits>,
}

impl<S> Limit<S> {
    accessors!();
}

impl<S, B, R> Service<Request<B>> for Limit<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
{
    type Response = Response<Held<R>>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.permits.try_acquire(Which::Requests) {
            Ok(permit) => ResponseFuture::Calling { future: self.inner.call(request), permit: Some(permit) },
            Err(failure) => ResponseFuture::Refused { error: Some(failure.into()) },
        }
    }
}

/// The response of a [`Limit`] to come.
#[pin_project(project = Projection)]
#[derive(Debug)]
pub enum ResponseFuture<F> {
    /// The service inside was called.
    Calling {
        /// Its answer.
        #[pin]
        future: F,
        /// The slot, until the answer has it.
        permit: Option<Permit>,
    },
    /// There was no room.
    Refused {
        /// What the caller is told.
        error: Option<Error>,
    },
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<Held<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projection::Calling { future, permit } => {
                let result = ready!(future.poll(cx));
                let permit = permit.take();
                Poll::Ready(result.map(|response| response.map(|inner| Held { inner, permit })).map_err(Into::into))
            }
            Projection::Refused { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error.into())),
                None => Poll::Pending,
            },
        }
    }
}

/// A response body that counts until it has been read.
#[pin_project]
#[derive(Debug)]
pub struct Held<R> {
    #[pin]
    inner: R,
    permit: Option<Permit>,
}

impl<R: http_body::Body<Data = Bytes>> http_body::Body for Held<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            *this.permit = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::{Body, Failure};

    fn request() -> Request<Body> {
        Request::new(Body::empty())
    }

    #[tokio::test]
    async fn a_request_counts_until_its_response_was_read() {
        let layer = LimitLayer::new(1);
        let service = layer.layer(service_fn(|_| async { Ok::<_, BoxError>(Response::new(Body::full("x"))) }));
        let held = service.clone().oneshot(request()).await.unwrap();
        let refused = service.clone().oneshot(request()).await.unwrap_err();
        assert_eq!(refused.downcast::<Error>().unwrap().failure(), Failure::Overflow(Which::Requests));
        drop(held);
        assert!(service.oneshot(request()).await.is_ok());
        assert_eq!(layer.in_use(), 0);
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_counts_no_more() {
        let layer = LimitLayer::new(1);
        let service =
            layer.layer(service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>()));
        let future = service.clone().oneshot(request());
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), future).await.is_err());
        assert_eq!(layer.in_use(), 0);
    }

    #[tokio::test]
    async fn errors_of_the_service_inside_are_kept() {
        let service = LimitLayer::new(1).layer(service_fn(|_| async { Err::<Response<Body>, _>("broken") }));
        assert_eq!(service.oneshot(request()).await.unwrap_err().to_string(), "broken");
    }
}
