//! Copies of a share of the requests for a service that only listens.
//!
//! The copy reads the body along as it streams to the service inside (64 KiB may be kept, more gives
//! the copy up) and has a time limit of its own. It never delays, fails or changes the main call.
//!
//! ```
//! use mesh_tower::mirror::MirrorLayer;
//! use tower::{ServiceBuilder, service_fn};
//! # async fn answer(_: http::Request<mesh_tower::Body>) -> Result<http::Response<mesh_tower::Body>, mesh_tower::BoxError> { Ok(http::Response::default()) }
//!
//! let mirror = MirrorLayer::new(service_fn(answer), 25.0);
//! let service = ServiceBuilder::new().layer(mirror).service(service_fn(answer));
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use mesh_config::value::Percent;
use tower::ServiceExt as _;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::replay::Replay;
use crate::chance::Chance;
use crate::layers::accessors;
use crate::{Body, BoxError};

/// How much of a body may be kept for a copy.
const KEPT: usize = 64 * 1024;

/// Sends copies to another service.
#[derive(Clone, Debug)]
pub struct MirrorLayer<M> {
    mirror: M,
    numerator: u32,
    limit: Duration,
    chance: Arc<Chance>,
}

impl<M> MirrorLayer<M> {
    /// Copies of `percent` of the requests for `mirror`, 15 s each at most.
    pub fn new(mirror: M, percent: f64) -> Self {
        let numerator = Percent { value: percent }.numerator();
        Self { mirror, numerator, limit: Duration::from_secs(15), chance: Arc::default() }
    }

    /// Another time limit for the copies.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Makes the draws reproducible, for tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.chance = Arc::new(Chance::new(Some(seed)));
        self
    }
}

impl<S, M: Clone> Layer<S> for MirrorLayer<M> {
    type Service = Mirror<S, M>;

    fn layer(&self, inner: S) -> Mirror<S, M> {
        Mirror { inner, layer: self.clone() }
    }
}

/// A service whose requests are copied; made by [`MirrorLayer`].
#[derive(Clone, Debug)]
pub struct Mirror<S, M> {
    inner: S,
    layer: MirrorLayer<M>,
}

impl<S, M> Mirror<S, M> {
    accessors!();
}

impl<S, M, R> Service<Request<Body>> for Mirror<S, M>
where
    S: Service<Request<Body>>,
    M: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    M::Future: Send,
    M::Error: Into<BoxError> + Send,
    R: http_body::Body + Send + 'static,
    R::Data: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let draw = self.layer.chance.with(|rng| rng.next_u64());
        if u64::from(self.layer.numerator) <= draw % u64::from(Percent::DENOMINATOR) {
            return self.inner.call(request);
        }
        let (head, body) = request.into_parts();
        let replay = Replay::new(body, KEPT);
        let mut copy = Request::new(Body::new(replay.tee(KEPT)));
        *copy.method_mut() = head.method.clone();
        *copy.uri_mut() = head.uri.clone();
        *copy.version_mut() = head.version;
        *copy.headers_mut() = head.headers.clone();
        // The first reading of a recording is always to be had.
        let main = replay.attempt().map_or_else(|_| Body::empty(), Body::new);
        let call = self.inner.call(Request::from_parts(head, main));
        let mirror = self.layer.mirror.clone();
        tokio::spawn(tokio::time::timeout(self.layer.limit, async move {
            match mirror.oneshot(copy).await {
                // Read to the end, so that a connection can be used again.
                Ok(response) => drop(response.into_body().collect().await),
                Err(error) => tracing::debug!(error = %error.into(), "mirrored request failed"),
            }
        }));
        call
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tower::service_fn;

    use super::*;

    type Got = mpsc::UnboundedReceiver<String>;

    fn reading() -> (
        Got,
        impl Service<Request<Body>, Response = Response<Body>, Error = BoxError, Future: Send> + Clone + Send + 'static,
    ) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let service = service_fn(move |request: Request<Body>| {
            let sender = sender.clone();
            async move {
                let body = request.into_body().collect().await?.to_bytes();
                let _ = sender.send(String::from_utf8(body.to_vec()).unwrap());
                Ok::<_, BoxError>(Response::new(Body::empty()))
            }
        });
        (receiver, service)
    }

    #[tokio::test]
    async fn the_copy_has_the_same_body() {
        let ((mut main, inner), (mut copies, mirror)) = (reading(), reading());
        let service = MirrorLayer::new(mirror, 100.0).layer(inner);
        service.oneshot(Request::new(Body::full("hello"))).await.unwrap();
        assert_eq!((main.recv().await.unwrap(), copies.recv().await.unwrap()), ("hello".into(), "hello".into()));
    }

    #[tokio::test]
    async fn a_share_is_copied() {
        let ((_main, inner), (mut copies, mirror)) = (reading(), reading());
        let service = MirrorLayer::new(mirror, 25.0).seed(1).layer(inner);
        for _ in 0..1_000 {
            service.clone().oneshot(Request::new(Body::empty())).await.unwrap();
        }
        drop(service);
        let mut count = 0;
        while copies.recv().await.is_some() {
            count += 1;
        }
        // Four standard deviations.
        assert!((195..305).contains(&count), "{count}");
    }

    #[tokio::test]
    async fn a_mirror_that_hangs_or_fails_changes_nothing() {
        for hangs in [true, false] {
            let mirror = service_fn(move |_: Request<Body>| async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Err::<Response<Body>, _>("broken")
            });
            let (mut main, inner) = reading();
            let service = MirrorLayer::new(mirror, 100.0).layer(inner);
            service.oneshot(Request::new(Body::full("hello"))).await.unwrap();
            assert_eq!(main.recv().await.unwrap(), "hello");
        }
    }
}
