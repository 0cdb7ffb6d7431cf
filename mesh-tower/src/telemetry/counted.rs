//! A body that counts what is read of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Measured;
use crate::{BoxError, Error};

/// A body, and what is measured of the request that it answers, until it ends.
#[derive(Debug)]
pub(crate) struct Counted<B> {
    inner: B,
    measured: Option<Measured>,
}

impl<B> Counted<B> {
    pub(crate) const fn new(inner: B, measured: Measured) -> Self {
        Self { inner, measured: Some(measured) }
    }

    /// One of which nothing is measured, for now.
    pub(crate) const fn unmeasured(inner: B) -> Self {
        Self { inner, measured: None }
    }

    pub(crate) fn measure(&mut self, measured: Measured) {
        self.measured = Some(measured);
    }
}

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { inner, measured } = self.get_mut();
        let frame = ready!(Pin::new(&mut *inner).poll_frame(cx));
        if let Some(own) = measured {
            match &frame {
                Some(Ok(frame)) => own.received(frame),
                Some(Err(error)) => own.broke(error.downcast_ref::<Error>().map(Error::failure)),
                None => {}
            }
            let goes_on = matches!(&frame, Some(Ok(frame)) if !frame.is_trailers()) && !inner.is_end_stream();
            if !goes_on {
                measured.take().into_iter().for_each(Measured::completed);
            }
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
