use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request, Response};
use mesh_core::deadline::{Deadline, format_grpc_timeout};
use mesh_core::route::reply::is_grpc;
use tower_service::Service;

use super::clock::Clock;
use super::{ResponseBody, ResponseFuture};
use crate::layers::accessors;
use crate::{Body, BoxError};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A service with a time limit; made by a [`TimeoutLayer`](super::TimeoutLayer).
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    limit: Option<Duration>,
}

impl<S> Timeout<S> {
    pub(super) fn new(inner: S, limit: Option<Duration>) -> Self {
        Self { inner, limit }
    }

    accessors!();
}

impl<S, B, R> Service<Request<B>> for Timeout<S>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: http_body::Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let headers = request.headers();
        let deadline = Deadline::new(self.limit, None, is_grpc(headers), headers);
        let mut clock = Clock::new(deadline, crate::clock::now());
        let mut request = request.map(Body::new);
        if let Some(limit) = deadline.expected(None).filter(|_| deadline.tells_grpc()) {
            request.headers_mut().insert(GRPC_TIMEOUT, format_grpc_timeout(limit));
        }
        clock.watch(request.body_mut(), false);
        ResponseFuture::new(self.inner.call(request), clock)
    }
}
