//! [`Inbound`].

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, Request, Response};
use mesh_core::Failure;
use mesh_core::path_normalization::{normalize, normalize_fully};
use mesh_core::route::internal_headers;
use tower_service::Service;

use super::future::Asking;
use super::guard::{self, Guard, Waits};
use super::record::Record;
use super::{RequestContext, ResponseBody, ResponseFuture, headers};
use crate::live::Live;
use crate::outbound::take_path_by;

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
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let record = Record::new(&request);
        let live = self.guard.as_ref().map(Guard::live);
        let guarded = self.guard.as_ref().zip(live);
        match prepare(guarded.as_ref(), &mut request) {
            Err(failure) => ResponseFuture::refused(guard::refusal(failure, &request), record),
            Ok(waits) if waits.is_empty() => {
                if let Some((guard, live)) = &guarded
                    && let Err(response) = guard.admit(live, &mut request, &Vec::new())
                {
                    return ResponseFuture::refused(*response, record);
                }
                let context = Arc::new(RequestContext::of(&request, &self.carried));
                if guarded.is_some() {
                    guard::strip(request.headers_mut());
                }
                let future = context.enter(|| self.inner.call(request));
                ResponseFuture::inner(future, context, record)
            }
            Ok(waits) => {
                let answer = Box::pin(waits.over(guard::check_request(&request)));
                // The one that is ready is called, the copy is for the next request.
                let copy = self.inner.clone();
                let inner = mem::replace(&mut self.inner, copy);
                let (guard, live) = guarded.map(|(guard, live)| (guard.clone(), live)).unzip();
                let carried = Arc::clone(&self.carried);
                ResponseFuture::asking(Asking { answer, inner, request, guard, live, carried }, record)
            }
        }
    }
}

/// Brings the request into form, and gives what it has to wait for.
fn prepare<B>(guarded: Option<&(&Guard, Arc<Live>)>, request: &mut Request<B>) -> Result<Waits, Failure> {
    let Some((guard, live)) = guarded else {
        return headers::prepare(request).map(|()| Waits::none());
    };
    headers::check(request, guard.is_strict())?;
    headers::prepare(request)?;
    internal_headers::join_lines(request.headers_mut());
    let (level, strict) = (live.snapshot().path_normalization(), guard.is_strict());
    take_path_by(request, |path| if strict { normalize_fully(path, level) } else { normalize(path, level) })?;
    guard.waits(live, request)
}
