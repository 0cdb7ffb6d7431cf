//! [`ResponseFuture`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use mesh_core::classify::Outcome;
use pin_project::pin_project;

use crate::{Body, hops};

use super::record::Record;
use super::{RequestContext, ResponseBody};

/// The response of an [`Inbound`](super::Inbound).
#[pin_project]
pub struct ResponseFuture<F> {
    #[pin]
    kind: Kind<F>,
    record: Option<Record>,
}

#[pin_project(project = KindProjection)]
enum Kind<F> {
    Inner {
        #[pin]
        future: F,
        context: Arc<RequestContext>,
    },
    /// Boxed, since it is rare and large.
    Refused(Option<Box<Response<Body>>>),
}

impl<F> ResponseFuture<F> {
    pub(super) fn inner(future: F, context: Arc<RequestContext>, record: Record) -> Self {
        Self { kind: Kind::Inner { future, context }, record: Some(record) }
    }

    pub(super) fn refused(response: Response<Body>, record: Record) -> Self {
        Self { kind: Kind::Refused(Some(Box::new(response))), record: Some(record) }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (response, context) = match this.kind.project() {
            KindProjection::Inner { future, context } => {
                let mut response = ready!(context.enter(|| future.poll(cx)))?;
                if context.is_spent() && is_error(&response) {
                    hops::mark_spent(response.headers_mut());
                }
                (response.map(ResponseBody::inner), Some(Arc::clone(context)))
            }
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

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("record", &self.record).finish_non_exhaustive()
    }
}
