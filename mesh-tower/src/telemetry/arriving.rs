//! The body of a request that this workload takes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mesh_core::telemetry::messages::Messages;

use super::Group;

/// What is counted of a body as it is read.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The messages of a gRPC request, and what they count in.
    pub(super) messages: Option<(Messages, Arc<Group>)>,
    /// Bytes, where nobody knows in advance how many there are.
    pub(super) bytes: Option<Arc<AtomicU64>>,
}

impl Arrived {
    /// Counts a part of the body.
    pub(crate) fn count(&mut self, data: &[u8]) {
        if let Some((messages, group)) = &mut self.messages {
            group.record_messages(messages.begun_in(data), 0);
        }
        if let Some(bytes) = &self.bytes {
            bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
    }
}

/// A body that is counted as it is read.
#[derive(Debug)]
pub(crate) struct Arriving<B> {
    inner: B,
    arrived: Arrived,
}

impl<B> Arriving<B> {
    pub(crate) const fn new(inner: B, arrived: Arrived) -> Self {
        Self { inner, arrived }
    }
}

impl<B> Body for Arriving<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { inner, arrived } = self.get_mut();
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            arrived.count(data);
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
