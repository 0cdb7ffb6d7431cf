//! One call of `FetchX509SVID`, whose answers come for as long as it lasts.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::place::{Place, Socket};
use crate::BoxError;
use crate::grpc::{Messages, Status, framed};

const METHOD: &str = "http://localhost/SpiffeWorkloadAPI/FetchX509SVID";
/// How long an answer may be, as in gRPC elsewhere.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How often an agent that says nothing is asked whether it is still there, and how long it may take to say so.
const ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// A call that goes on.
pub(super) struct Call {
    body: Incoming,
    messages: Messages,
    _connection: Connection,
}

/// Why there is no further answer.
#[derive(Debug, Default)]
pub(super) enum Ended {
    /// The agent has ended the call in order.
    #[default]
    InOrder,
    Status(Status),
    Broken(BoxError),
}

impl Call {
    pub(super) async fn begin(place: &Place) -> Result<Self, Ended> {
        match &place.socket {
            Socket::Tcp(address) => Self::over(TcpStream::connect(address).await).await,
            #[cfg(unix)]
            Socket::Unix(path) => Self::over(tokio::net::UnixStream::connect(path).await).await,
            #[cfg(not(unix))]
            Socket::Unix(_) => Err(Ended::Broken("there are no Unix sockets here".into())),
        }
    }

    async fn over<I>(stream: std::io::Result<I>) -> Result<Self, Ended>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(ALIVE.0).keep_alive_timeout(ALIVE.1);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream?)).await?;
        let connection = tokio::spawn(async move {
            // How it ends shows in the call.
            let _ended = connection.await;
        });
        let connection = Connection(connection.abort_handle());
        let request = Request::post(METHOD)
            .header(CONTENT_TYPE, "application/grpc")
            .header("te", "trailers")
            .header("workload.spiffe.io", "true")
            .body(Full::new(framed(&[])))
            .map_err(|error| Ended::Broken(error.into()))?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        match Status::of(&head.headers) {
            Some(status) if status.code != 0 => return Err(Ended::Status(status)),
            Some(_) => return Err(Ended::InOrder),
            None if head.status != StatusCode::OK => {
                return Err(Ended::Broken(format!("the agent has answered {}", head.status).into()));
            }
            None => {}
        }
        Ok(Self { body, messages: Messages::default(), _connection: connection })
    }

    /// The next answer.
    pub(super) async fn next(&mut self) -> Result<Bytes, Ended> {
        loop {
            let whole = self.messages.next(MOST_BYTES);
            let whole = whole.map_err(|_| Ended::Broken("what the agent says is no message, or too long".into()))?;
            if let Some(message) = whole {
                return Ok(message);
            }
            let Some(frame) = self.body.frame().await.transpose()? else { return Err(Ended::InOrder) };
            match frame.into_data() {
                Ok(data) => self.messages.add(&data),
                Err(frame) => {
                    let status = frame.trailers_ref().and_then(Status::of).filter(|status| status.code != 0);
                    return Err(status.map_or(Ended::InOrder, Ended::Status));
                }
            }
        }
    }
}

/// What it prints holds no key.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

/// Ends the connection with whoever holds it.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl From<hyper::Error> for Ended {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InOrder => f.write_str("the agent has ended the call"),
            Self::Status(status) => status.fmt(f),
            Self::Broken(error) => error.fmt(f),
        }
    }
}
