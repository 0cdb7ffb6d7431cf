use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use mesh_core::route::reply::is_grpc;
use tower_service::Service;

use super::ResponseFuture;
use super::watch::Watch;
use crate::BoxError;
use crate::layers::{accessors, forgo};

/// A service that is left alone while it is out; made by an [`OutlierLayer`](super::OutlierLayer).
///
/// While it is out this is always ready, however busy the service inside is.
#[derive(Debug)]
pub struct Outlier<S> {
    inner: S,
    watch: Arc<Watch>,
    /// It was called ready because it is out: the service inside need not be.
    refuses: bool,
}

impl<S> Outlier<S> {
    pub(super) fn new(inner: S, watch: Arc<Watch>) -> Self {
        Self { inner, watch, refuses: false }
    }

    accessors!();
}

impl<S: Clone> Clone for Outlier<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.watch))
    }
}

impl<S, B, R> Service<Request<B>> for Outlier<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.refuses = self.watch.is_out();
        if self.refuses { Poll::Ready(Ok(())) } else { self.inner.poll_ready(cx).map_err(Into::into) }
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if std::mem::take(&mut self.refuses) || self.watch.is_out() {
            forgo(&mut self.inner);
            return ResponseFuture::refused(Arc::clone(&self.watch));
        }
        let grpc = is_grpc(request.headers());
        ResponseFuture::calling(self.inner.call(request), grpc, Arc::clone(&self.watch))
    }
}
