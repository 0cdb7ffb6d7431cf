use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::cut_off::CutOff;
use crate::BoxError;

/// A response body that has to end in time.
#[pin_project]
#[derive(Debug)]
pub struct ResponseBody<R> {
    /// `None` once it was cut off.
    #[pin]
    inner: Option<R>,
    cut_off: CutOff,
}

impl<R> ResponseBody<R> {
    pub(super) fn new(inner: R, cut_off: CutOff) -> Self {
        Self { inner: Some(inner), cut_off }
    }
}

impl<R> Body for ResponseBody<R>
where
    R: Body,
    R::Error: Into<BoxError>,
{
    type Data = R::Data;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<R::Data>, BoxError>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let late = match inner.as_mut().poll_frame(cx) {
            // One that always has more is cut off as well; what ends here had come in time.
            Poll::Ready(Some(Ok(_))) if !inner.is_end_stream() && this.cut_off.is_over() => this.cut_off.strike(),
            Poll::Ready(frame) => return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => ready!(this.cut_off.poll(cx)),
        };
        // What sends it is told by that nobody reads it any more.
        this.inner.set(None);
        Poll::Ready(Some(Err(late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
