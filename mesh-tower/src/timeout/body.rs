use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::HeaderMap;
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
    /// Trailers that come next.
    next: Option<HeaderMap>,
}

impl<R> ResponseBody<R> {
    pub(super) fn new(inner: R, cut_off: CutOff) -> Self {
        Self { inner: Some(inner), cut_off, next: None }
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
        if let Some(trailers) = this.next.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let late = match inner.as_mut().poll_frame(cx) {
            // One that always has more is cut off as well. What ends right behind this had come in time.
            Poll::Ready(Some(Ok(frame))) if frame.is_data() && !inner.is_end_stream() && this.cut_off.is_over() => {
                match inner.poll_frame(cx) {
                    Poll::Ready(None) => return Poll::Ready(Some(Ok(frame))),
                    Poll::Ready(Some(Ok(last))) if last.is_trailers() => {
                        *this.next = last.into_trailers().ok();
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    _ => this.cut_off.strike(),
                }
            }
            Poll::Ready(frame) => return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => ready!(this.cut_off.poll(cx)),
        };
        // What sends it is told by that nobody reads it any more.
        this.inner.set(None);
        Poll::Ready(Some(Err(late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
