use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use mesh_core::route::reply::is_grpc;
use tower_service::Service;

use super::ResponseFuture;
use super::future::Caller;
use crate::layers::accessors;
use crate::{Body, BoxError};

/// A service whose failures are answered; made by a [`LocalReplyLayer`](super::LocalReplyLayer).
///
/// A failure to become ready stays an error: there is no request yet.
#[derive(Clone, Debug)]
pub struct LocalReply<S> {
    inner: S,
    foreign: bool,
}

impl<S> LocalReply<S> {
    pub(super) fn new(inner: S, foreign: bool) -> Self {
        Self { inner, foreign }
    }

    accessors!();
}

impl<S, B, R> Service<Request<B>> for LocalReply<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let caller = Caller { grpc: is_grpc(request.headers()), head: request.method() == Method::HEAD };
        ResponseFuture::new(self.inner.call(request), caller, self.foreign)
    }
}
