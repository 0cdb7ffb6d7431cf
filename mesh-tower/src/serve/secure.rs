//! The beginning of a connection: plaintext or TLS, and who has made it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_core::authn::MtlsMode;
use mesh_core::opening::Opening;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::identity::{GatewayTls, TlsPeer, WorkloadTls};

/// How connections of a listener begin.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    /// As plaintext, all of them.
    Plaintext,
    /// As the PeerAuthentications of the workload say at that moment.
    Workload(Arc<WorkloadTls>),
    /// With TLS, by the servers of Gateways that share a port.
    Gateway(Arc<GatewayTls>),
}

/// A connection that has begun.
pub(super) struct Begun<I> {
    pub(super) io: SecureIo<I>,
    /// Who has made it, over TLS.
    pub(super) peer: Option<Arc<TlsPeer>>,
    /// How long it may last, by its peer's certificate.
    pub(super) lasts: Option<Duration>,
}

impl Security {
    /// Begins a connection within a time; `Err` says why it ends here, without an answer. `refuses_silence` says what
    /// becomes of who says nothing where plaintext is taken, too.
    pub(super) async fn begin<I>(&self, io: I, limit: Duration, refuses_silence: bool) -> Result<Begun<I>, Refused>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::Plaintext => Ok(plaintext(Rewound::new(io))),
            Self::Workload(tls) => by_mode(tls, io, limit, refuses_silence).await,
            Self::Gateway(tls) => timeout(limit, at_gateway(tls, io)).await.unwrap_or(Err(Refused::Slow)),
        }
    }

    /// Whether a connection that has begun as plaintext would still.
    pub(super) fn takes_plaintext(&self) -> bool {
        match self {
            Self::Plaintext | Self::Gateway(_) => true,
            Self::Workload(tls) => tls.mode() != MtlsMode::Strict,
        }
    }
}

/// Why a connection is closed before it has begun.
#[derive(Debug)]
pub(super) enum Refused {
    Broken,
    Handshake(io::Error),
    NotOurs,
    Plaintext,
    Slow,
    Uncertified,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken => f.write_str("it begins as TLS does, and is none"),
            Self::Handshake(error) => write!(f, "the handshake failed: {error}"),
            Self::NotOurs => f.write_str("it is TLS of nobody in the mesh, or there is no certificate to answer with"),
            Self::Plaintext => f.write_str("it is plaintext, and the mode is STRICT"),
            Self::Slow => f.write_str("it took too long to begin"),
            Self::Uncertified => f.write_str("its certificate does not count"),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Handshake(error)
    }
}

async fn by_mode<I>(tls: &WorkloadTls, io: I, limit: Duration, refuses_silence: bool) -> Result<Begun<I>, Refused>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mode = tls.mode();
    // Without a certificate there is nothing to tell apart, and nothing to prove either.
    if mode == MtlsMode::Disable || (mode == MtlsMode::Permissive && !tls.has_certificate()) {
        return Ok(plaintext(Rewound::new(io)));
    }
    let mut io = Rewound::new(io);
    let began = Instant::now();
    let opening = timeout(limit, io.opening()).await;
    match (opening, mode) {
        (Ok(Err(error)), _) => Err(error.into()),
        (Ok(Ok(Opening::Tls)), _) => {
            let left = limit.saturating_sub(began.elapsed());
            timeout(left, handshake(tls, io, mode)).await.unwrap_or(Err(Refused::Slow))
        }
        (Ok(Ok(Opening::Plaintext)), MtlsMode::Strict) => Err(Refused::Plaintext),
        (Ok(Ok(Opening::Plaintext)), _) => Ok(plaintext(io)),
        (Ok(Ok(_)), _) => Err(Refused::Broken),
        // Whoever connects ahead of the first request waits as it does elsewhere.
        (Err(_), MtlsMode::Permissive) if io.is_silent() && !refuses_silence => Ok(plaintext(io)),
        (Err(_), _) => Err(Refused::Slow),
    }
}

async fn handshake<I>(tls: &WorkloadTls, io: Rewound<I>, mode: MtlsMode) -> Result<Begun<I>, Refused>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let started = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
    let config = tls.config(&started.client_hello(), mode).ok_or(Refused::NotOurs)?;
    let stream = started.into_stream(config).await?;
    let peer = tls.peer(stream.get_ref().1).ok_or(Refused::Uncertified)?;
    let lasts = tls.time_left(&peer);
    Ok(Begun { io: SecureIo::Tls(Box::new(stream)), peer: Some(Arc::new(peer)), lasts })
}

async fn at_gateway<I>(tls: &GatewayTls, io: I) -> Result<Begun<I>, Refused>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let started = LazyConfigAcceptor::new(Acceptor::default(), Rewound::new(io)).await?;
    let meant = tls.meant(&started.client_hello()).ok_or(Refused::NotOurs)?;
    let stream = started.into_stream(Arc::clone(&meant.terms.config)).await?;
    let peer = tls.peer(stream.get_ref().1, meant).ok_or(Refused::Uncertified)?;
    let lasts = tls.time_left(&peer);
    Ok(Begun { io: SecureIo::Tls(Box::new(stream)), peer: Some(Arc::new(peer)), lasts })
}

fn plaintext<I>(io: Rewound<I>) -> Begun<I> {
    Begun { io: SecureIo::Plain(io), peer: None, lasts: None }
}

/// How much is taken at first. A ClientHello with keys of both kinds (X25519MLKEM768) and a ticket has about 2 KiB.
const FIRST_READ: usize = 2 * 1024;

/// A byte stream of which the first bytes were looked at.
pub(super) struct Rewound<I> {
    io: I,
    first: Vec<u8>,
    /// How many of them were read since.
    read: usize,
}

impl<I> Rewound<I> {
    fn new(io: I) -> Self {
        Self { io, first: Vec::new(), read: 0 }
    }

    fn is_silent(&self) -> bool {
        self.first.is_empty()
    }
}

impl<I: AsyncRead + Unpin> Rewound<I> {
    /// What the first bytes say, which are still to be read. A stream that ends without any says nothing more in plaintext.
    async fn opening(&mut self) -> io::Result<Opening> {
        loop {
            let opening = Opening::of(&self.first);
            if opening != Opening::Undecided {
                return Ok(opening);
            }
            // All that has come is taken at once: of most clients the whole ClientHello.
            self.first.reserve(FIRST_READ);
            match self.io.read_buf(&mut self.first).await? {
                0 if self.is_silent() => return Ok(Opening::Plaintext),
                0 => return Ok(Opening::Broken),
                _ => {}
            }
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Rewound<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read == this.first.len() {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        let unread = &this.first[this.read..];
        let given = &unread[..unread.len().min(buffer.remaining())];
        buffer.put_slice(given);
        this.read += given.len();
        let is_little = this.first.len() <= Opening::DECIDED_BY;
        if this.read == this.first.len() {
            (this.first, this.read) = (Vec::new(), 0);
        }
        if !is_little || !this.first.is_empty() || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // The rest of what has come goes with it: a few bytes by themselves are no beginning of anything.
        match Pin::new(&mut this.io).poll_read(cx, buffer) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Rewound<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// The bytes of HTTP, within TLS or not.
pub(super) enum SecureIo<I> {
    Plain(Rewound<I>),
    Tls(Box<TlsStream<Rewound<I>>>),
}

macro_rules! either {
    ($self:expr, $io:ident => $call:expr) => {
        match $self.get_mut() {
            SecureIo::Plain(io) => {
                let $io = Pin::new(io);
                $call
            }
            SecureIo::Tls(io) => {
                let $io = Pin::new(io);
                $call
            }
        }
    };
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for SecureIo<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_read(cx, buffer))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SecureIo<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_shutdown(cx))
    }
}
