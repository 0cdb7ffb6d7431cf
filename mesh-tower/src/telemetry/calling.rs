//! The body of a gRPC request that this workload takes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mesh_core::telemetry::messages::Messages;

use super::Group;

/// A body of which messages are counted as they are read.
#[derive(Debug)]
pub(crate) struct Calling<B> {
    inner: B,
    group: Arc<Group>,
    messages: Messages,
}

impl<B> Calling<B> {
    pub(crate) fn new(inner: B, group: Arc<Group>) -> Self {
        Self { inner, group, messages: Messages::default() }
    }
}

impl<B> Body for Calling<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { inner, group, messages } = self.get_mut();
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            group.record_messages(messages.begun_in(data), 0);
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
