//! [`ResponseFuture`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderName, Request, Response};
use mesh_core::classify::Outcome;
use pin_project::pin_project;
use tower_service::Service;

use crate::live::Live;
use crate::{Body, hops};

use super::entrance::{AnswerHeaders, Refused, Wait};
use super::guard::{self, Guard};
use super::record::Record;
use super::{RequestContext, ResponseBody};

/// The response of an [`Inbound`](super::Inbound).
#[pin_project]
pub struct ResponseFuture<S: Service<Request<B>>, B> {
    #[pin]
    kind: Kind<S, B>,
    record: Option<Record>,
}

#[pin_project(project = KindProjection)]
enum Kind<S: Service<Request<B>>, B> {
    Inner {
        #[pin]
        future: S::Future,
        context: Arc<RequestContext>,
        /// What is added to the answer's headers.
        added: Option<Box<HeaderMap>>,
    },
    /// Boxed, since it is rare and large.
    Waiting(Option<Box<Waiting<S, B>>>),
    /// Boxed, since it is rare and large.
    Refused(Option<Box<Response<Body>>>),
}

/// A request that waits before it comes in.
pub(super) struct Waiting<S, B> {
    pub(super) wait: Wait,
    pub(super) inner: S,
    pub(super) request: Request<B>,
    pub(super) guard: Guard,
    pub(super) live: Arc<Live>,
    pub(super) carried: Arc<[HeaderName]>,
}

impl<S: Service<Request<B>>, B: 'static> Waiting<S, B> {
    /// Waits, and goes on with what comes of it. Gives how it ends, or nothing if there is more to wait for.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        loop {
            let waited = ready!(self.wait.poll(cx));
            match self.guard.resume(&self.live, &mut self.request, waited) {
                Ok(Some(wait)) => self.wait = wait,
                Ok(None) => return Poll::Ready(Ok(())),
                Err(response) => return Poll::Ready(Err(response)),
            }
        }
    }

    /// Hands the request to the application.
    fn enter(mut self, record: Option<&mut Record>) -> Kind<S, B> {
        let added = self.request.extensions_mut().remove::<AnswerHeaders>().map(|AnswerHeaders(headers)| headers);
        let record = record.map(|record| {
            record.enters(self.request.headers_mut());
            &*record
        });
        let context = RequestContext::of(&self.request, &self.carried);
        let context = Arc::new(match record {
            Some(record) => record.around(context),
            None => context,
        });
        guard::strip(self.request.headers_mut());
        let future = context.enter(|| self.inner.call(self.request));
        Kind::Inner { future, context, added }
    }
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(super) fn waiting(waiting: Waiting<S, B>, record: Record) -> Self {
        Self { kind: Kind::Waiting(Some(Box::new(waiting))), record: Some(record) }
    }

    pub(super) fn inner(future: S::Future, context: Arc<RequestContext>, record: Record) -> Self {
        Self { kind: Kind::Inner { future, context, added: None }, record: Some(record) }
    }

    pub(super) fn refused(response: Response<Body>, record: Record) -> Self {
        Self { kind: Kind::Refused(Some(Box::new(response))), record: Some(record) }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    B: 'static,
    S: Service<Request<B>, Response = Response<R>>,
    R: http_body::Body,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let KindProjection::Waiting(kept) = this.kind.as_mut().project()
            && let Some(waiting) = kept
        {
            let ended = ready!(waiting.poll(cx));
            let mut waiting = kept.take();
            if let (Some(record), Some(waiting)) = (this.record.as_mut(), &mut waiting) {
                record.let_in(&mut waiting.request);
                record.received(&waiting.request);
            }
            this.kind.set(match ended {
                Err(response) => Kind::Refused(Some(response)),
                Ok(()) => waiting.map_or(Kind::Refused(None), |waiting| waiting.enter(this.record.as_mut())),
            });
        }
        let (mut response, context) = match this.kind.project() {
            KindProjection::Inner { future, context, added } => {
                let mut response = ready!(context.enter(|| future.poll(cx)))?;
                if let Some(added) = added {
                    guard::append(response.headers_mut(), added);
                }
                if context.is_spent() && is_error(&response) {
                    hops::mark_spent(response.headers_mut());
                }
                (response.map(ResponseBody::inner), Some(Arc::clone(context)))
            }
            KindProjection::Waiting(_) => return Poll::Pending,
            KindProjection::Refused(response) => match response.take() {
                Some(response) => (response.map(ResponseBody::local), None),
                // Polled after it was ready.
                None => return Poll::Pending,
            },
        };
        let mut record = this.record.take();
        if let Some(record) = &mut record {
            record.tell(response.headers_mut());
            record.answered(&response, response.body().is_over());
        }
        Poll::Ready(Ok(response.map(|body| body.with(context, record))))
    }
}

/// Whether an answer is one that its caller might ask for again.
fn is_error<R>(response: &Response<R>) -> bool {
    let status = response.status();
    status.is_client_error() || !Outcome::of_response(status, response.headers()).is_success()
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("record", &self.record).finish_non_exhaustive()
    }
}
