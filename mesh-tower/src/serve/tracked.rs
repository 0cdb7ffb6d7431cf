//! The byte stream of a connection, reporting what it sees.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::frames::Frames;
use mesh_core::framing::Framing;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::state::ConnectionState;

/// Passes bytes through, tells the [`ConnectionState`] about them, and can be made to fail from
/// outside after it was moved into an upgraded connection.
#[derive(Debug)]
pub(super) struct TrackedIo<I> {
    io: I,
    state: Arc<ConnectionState>,
    preface: Preface,
    framing: Framing,
    /// On HTTP/2, what the framing is on HTTP/1.
    frames: Frames,
}

impl<I> TrackedIo<I> {
    /// `strict` says which flaws of HTTP/1.1 are refused.
    pub(super) fn new(io: I, state: Arc<ConnectionState>, strict: bool) -> Self {
        Self { io, state, preface: Preface::Matches(0), framing: Framing::new(strict), frames: Frames::default() }
    }

    /// Bytes have come. A request that is flawed is refused when its head is read, or its body breaks off.
    fn on_read(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.state.on_read();
        if let Some(behind) = self.preface.read(bytes) {
            self.state.on_http2();
            self.follow_frames(behind);
        } else if self.state.is_http2() {
            self.follow_frames(bytes);
        }
        if self.framing.is_held() {
            match self.state.resumes() {
                true => self.framing.resume(),
                false => self.state.on_unfollowed(),
            }
        }
        let read = self.framing.read(bytes);
        self.state.on_body(self.framing.is_in_body());
        let Err(flaw) = read else { return Ok(()) };
        tracing::debug!(?flaw, "a request is malformed");
        match self.state.on_flaw() {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, "the request is malformed")),
            false => Ok(()),
        }
    }

    fn follow_frames(&mut self, bytes: &[u8]) {
        self.frames.read(bytes);
        self.state.on_open_head(self.frames.open_head());
    }
}

impl<I> Drop for TrackedIo<I> {
    fn drop(&mut self) {
        self.state.release();
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for TrackedIo<I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.state.has_ended() {
            return Poll::Ready(Err(cut_off()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        if polled.is_pending() {
            this.state.on_nothing_read();
            return if this.state.watch_reader(cx) { Poll::Ready(Err(cut_off())) } else { Poll::Pending };
        }
        let read = buf.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            this.on_read(read)?;
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> TrackedIo<I> {
    fn write<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut I>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let this = self.get_mut();
        if this.state.has_ended() {
            return Poll::Ready(Err(cut_off()));
        }
        let polled = write(Pin::new(&mut this.io), cx);
        if polled.is_pending() && this.state.watch_writer(cx) {
            return Poll::Ready(Err(cut_off()));
        }
        polled
    }
}

impl<I> TrackedIo<I> {
    fn written(&self, polled: &Poll<io::Result<usize>>) {
        if matches!(polled, Poll::Ready(Ok(written)) if *written > 0) {
            self.state.on_written();
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for TrackedIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = self.as_mut().write(cx, |io, cx| io.poll_write(cx, buf));
        self.written(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.as_mut().write(cx, |io, cx| io.poll_write_vectored(cx, bufs));
        self.written(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |io, cx| io.poll_shutdown(cx))
    }
}

/// How far the first bytes are those of an HTTP/2 connection.
#[derive(Clone, Copy, Debug)]
enum Preface {
    Matches(usize),
    Decided,
}

impl Preface {
    /// What comes behind the preface, if these bytes complete it.
    fn read<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let Self::Matches(seen) = *self else { return None };
        let expected = &HTTP2_PREFACE[seen..];
        let compared = expected.len().min(bytes.len());
        let same = expected[..compared] == bytes[..compared];
        let complete = same && compared == expected.len();
        *self = if same && !complete { Self::Matches(seen + compared) } else { Self::Decided };
        complete.then(|| &bytes[compared..])
    }
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the server is shutting down")
}

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    proptest! {
        #[test]
        fn the_preface_is_recognized_however_it_is_cut(cuts in proptest::collection::vec(1_usize..6, 30)) {
            let mut bytes = HTTP2_PREFACE;
            let mut preface = Preface::Matches(0);
            for cut in cuts {
                let (part, rest) = bytes.split_at(cut.min(bytes.len()));
                bytes = rest;
                prop_assert_eq!(preface.read(part).is_some(), rest.is_empty() && !part.is_empty());
            }
        }

        #[test]
        fn anything_else_is_not_http2(bytes in any::<[u8; 24]>()) {
            prop_assume!(bytes != HTTP2_PREFACE);
            prop_assert!(Preface::Matches(0).read(&bytes).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_bytes_can_be_ended() {
        let (near, _far) = tokio::io::duplex(64);
        let state = Arc::new(ConnectionState::default());
        let mut io = TrackedIo::new(near, Arc::clone(&state), true);
        let reading = tokio::spawn(async move {
            let read = io.read_u8().await.map_err(|error| error.kind());
            (read, io.write_u8(1).await.map_err(|error| error.kind()))
        });
        tokio::task::yield_now().await;
        state.end();
        let aborted = io::ErrorKind::ConnectionAborted;
        assert_eq!(reading.await.unwrap(), (Err(aborted), Err(aborted)));
        state.released().await;
    }
}
