//! Leaves a service that keeps failing alone for a while.
//!
//! Around a service that stands for one endpoint: after so many failures in a row it is out, and
//! requests fail at once with [`Failure::NoHealthyUpstream`]; the
//! next sweep after its time takes it back. The algorithm is Envoy's outlier detection, see
//! [`mesh_core::outlier`]. All services of one layer are one endpoint.
//!
//! ```
//! use mesh_tower::outlier::OutlierLayer;
//! use tower::{ServiceBuilder, service_fn};
//! # async fn answer(_: http::Request<mesh_tower::Body>) -> Result<http::Response<mesh_tower::Body>, mesh_tower::BoxError> { Ok(http::Response::default()) }
//!
//! let service = ServiceBuilder::new().layer(OutlierLayer::consecutive_5xx(5)).service(service_fn(answer));
//! ```

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{EndpointAddress, EndpointSpec};
use mesh_core::outlier::{Detector, OutlierSpec};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::{accessors, failure_of};
use crate::{BoxError, Error, Failure};

/// Watches a service and leaves it alone while it is out.
#[derive(Clone, Debug)]
pub struct OutlierLayer {
    watch: Arc<Watch>,
}

#[derive(Debug)]
struct Watch {
    detector: Detector,
    endpoint: Arc<EndpointState>,
}

impl OutlierLayer {
    /// With a policy given by hand. `max_ejection_percent` does not count: there is one endpoint, and
    /// it may be ejected.
    pub fn new(policy: OutlierSpec) -> Self {
        let policy = OutlierSpec { max_ejection_percent: 100, ..policy };
        let nowhere = EndpointAddress::Socket(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let endpoint = Arc::new(EndpointState::new(EndpointSpec::at(nowhere)));
        let detector = Detector::new(policy, crate::clock::now());
        detector.set_hosts(std::slice::from_ref(&endpoint));
        Self { watch: Arc::new(Watch { detector, endpoint }) }
    }

    /// Out after `errors` answers of 500 or more in a row; the rest as Istio's defaults (30 s, sweeps
    /// every 10 s).
    pub fn consecutive_5xx(errors: u32) -> Self {
        Self::new(OutlierSpec { consecutive_5xx: errors, ..OutlierSpec::default() })
    }

    /// Whether the service is out.
    pub fn is_ejected(&self) -> bool {
        self.watch.endpoint.is_ejected()
    }
}

impl<S> Layer<S> for OutlierLayer {
    type Service = Outlier<S>;

    fn layer(&self, inner: S) -> Outlier<S> {
        Outlier { inner, watch: Arc::clone(&self.watch) }
    }
}

/// A service that is left alone while it is out; made by [`OutlierLayer`].
#[derive(Clone, Debug)]
pub struct Outlier<S> {
    inner: S,
    watch: Arc<Watch>,
}

impl<S> Outlier<S> {
    accessors!();
}

impl<S, B, R> Service<Request<B>> for Outlier<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.watch.endpoint.is_ejected() {
            self.watch.detector.on_tick(crate::clock::now());
        }
        if self.watch.endpoint.is_ejected() {
            return ResponseFuture { future: None, watch: Arc::clone(&self.watch) };
        }
        ResponseFuture { future: Some(self.inner.call(request)), watch: Arc::clone(&self.watch) }
    }
}

/// The response of an [`Outlier`] to come.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    /// `None` while the service is out.
    #[pin]
    future: Option<F>,
    watch: Arc<Watch>,
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<R>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            return Poll::Ready(Err(Error::from(Failure::NoHealthyUpstream).into()));
        };
        let result = ready!(future.poll(cx)).map_err(Into::into);
        let outcome = match &result {
            Ok(response) => Outcome::of_response(response.status(), response.headers()),
            Err(error) => Outcome::Failed(failure_of(error)),
        };
        let Watch { detector, endpoint } = &**this.watch;
        detector.on_outcome(crate::clock::now(), endpoint, &outcome);
        Poll::Ready(result)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::Body;

    #[tokio::test(start_paused = true)]
    async fn a_failing_service_is_left_alone_and_taken_back() {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let layer = OutlierLayer::consecutive_5xx(3);
        let service = layer.layer(service_fn(move |_: Request<Body>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, BoxError>(Response::builder().status(503).body(Body::empty()).unwrap()) }
        }));
        for _ in 0..3 {
            service.clone().oneshot(Request::new(Body::empty())).await.unwrap();
        }
        assert!(layer.is_ejected());
        let error = service.clone().oneshot(Request::new(Body::empty())).await.unwrap_err();
        assert_eq!(error.downcast::<Error>().unwrap().failure(), Failure::NoHealthyUpstream);
        assert_eq!(calls.load(Ordering::SeqCst), 3);
        tokio::time::advance(Duration::from_secs(41)).await;
        service.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn errors_count_and_are_kept() {
        let layer = OutlierLayer::consecutive_5xx(2);
        let service = layer.layer(service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>("broken") }));
        for _ in 0..2 {
            let error = service.clone().oneshot(Request::new(Body::empty())).await.unwrap_err();
            assert_eq!(error.to_string(), "broken");
        }
        assert!(layer.is_ejected());
    }
}
