//! Opens sockets.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use hyper_util::rt::TokioIo;
use mesh_core::Failure;
use mesh_core::cluster::{EndpointAddress, Keepalive};
use mesh_core::identity::SpiffeId;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::classify::failure_of;
use super::kept::Kept;
use super::network::Network;
use super::pool::Slot;
use super::{PoolOptions, Protocol};
use crate::Error;
use crate::identity::{NoTls, Originator};

/// A connected socket, and its place among the connections of the cluster: taken until it closes, by
/// whoever holds it then, as after an upgrade.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    /// After the stream, so that a place is free once its connection is closed.
    _slot: Slot,
    kept: Arc<Kept>,
}

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    #[cfg(feature = "testing")]
    Memory(tokio::io::DuplexStream),
    Tls(Box<TlsStream<Self>>),
}

/// Why there is no connection, for everybody who waited for it.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    failure: Failure,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl From<hyper::Error> for Broken {
    fn from(error: hyper::Error) -> Self {
        Self { failure: failure_of(&error), cause: Some(Arc::new(error)) }
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self { failure, cause: None }
    }
}

impl Broken {
    fn unreachable(address: &EndpointAddress, error: io::Error) -> Self {
        let cause = Unreachable { address: address.clone(), error };
        Self { failure: Failure::ConnectFailed, cause: Some(Arc::new(cause)) }
    }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        match broken.cause {
            Some(cause) => Self::with_source(broken.failure, Box::new(cause) as crate::BoxError),
            None => broken.failure.into(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{}: {cause}", self.failure),
            None => self.failure.fmt(f),
        }
    }
}

/// What the certificate of a server says; of a connection without TLS nothing.
#[derive(Debug, Default)]
pub(super) struct Certified {
    /// How long it counts yet; `None` where nobody asks.
    pub(super) lasts: Option<Duration>,
    /// Whom it proves the server to be, in the mesh.
    pub(super) id: Option<SpiffeId>,
}

/// Connects, TLS included, within the cluster's `connectTimeout`.
pub(super) async fn connect(
    address: &EndpointAddress,
    options: &PoolOptions,
    tls: Option<&TlsTarget>,
    protocol: Protocol,
) -> Result<(Stream, Certified), Broken> {
    let connecting = async {
        let stream = open(address, options).await.map_err(|error| Broken::unreachable(address, error))?;
        match tls {
            None => Ok((stream, Certified::default())),
            Some(target) => begin_tls(address, stream, target, protocol).await,
        }
    };
    tokio::time::timeout(options.connect_timeout, connecting).await.unwrap_or(Err(Failure::ConnectTimeout.into()))
}

/// With whom TLS is begun.
#[derive(Clone, Debug)]
pub(super) struct TlsTarget {
    pub(super) originator: Arc<Originator>,
    /// The host of the requests; empty where it makes no difference.
    pub(super) host: Box<str>,
}

async fn begin_tls(
    address: &EndpointAddress,
    stream: Stream,
    target: &TlsTarget,
    protocol: Protocol,
) -> Result<(Stream, Certified), Broken> {
    let refused = |problem: NoTls| Broken { failure: Failure::TlsNotServed, cause: Some(Arc::new(problem)) };
    let (config, name) = target.originator.begin(&target.host, protocol).map_err(refused)?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    let stream = stream.map_err(|error| Broken::unreachable(address, error))?;
    let checked = target.originator.check(stream.get_ref().1, protocol);
    let lasts =
        checked.map_err(|problem| Broken { failure: Failure::ConnectFailed, cause: Some(Arc::new(problem)) })?;
    let id = target.originator.proved(stream.get_ref().1);
    Ok((Stream::Tls(Box::new(stream)), Certified { lasts, id }))
}

async fn open(address: &EndpointAddress, options: &PoolOptions) -> io::Result<Stream> {
    match &options.network {
        Network::System => {}
        #[cfg(feature = "testing")]
        Network::InMemory(switchboard) => return switchboard.connect(address).await.map(Stream::Memory),
    }
    match address {
        EndpointAddress::Socket(address) => tcp(TcpStream::connect(address).await?, options),
        EndpointAddress::Unix(path) => Ok(Stream::Unix(unix(path).await?)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn tcp(stream: TcpStream, options: &PoolOptions) -> io::Result<Stream> {
    // Where nobody listens on a port of the range from which the system takes its own, it may lead a socket to itself:
    // whatever is sent would come back as the answer.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    if let Some(keepalive) = &options.pool.keepalive {
        SockRef::from(&stream).set_tcp_keepalive(&probes(keepalive))?;
    }
    Ok(Stream::Tcp(stream))
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
        // Tokio takes a name that begins with a zero for an abstract one.
        return UnixStream::connect(format!("\0{name}")).await;
    }
    UnixStream::connect(path).await
}

/// Names the endpoint beside the operating system's error.
#[derive(Debug)]
struct Unreachable {
    address: EndpointAddress,
    error: io::Error,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.error)
    }
}

impl StdError for Unreachable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

impl Socket {
    pub(super) fn new(stream: Stream, slot: Slot) -> TokioIo<Self> {
        let kept = Arc::new(Kept::of(stream.local()));
        TokioIo::new(Self { stream, _slot: slot, kept })
    }

    /// What else lasts as long as the socket is open.
    pub(super) fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }
}

impl Stream {
    /// Our end; `None` where it has no address of the network.
    fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Tls(stream) => stream.get_ref().0.local(),
            Self::Unix(_) => None,
            #[cfg(feature = "testing")]
            Self::Memory(_) => None,
        }
    }
}

macro_rules! each {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Stream::Tls(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Stream::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            #[cfg(feature = "testing")]
            Stream::Memory(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_shutdown(cx))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_core::cluster::PoolSpec;
    use tokio::net::TcpSocket;

    use super::*;

    #[tokio::test]
    async fn a_socket_that_the_system_leads_to_itself_is_a_refused_connection() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let own = socket.local_addr().unwrap();
        let stream = socket.connect(own).await.unwrap();
        let network = Network::System;
        let options = PoolOptions { connect_timeout: Duration::from_secs(1), pool: PoolSpec::default(), network };
        assert_eq!(tcp(stream, &options).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
