//! A body of somebody else's, whose panics end it and nothing else.
//!
//! What reads a body is mostly the task of a connection, on which others have requests too; and what has panicked must not
//! be asked again, as another try would.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project::pin_project;

use crate::BoxError;

#[pin_project]
pub(super) struct Guarded<B> {
    /// `None` once it has panicked.
    #[pin]
    body: Option<B>,
}

impl<B> Guarded<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body: Some(body) }
    }
}

impl<B> http_body::Body for Guarded<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        // It is not looked at again after a panic.
        if let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            return polled.map_err(Into::into);
        }
        tracing::error!("a body panicked while it was being read");
        this.body.set(None);
        Poll::Ready(Some(Err("the body panicked".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}
