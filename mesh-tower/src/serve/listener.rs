//! Where connections come from: TCP, unix sockets, and several of them at once.

use std::future::{self, Future};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::select_all;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::Address;

/// A source of connections.
///
/// Implemented for tokio's [`TcpListener`] and `UnixListener` (a socket inherited from a parent
/// process becomes one with `from_std`), for a `Vec` of listeners of one kind, and, through
/// [`EitherListener`], for two of different kinds.
pub trait Listener: Send + 'static {
    /// The byte stream of a connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection and the address of its other end.
    ///
    /// Must lose no connection when it is dropped before it is ready. An error does not end the
    /// accept loop, which waits a little and asks again: out of file descriptors is a passing state.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Address)>> + Send;

    /// The address that is listened on; the first one of several.
    ///
    /// # Errors
    ///
    /// Those of the operating system; and when there is no listener at all.
    fn local_addr(&self) -> io::Result<Address>;

    /// Our end of a connection that was accepted, where it is known. Policies see its address as ours (`destination.ip`)
    /// where the listener is bound to all of them; without it, conditions on our address count against the caller.
    fn local_end(io: &Self::Io) -> Option<SocketAddr> {
        let _unknown = io;
        None
    }

    /// Both this and another listener.
    fn and<L: Listener>(self, other: L) -> EitherListener<Self, L>
    where
        Self: Sized,
    {
        EitherListener { left: self, right: other }
    }
}

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Address)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Fails only on a connection that is gone already, as its first read will tell.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer.into()))
    }

    fn local_addr(&self) -> io::Result<Address> {
        TcpListener::local_addr(self).map(Address::from)
    }

    fn local_end(io: &TcpStream) -> Option<SocketAddr> {
        io.local_addr().ok()
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Io = tokio::net::UnixStream;

    async fn accept(&mut self) -> io::Result<(Self::Io, Address)> {
        let (stream, peer) = tokio::net::UnixListener::accept(self).await?;
        Ok((stream, peer.into()))
    }

    fn local_addr(&self) -> io::Result<Address> {
        tokio::net::UnixListener::local_addr(self).map(Address::from)
    }
}

/// Several listeners of one kind, for example one per address; an empty one never accepts.
impl<L: Listener> Listener for Vec<L> {
    type Io = L::Io;

    async fn accept(&mut self) -> io::Result<(L::Io, Address)> {
        if self.is_empty() {
            return future::pending().await;
        }
        // The first that is ready wins, so it is left to chance which one is asked first.
        let first = fastrand::usize(..self.len());
        let (later, sooner) = self.split_at_mut(first);
        let in_turn = sooner.iter_mut().chain(later);
        select_all(in_turn.map(|listener| Box::pin(listener.accept()))).await.0
    }

    fn local_addr(&self) -> io::Result<Address> {
        match self.first() {
            Some(listener) => listener.local_addr(),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no listener")),
        }
    }

    fn local_end(io: &L::Io) -> Option<SocketAddr> {
        L::local_end(io)
    }
}

/// Two listeners as one; made by [`Listener::and`].
#[derive(Debug)]
pub struct EitherListener<A, B> {
    left: A,
    right: B,
}

impl<A: Listener, B: Listener> Listener for EitherListener<A, B> {
    type Io = EitherIo<A::Io, B::Io>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Address)> {
        tokio::select! {
            accepted = self.left.accept() => accepted.map(|(io, peer)| (EitherIo::Left(io), peer)),
            accepted = self.right.accept() => accepted.map(|(io, peer)| (EitherIo::Right(io), peer)),
        }
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.left.local_addr()
    }

    fn local_end(io: &Self::Io) -> Option<SocketAddr> {
        match io {
            EitherIo::Left(io) => A::local_end(io),
            EitherIo::Right(io) => B::local_end(io),
        }
    }
}

/// A connection of an [`EitherListener`].
#[derive(Debug)]
pub enum EitherIo<A, B> {
    /// One of the first listener.
    Left(A),
    /// One of the second listener.
    Right(B),
}

macro_rules! either {
    ($io:expr, $inner:ident => $call:expr) => {
        match $io.get_mut() {
            EitherIo::Left(io) => {
                let $inner = Pin::new(io);
                $call
            }
            EitherIo::Right(io) => {
                let $inner = Pin::new(io);
                $call
            }
        }
    };
}

impl<A: AsyncRead + Unpin, B: AsyncRead + Unpin> AsyncRead for EitherIo<A, B> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_read(cx, buf))
    }
}

impl<A: AsyncWrite + Unpin, B: AsyncWrite + Unpin> AsyncWrite for EitherIo<A, B> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Left(io) => io.is_write_vectored(),
            Self::Right(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tcp() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }

    fn port(listener: &TcpListener) -> Address {
        Listener::local_addr(listener).unwrap()
    }

    async fn connect(address: &Address) -> TcpStream {
        TcpStream::connect(address.socket().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_list_of_listeners_accepts_on_each() {
        let mut listeners = vec![tcp().await, tcp().await, tcp().await];
        let addresses: Vec<Address> = listeners.iter().map(port).collect();
        for address in &addresses {
            let caller = connect(address).await;
            let (_, peer) = Listener::accept(&mut listeners).await.unwrap();
            assert_eq!(peer.socket(), caller.local_addr().ok());
        }
    }

    #[tokio::test]
    async fn a_busy_listener_does_not_keep_the_others_from_accepting() {
        let mut listeners = vec![tcp().await, tcp().await];
        let (busy, quiet) = (port(&listeners[0]), port(&listeners[1]));
        let mut callers = vec![connect(&busy).await];
        let quiet_caller = connect(&quiet).await;
        let quiet_caller = quiet_caller.local_addr().unwrap();
        let mut accepted = 1;
        while Listener::accept(&mut listeners).await.unwrap().1.socket() != Some(quiet_caller) {
            callers.push(connect(&busy).await);
            accepted += 1;
        }
        // Even odds each time.
        assert!(accepted < 64, "{accepted}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn tcp_and_a_unix_socket_serve_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.sock");
        let first = tcp().await;
        let address = port(&first);
        let mut both = first.and(tokio::net::UnixListener::bind(&path).unwrap());
        assert_eq!(both.local_addr().unwrap(), address);

        let _caller = tokio::net::UnixStream::connect(&path).await.unwrap();
        assert!(matches!(both.accept().await.unwrap(), (EitherIo::Right(_), Address::Unix(None))));
        let _caller = connect(&address).await;
        assert!(matches!(both.accept().await.unwrap(), (EitherIo::Left(_), Address::Tcp(_))));
    }
}
