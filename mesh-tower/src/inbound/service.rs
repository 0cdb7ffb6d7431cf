//! [`Inbound`].

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, Request, Response};
use tower_service::Service;

use super::record::Record;
use super::{RequestContext, ResponseBody, ResponseFuture, headers};
use crate::{Error, local_reply};

/// The server side of the mesh around a service; made by [`InboundLayer`](super::InboundLayer).
#[derive(Clone, Debug)]
pub struct Inbound<S> {
    inner: S,
    carried: Arc<[HeaderName]>,
}

impl<S> Inbound<S> {
    pub(super) fn new(inner: S, carried: Arc<[HeaderName]>) -> Self {
        Self { inner, carried }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R> Service<Request<B>> for Inbound<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let record = Record::new(&request);
        if let Err(failure) = headers::prepare(&mut request) {
            let grpc = mesh_core::route::reply::is_grpc(request.headers());
            return ResponseFuture::refused(local_reply::reply(&Error::from(failure), grpc), record);
        }
        let context = Arc::new(RequestContext::of(&request, &self.carried));
        let future = context.enter(|| self.inner.call(request));
        ResponseFuture::inner(future, context, record)
    }
}
