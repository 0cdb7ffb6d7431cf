//! What a response keeps until its body has been read.

use std::sync::Arc;

use super::http1;
use super::pool::Pool;

/// A connection or stream in use by a response that is being read.
///
/// [`finish`](Self::finish) when the body has ended: then the connection serves others. Dropped
/// before that, an HTTP/1 connection closes, since the rest of the body is still on it.
#[derive(Debug)]
pub(crate) enum Lease {
    /// `None` for a connection that ends with this response, or speaks another protocol now.
    Http1(Option<http1::Connection>),
    Http2 {
        _stream: StreamLease,
    },
}

impl Lease {
    /// The response has been read to its end.
    pub(crate) fn finish(self) {
        if let Self::Http1(Some(connection)) = self {
            connection.finish();
        }
    }
}

/// A stream on an HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct StreamLease {
    pool: Arc<Pool>,
    /// Which of the pool's connections.
    connection: u64,
}

impl StreamLease {
    pub(super) fn new(pool: &Arc<Pool>, connection: u64) -> Self {
        Self { pool: Arc::clone(pool), connection }
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.pool.stream_ended(self.connection);
    }
}
