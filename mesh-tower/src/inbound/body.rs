//! [`ResponseBody`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project::pin_project;

use crate::Body;
use crate::BoxError;

use super::RequestContext;
use super::record::Record;

/// The body of an [`Inbound`](super::Inbound)'s response: the application's, or that of a refusal.
///
/// The request's context is there while the application's body is polled.
#[pin_project]
#[derive(Debug)]
pub struct ResponseBody<R> {
    #[pin]
    kind: Kind<R>,
    context: Option<Arc<RequestContext>>,
    record: Option<Record>,
}

#[pin_project(project = KindProjection)]
#[derive(Debug)]
enum Kind<R> {
    Inner(#[pin] R),
    Local(#[pin] Body),
}

impl<R: http_body::Body> Kind<R> {
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Inner(body) => body.is_end_stream(),
            Self::Local(body) => http_body::Body::is_end_stream(body),
        }
    }
}

impl<R> ResponseBody<R> {
    pub(super) fn inner(body: R) -> Self {
        Self { kind: Kind::Inner(body), context: None, record: None }
    }

    pub(super) fn local(body: Body) -> Self {
        Self { kind: Kind::Local(body), context: None, record: None }
    }

    pub(super) fn with(self, context: Option<Arc<RequestContext>>, record: Option<Record>) -> Self {
        Self { context, record, ..self }
    }
}

impl<R: http_body::Body> ResponseBody<R> {
    /// Whether there is nothing to read.
    pub(super) fn is_over(&self) -> bool {
        self.kind.is_end_stream()
    }
}

impl<R> http_body::Body for ResponseBody<R>
where
    R: http_body::Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let mut poll = || match this.kind.as_mut().project() {
            KindProjection::Inner(body) => body.poll_frame(cx).map_err(Into::into),
            KindProjection::Local(body) => body.poll_frame(cx).map_err(Into::into),
        };
        let frame = ready!(match this.context {
            Some(context) => context.enter(poll),
            None => poll(),
        });
        if let Some(record) = this.record {
            match &frame {
                Some(Ok(frame)) => {
                    record.sent(frame);
                    // Nobody asks for the end behind the last frame.
                    if frame.is_trailers() || this.kind.is_end_stream() {
                        record.ended();
                    }
                }
                Some(Err(_)) => record.broken(),
                None => record.ended(),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.kind.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner(body) => body.size_hint(),
            Kind::Local(body) => body.size_hint(),
        }
    }
}
