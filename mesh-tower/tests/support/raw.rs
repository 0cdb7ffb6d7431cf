//! Upstreams that are no good: each in its own way, without a server library that would smooth it over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What an upstream does once it has read a request's head.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// Closes the connection, orderly.
    Close,
    /// Resets the connection.
    Reset,
    /// Keeps the connection and says nothing.
    Hang,
    /// Says this and closes.
    Say(&'static str),
}

/// A socket that accepts, and then does one thing only.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Raw {
    pub(crate) async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let raw = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let requests = Arc::clone(&raw.requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, does, Arc::clone(&requests)));
            }
        });
        raw
    }

    /// How many requests have arrived.
    pub(crate) fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, does: Does, requests: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    requests.fetch_add(1, Ordering::SeqCst);
    match does {
        Does::Close => {}
        Does::Reset => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
        Does::Hang => std::future::pending().await,
        Does::Say(text) => {
            stream.write_all(text.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    }
}
