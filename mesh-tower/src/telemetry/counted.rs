//! A body that counts what is read of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Measured, RequestSpan};
use crate::{BoxError, Error};

/// A body, and what is measured and traced of the request that it answers, until it ends.
#[derive(Debug)]
pub(crate) struct Counted<B> {
    inner: B,
    measured: Option<Measured>,
    span: Option<Box<RequestSpan>>,
}

impl<B> Counted<B> {
    pub(crate) const fn new(inner: B, measured: Option<Measured>, span: Option<Box<RequestSpan>>) -> Self {
        Self { inner, measured, span }
    }

    /// One of which nothing is measured, for now.
    pub(crate) const fn unmeasured(inner: B) -> Self {
        Self { inner, measured: None, span: None }
    }

    pub(crate) fn measure(&mut self, measured: Option<Measured>, span: Option<Box<RequestSpan>>) {
        self.measured = measured;
        self.span = span;
    }
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { inner, measured, span } = self.get_mut();
        let frame = ready!(Pin::new(&mut *inner).poll_frame(cx));
        if measured.is_none() && span.is_none() {
            return Poll::Ready(frame);
        }
        match &frame {
            Some(Ok(frame)) => {
                measured.iter_mut().for_each(|measured| measured.received(frame));
                span.iter_mut().for_each(|span| span.received(frame));
            }
            Some(Err(error)) => {
                let failure = error.downcast_ref::<Error>().map(Error::failure);
                measured.iter_mut().for_each(|measured| measured.broke(failure));
                span.iter_mut().for_each(|span| span.broke(failure));
            }
            None => {}
        }
        let goes_on = matches!(&frame, Some(Ok(frame)) if !frame.is_trailers()) && !inner.is_end_stream();
        if !goes_on {
            measured.take().into_iter().for_each(Measured::completed);
            span.take().into_iter().for_each(RequestSpan::completed);
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
