//! A listener that numbers its connections and can cut them, so that a service can tell how often its callers connect
//! and can behave as a crashing process does.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use mesh_tower::serve::{Address, Listener, PeerAddress};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A TCP listener whose connections can be looked up in [`Connections`].
#[derive(Debug)]
pub struct Counted {
    listener: TcpListener,
    connections: Connections,
    accepted: u64,
}

impl Counted {
    /// Wraps a listener; the other part is for who answers the requests.
    #[must_use]
    pub fn new(listener: TcpListener) -> (Self, Connections) {
        let connections = Connections::default();
        (Self { listener, connections: connections.clone(), accepted: 0 }, connections)
    }
}

impl Listener for Counted {
    type Io = CountedStream;

    async fn accept(&mut self) -> io::Result<(CountedStream, Address)> {
        let (stream, peer) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        self.accepted += 1;
        let connection = Connection { number: self.accepted, cut: Arc::default() };
        self.connections.remember(peer, connection.clone());
        Ok((CountedStream { stream, connection }, peer.into()))
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.listener.local_addr().map(Address::from)
    }
}

/// The connections of a [`Counted`] listener by the address of their other end.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<HashMap<SocketAddr, Connection>>>);

impl Connections {
    /// The connection that a request came in on.
    #[must_use]
    pub fn of(&self, request: &http::Extensions) -> Option<Connection> {
        let peer = request.get::<PeerAddress>()?.socket()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&peer).cloned()
    }

    fn remember(&self, peer: SocketAddr, connection: Connection) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, connection);
    }
}

/// One accepted connection.
#[derive(Clone, Debug)]
pub struct Connection {
    number: u64,
    cut: Arc<AtomicBool>,
}

impl Connection {
    /// Counted from 1 as accepted.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Lets nothing more be written, so that the answer under way is never seen and the connection closes.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Relaxed) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

/// The byte stream of a [`Connection`].
#[derive(Debug)]
pub struct CountedStream {
    stream: TcpStream,
    connection: Connection,
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.connection.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.connection.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
