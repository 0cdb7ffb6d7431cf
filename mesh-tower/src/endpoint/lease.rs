//! What a response keeps until its body has been read.

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_core::identity::SpiffeId;

use super::http1;
use super::kept::Kept;
use super::pool::Pool;
use super::upload::{Sent, Upload};

/// A connection or stream in use by a response that is being read.
///
/// [`finish`](Self::finish) when the body has ended: then the connection serves others. Dropped
/// before that, an HTTP/1 connection closes, since the rest of the body is still on it. Either way
/// what has not been sent of the request is not sent any more.
#[derive(Debug)]
pub(crate) enum Lease {
    Http1 {
        connection: http1::Connection,
        upload: Upload,
    },
    Http2 {
        _stream: StreamLease,
        upload: Upload,
    },
    /// Another protocol is spoken now, on what was an HTTP/1 connection.
    Upgraded(Arc<Kept>),
}

impl Lease {
    /// The response has been read to its end.
    pub(crate) fn finish(self) {
        match self {
            // Only where the request, too, is at its end can the next one begin.
            Self::Http1 { connection, upload } if upload.has_ended() => connection.finish(),
            _ => {}
        }
    }

    /// Whom mutual TLS of the mesh has proved the endpoint to be.
    pub(crate) fn peer(&self) -> Option<Arc<SpiffeId>> {
        match self {
            Self::Http1 { connection, .. } => connection.pool().peer(),
            Self::Http2 { _stream: stream, .. } => stream.pool.peer(),
            Self::Upgraded(_) => None,
        }
    }

    /// How much was sent of the request's body.
    pub(crate) fn sent(&self) -> Option<Sent> {
        match self {
            Self::Http1 { upload, .. } | Self::Http2 { upload, .. } => upload.sent(),
            Self::Upgraded(_) => None,
        }
    }

    /// Keeps what the request occupies for as long as the other protocol is spoken.
    pub(crate) fn keep(&self, what: impl Send + 'static) {
        if let Self::Upgraded(kept) = self {
            kept.keep(what);
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

    /// Our end of the connection, while the pool has it.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.pool.local_of(self.connection)
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.pool.stream_ended(self.connection);
    }
}
