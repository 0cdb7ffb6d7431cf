//! A socket that keeps things for as long as it is open.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Slot;
use super::connector::Socket;

/// The socket of an HTTP/1 connection. It outlives the connection if the protocol is switched, and then it
/// counts on: as a connection, and by what else it was given to [keep](Kept::keep).
#[derive(Debug)]
pub(super) struct Occupied {
    socket: Socket,
    /// After the socket, so that a place is free once its connection is closed.
    _slot: Slot,
    _kept: Arc<Kept>,
}

impl Occupied {
    pub(super) fn new(socket: Socket, slot: Slot) -> (Self, Arc<Kept>) {
        let kept = Arc::<Kept>::default();
        (Self { socket, _slot: slot, _kept: Arc::clone(&kept) }, kept)
    }
}

/// What lives as long as the socket.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<Box<dyn Any + Send>>>);

impl Kept {
    /// Keeps a thing until the socket is closed; drops it at once if it is closed already and nobody else
    /// holds this.
    pub(crate) fn keep(&self, thing: impl Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(thing));
    }
}

impl AsyncRead for Occupied {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Occupied {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
