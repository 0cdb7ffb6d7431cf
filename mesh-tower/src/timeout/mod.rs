//! A time limit for the whole exchange up to the head of the response.
//!
//! What takes longer fails with [`Failure::RequestTimeout`], which a
//! mesh answers with 504. Around a retry it covers all tries and their pauses. The timer is only armed
//! for a request that has to wait.
//!
//! ```
//! use std::time::Duration;
//! use mesh_tower::timeout::TimeoutLayer;
//! use tower::{ServiceBuilder, service_fn};
//! # async fn answer(_: http::Request<mesh_tower::Body>) -> Result<http::Response<mesh_tower::Body>, mesh_tower::BoxError> { Ok(http::Response::default()) }
//!
//! let service = ServiceBuilder::new().layer(TimeoutLayer::new(Duration::from_secs(2))).service(service_fn(answer));
//! ```

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pin_project::pin_project;
use tokio::time::Sleep;
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::accessors;
use crate::{BoxError, Error, Failure};

/// Limits the time a service may take.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    limit: Duration,
}

impl TimeoutLayer {
    /// Up to `limit` for each request.
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, limit: self.limit }
    }
}

/// A service with a time limit; made by [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    limit: Duration,
}

impl<S> Timeout<S> {
    accessors!();
}

impl<S, Q> Service<Q> for Timeout<S>
where
    S: Service<Q>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        ResponseFuture { future: self.inner.call(request), end: crate::clock::now() + self.limit, timer: None }
    }
}

/// The response of a [`Timeout`] to come.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    future: F,
    end: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: Into<BoxError>,
{
    type Output = Result<R, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(result) = this.future.poll(cx) {
            return Poll::Ready(result.map_err(Into::into));
        }
        let end = *this.end;
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end.into())));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(Error::from(Failure::RequestTimeout).into()))
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_a_timeout() {
        let slow = service_fn(|seconds: u64| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, BoxError>(seconds)
        });
        let service = TimeoutLayer::new(Duration::from_secs(2)).layer(slow);
        assert_eq!(service.clone().oneshot(1).await.unwrap(), 1);
        let began = crate::clock::now();
        let error = service.oneshot(3).await.unwrap_err();
        assert_eq!(error.downcast::<Error>().unwrap().failure(), Failure::RequestTimeout);
        assert_eq!(crate::clock::now() - began, Duration::from_secs(2));
    }

    #[tokio::test]
    async fn errors_of_the_service_inside_are_kept() {
        let broken = service_fn(|()| async { Err::<(), _>("broken") });
        let service = TimeoutLayer::new(Duration::from_secs(2)).layer(broken);
        assert_eq!(service.oneshot(()).await.unwrap_err().to_string(), "broken");
    }
}
