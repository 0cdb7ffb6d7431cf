//! [`ResponseFuture`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderName, Request, Response};
use mesh_core::Failure;
use mesh_core::classify::Outcome;
use pin_project::pin_project;
use tower_service::Service;

use crate::live::Live;
use crate::{Body, hops};

use super::custom::CheckAnswer;
use super::guard::{self, Guard};
use super::record::Record;
use super::token::Fetched;
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
    },
    /// Boxed, since it is rare and large.
    Asking(Option<Box<Asking<S, B>>>),
    /// Boxed, since it is rare and large.
    Refused(Option<Box<Response<Body>>>),
}

/// A request that waits for those who are asked about it.
pub(super) struct Asking<S, B> {
    pub(super) answer: Pin<Box<dyn Future<Output = (CheckAnswer, Fetched)> + Send>>,
    pub(super) inner: S,
    pub(super) request: Request<B>,
    pub(super) guard: Option<Guard>,
    pub(super) live: Option<Arc<Live>>,
    pub(super) carried: Arc<[HeaderName]>,
}

impl<S: Service<Request<B>>, B> Asking<S, B> {
    /// What comes after the answer.
    fn answered(mut self, (answer, fetched): (CheckAnswer, Fetched)) -> Kind<S, B> {
        let refused = |response| Kind::Refused(Some(Box::new(response)));
        match answer {
            CheckAnswer::Deny(response) => return refused(response),
            CheckAnswer::Failed => return refused(guard::refusal(Failure::AccessDenied, &self.request)),
            CheckAnswer::Allow(headers) => guard::replace(self.request.headers_mut(), &headers),
        }
        let admitted = match (&self.guard, &self.live) {
            (Some(guard), Some(live)) => guard.admit(live, &mut self.request, &fetched),
            _ => Ok(()),
        };
        if let Err(response) = admitted {
            return Kind::Refused(Some(response));
        }
        let context = Arc::new(RequestContext::of(&self.request, &self.carried));
        guard::strip(self.request.headers_mut());
        let future = context.enter(|| self.inner.call(self.request));
        Kind::Inner { future, context }
    }
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(super) fn asking(asking: Asking<S, B>, record: Record) -> Self {
        Self { kind: Kind::Asking(Some(Box::new(asking))), record: Some(record) }
    }

    pub(super) fn inner(future: S::Future, context: Arc<RequestContext>, record: Record) -> Self {
        Self { kind: Kind::Inner { future, context }, record: Some(record) }
    }

    pub(super) fn refused(response: Response<Body>, record: Record) -> Self {
        Self { kind: Kind::Refused(Some(Box::new(response))), record: Some(record) }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let KindProjection::Asking(waiting) = this.kind.as_mut().project() {
            let Some(asking) = waiting else { return Poll::Pending };
            let answer = ready!(asking.answer.as_mut().poll(cx));
            if let Some(asking) = waiting.take() {
                this.kind.set(asking.answered(answer));
            }
        }
        let (response, context) = match this.kind.project() {
            KindProjection::Inner { future, context } => {
                let mut response = ready!(context.enter(|| future.poll(cx)))?;
                if context.is_spent() && is_error(&response) {
                    hops::mark_spent(response.headers_mut());
                }
                (response.map(ResponseBody::inner), Some(Arc::clone(context)))
            }
            KindProjection::Asking(_) => return Poll::Pending,
            KindProjection::Refused(response) => match response.take() {
                Some(response) => (response.map(ResponseBody::local), None),
                // Polled after it was ready.
                None => return Poll::Pending,
            },
        };
        let mut record = this.record.take();
        if let Some(record) = &mut record {
            record.answered(response.status());
        }
        Poll::Ready(Ok(response.map(|body| body.with(context, record))))
    }
}

/// Whether an answer is one that its caller might ask for again.
fn is_error<R>(response: &Response<R>) -> bool {
    !Outcome::of_response(response.status(), response.headers()).is_success()
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("record", &self.record).finish_non_exhaustive()
    }
}
