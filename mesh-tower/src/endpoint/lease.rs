//! What a response keeps until its body has been read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Shared, http1};

/// A connection or stream in use by a response that is being read.
///
/// [`finish`](Self::finish) when the body has ended: then the connection serves others. Dropped
/// before that, an HTTP/1 connection closes, since the rest of the body is still on it.
#[derive(Debug)]
pub(crate) enum Lease {
    Http1(Option<http1::Connection>),
    Http2 { _stream: StreamLease },
}

impl Lease {
    /// The response has been read to its end.
    pub(crate) fn finish(self) {
        if let Self::Http1(Some(connection)) = self {
            connection.give_back();
        }
    }
}

/// A stream on an HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct StreamLease {
    streams: Arc<AtomicU32>,
    shared: Arc<Shared>,
}

impl StreamLease {
    pub(super) fn new(streams: &Arc<AtomicU32>, shared: &Arc<Shared>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self { streams: Arc::clone(streams), shared: Arc::clone(shared) }
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
        self.shared.freed.notify_one();
    }
}
