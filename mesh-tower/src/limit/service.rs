use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use mesh_core::failure::Limit as Which;
use mesh_core::limits::Permits;
use tower_service::Service;

use super::{ResponseBody, ResponseFuture};
use crate::BoxError;
use crate::layers::{accessors, forgo};

/// A service that takes so many requests at once; made by a [`LimitLayer`](super::LimitLayer).
#[derive(Clone, Debug)]
pub struct Limit<S> {
    inner: S,
    permits: Arc<Permits>,
}

impl<S> Limit<S> {
    pub(super) fn new(inner: S, permits: Arc<Permits>) -> Self {
        Self { inner, permits }
    }

    accessors!();
}

impl<S, B, R> Service<Request<B>> for Limit<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    R: http_body::Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.permits.try_acquire(Which::Requests) {
            Ok(permit) => ResponseFuture::calling(self.inner.call(request), permit),
            Err(failure) => {
                forgo(&mut self.inner);
                ResponseFuture::refused(failure)
            }
        }
    }
}
