use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use mesh_core::deadline::Deadline;
use mesh_core::limits::Permit;
use tower::ServiceExt as _;
use tower_service::Service;

use super::MirrorLayer;
use super::slots::unless_given_up;
use crate::layers::accessors;
use crate::repeatable::{Keep, Repeatable};
use crate::timeout::clock::Clock;
use crate::{Body, BoxError, body};

/// How far a copy may lie behind the main call's body, in bytes.
const LAG: usize = 64 * 1024;

/// A service whose requests are copied; made by a [`MirrorLayer`].
#[derive(Clone, Debug)]
pub struct Mirror<S, M> {
    inner: S,
    layer: MirrorLayer<M>,
}

impl<S, M> Mirror<S, M> {
    pub(super) fn new(inner: S, layer: MirrorLayer<M>) -> Self {
        Self { inner, layer }
    }

    accessors!();
}

impl<S, M, B, R> Service<Request<B>> for Mirror<S, M>
where
    S: Service<Request<Body>>,
    M: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    M::Error: Into<BoxError>,
    M::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: http_body::Body + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let mut request = request.map(Body::new);
        let Some(permit) = self.layer.draw() else { return self.inner.call(request) };
        let mut clock = Clock::new(Deadline::of(self.layer.timeout), crate::clock::now());
        clock.watch(request.body_mut(), false);
        let mut request = Repeatable::new(request, true, Keep::new(0));
        let copy = request.copy(LAG, &self.layer.slots);
        // The first reading of a recording is always to be had.
        let call = self.inner.call(request.next_request().unwrap_or_default());
        if let Some(copy) = copy {
            let (copy, given_up) = copy.into_parts();
            let delivering = deliver(self.layer.mirror.clone(), copy, clock, permit);
            tokio::spawn(unless_given_up(given_up, delivering));
        }
        call
    }
}

/// Sends a copy, within its time limit.
async fn deliver<M, R>(mirror: M, copy: Request<Body>, mut clock: Clock, _permit: Permit)
where
    M: Service<Request<Body>, Response = Response<R>>,
    M::Error: Into<BoxError>,
    R: http_body::Body,
{
    let answer = async {
        match mirror.oneshot(copy).await.map_err(Into::into) {
            Ok(response) => body::drain(response.into_body()).await,
            Err(error) => tracing::debug!(%error, "mirrored request failed"),
        }
    };
    if clock.bounded(answer).await.is_err() {
        tracing::debug!("mirrored request took too long");
    }
}
