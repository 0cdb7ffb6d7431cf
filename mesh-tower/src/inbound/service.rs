//! [`Inbound`].

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, Request, Response};
use mesh_config::api::mesh_config::ForwardClientCertDetails;
use tower_service::Service;

use super::future::Waiting;
use super::guard::{self, Guard};
use super::record::Record;
use super::{RequestContext, ResponseBody, ResponseFuture, headers};
use crate::Body;
use crate::layers::{accessors, forgo};

/// The server side of the mesh around a service; made by [`InboundLayer`](super::InboundLayer).
#[derive(Clone, Debug)]
pub struct Inbound<S> {
    inner: S,
    carried: Arc<[HeaderName]>,
    guard: Option<Guard>,
}

impl<S> Inbound<S> {
    pub(super) fn new(inner: S, carried: Arc<[HeaderName]>, guard: Option<Guard>) -> Self {
        Self { inner, carried, guard }
    }

    accessors!();
}

impl<S, B, R> Service<Request<B>> for Inbound<S>
where
    B: http_body::Body + 'static,
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: http_body::Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(guard) = &self.guard else {
            let record = Record::new(&request, None);
            return match headers::prepare(&mut request, ForwardClientCertDetails::Undefined) {
                Err(failure) => self.refuse(guard::refusal(failure, &request), record),
                Ok(()) => self.enter(request, record, false),
            };
        };
        let live = guard.live();
        let measured = guard.measured(&live, &mut request);
        let mut record = Record::new(&request, measured);
        record.trace(guard.traced(&live, &mut request));
        match guard.receive(&live, &mut request) {
            Err(response) => {
                record.received(&request);
                self.refuse(*response, record)
            }
            Ok(None) => self.enter(request, record, true),
            Ok(Some(wait)) => {
                let guard = guard.clone();
                // The one that is ready is called, the copy is for the next request.
                let copy = self.inner.clone();
                let inner = mem::replace(&mut self.inner, copy);
                let carried = Arc::clone(&self.carried);
                ResponseFuture::waiting(Waiting { wait, inner, request, guard, live, carried }, record)
            }
        }
    }
}

impl<S> Inbound<S> {
    fn refuse<B, R>(&mut self, response: Response<Body>, record: Record) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
    {
        forgo(&mut self.inner);
        ResponseFuture::refused(response, record)
    }

    /// Hands a request to the application.
    fn enter<B, R>(&mut self, mut request: Request<B>, mut record: Record, guarded: bool) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        record.enters(request.headers_mut());
        record.received(&request);
        let context = Arc::new(record.around(RequestContext::of(&request, &self.carried)));
        if guarded {
            record.let_in(&mut request);
            guard::strip(request.headers_mut());
        }
        let future = context.enter(|| self.inner.call(request));
        ResponseFuture::inner(future, context, record)
    }
}
