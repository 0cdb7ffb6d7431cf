use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use mesh_core::limits::Permit;
use pin_project::pin_project;

/// A response body whose request counts until all of it has been read.
///
/// That of the mesh's own client holds more (a connection, a place in the count of its endpoint) in one
/// box, and so is a type of its own.
#[pin_project]
#[derive(Debug)]
pub struct ResponseBody<R, H = Permit> {
    #[pin]
    inner: R,
    /// What it holds until then.
    held: Option<H>,
}

impl<R: Body, H> ResponseBody<R, H> {
    pub(super) fn new(inner: R, held: Option<H>) -> Self {
        let held = held.filter(|_| !inner.is_end_stream());
        Self { inner, held }
    }
}

impl<R: Body, H> Body for ResponseBody<R, H> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        // Nobody asks for more after the last frame of a known length, or after trailers.
        let goes_on = matches!(&frame, Some(Ok(frame)) if !frame.is_trailers()) && !this.inner.is_end_stream();
        if !goes_on {
            *this.held = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
