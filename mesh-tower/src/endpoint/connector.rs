//! Opens sockets.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use mesh_core::Failure;
use mesh_core::cluster::{EndpointAddress, Keepalive};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::PoolOptions;
use crate::Error;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Connects, within the cluster's `connectTimeout`.
pub(super) async fn connect(address: &EndpointAddress, options: &PoolOptions) -> Result<TokioIo<Socket>, Error> {
    let connecting = async {
        match address {
            EndpointAddress::Socket(address) => tcp(TcpStream::connect(address).await?, options),
            EndpointAddress::Unix(path) => Ok(Socket::Unix(unix(path).await?)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    };
    match tokio::time::timeout(options.connect_timeout, connecting).await {
        Ok(Ok(socket)) => Ok(TokioIo::new(socket)),
        Ok(Err(error)) => {
            Err(Error::with_source(Failure::ConnectFailed, Unreachable { address: address.clone(), error }))
        }
        Err(_) => Err(Failure::ConnectTimeout.into()),
    }
}

fn tcp(stream: TcpStream, options: &PoolOptions) -> io::Result<Socket> {
    stream.set_nodelay(true)?;
    if let Some(keepalive) = &options.pool.keepalive {
        SockRef::from(&stream).set_tcp_keepalive(&probes(keepalive))?;
    }
    Ok(Socket::Tcp(stream))
}

fn probes(from: &Keepalive) -> TcpKeepalive {
    let mut keepalive = TcpKeepalive::new();
    if let Some(time) = from.time {
        keepalive = keepalive.with_time(time);
    }
    if let Some(interval) = from.interval {
        keepalive = keepalive.with_interval(interval);
    }
    if let Some(probes) = from.probes {
        keepalive = keepalive.with_retries(probes);
    }
    keepalive
}

/// A path, or on Linux an abstract name behind `@`.
async fn unix(path: &std::path::Path) -> io::Result<UnixStream> {
    #[cfg(target_os = "linux")]
    if let Some(name) = path.to_str().and_then(|path| path.strip_prefix('@')) {
        use std::os::linux::net::SocketAddrExt as _;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
        stream.set_nonblocking(true)?;
        return UnixStream::from_std(stream);
    }
    UnixStream::connect(path).await
}

/// Names the endpoint beside the operating system's error.
#[derive(Debug)]
struct Unreachable {
    address: EndpointAddress,
    error: io::Error,
}

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.address, self.error)
    }
}

impl std::error::Error for Unreachable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

macro_rules! both {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Self::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        both!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        both!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        both!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        both!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        both!(self, stream => stream.poll_shutdown(cx))
    }
}
