//! One endpoint: a real HTTP server at the other end of a stream in memory.

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tower::ServiceExt as _;
use tower::util::BoxCloneService;

use super::call::{Call, Ledger, locked};
use super::reply::{Canned, Script, Step, What};
use crate::{Body, BoxError};

/// An application, of whatever kind.
pub(super) type App = BoxCloneService<Request<Body>, Response<Body>, BoxError>;

/// What answers.
pub(super) enum Behaviour {
    App(App),
    Script(Script),
}

/// An endpoint: what it does, and who is told of it.
pub(super) struct Endpoint {
    name: Arc<str>,
    behaviour: Mutex<Behaviour>,
    ledger: Arc<Ledger>,
    /// Tells connections to end with what is under way on them.
    closing: watch::Sender<()>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a stream in memory holds before its writer has to wait.
const BUFFER: usize = 64 * 1024;

impl Endpoint {
    pub(super) fn new(name: &str, behaviour: Behaviour, ledger: &Arc<Ledger>) -> Arc<Self> {
        let ledger = Arc::clone(ledger);
        Arc::new(Self { name: name.into(), behaviour: Mutex::new(behaviour), ledger, closing: watch::Sender::new(()) })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Does something else from now on.
    pub(super) fn change(&self, behaviour: Behaviour) {
        *locked(&self.behaviour) = behaviour;
        self.close_before_connections_count();
    }

    /// Opens a connection, as far as the script lets it.
    pub(super) async fn connect(self: Arc<Self>) -> io::Result<DuplexStream> {
        let Some(step) = self.step_of_connection() else {
            let (ours, theirs) = tokio::io::duplex(BUFFER);
            tokio::spawn(self.serve(theirs));
            return Ok(ours);
        };
        tokio::time::sleep(step.after).await;
        match step.what {
            What::Unreachable => pending().await,
            What::NotHttp => {
                let (ours, theirs) = tokio::io::duplex(BUFFER);
                tokio::spawn(speak_something_else(theirs));
                Ok(ours)
            }
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    fn step_of_connection(&self) -> Option<Step> {
        match &mut *locked(&self.behaviour) {
            Behaviour::Script(script) if script.peek().is_some_and(Step::is_of_connections) => script.next(),
            _ => None,
        }
    }

    async fn serve(self: Arc<Self>, stream: DuplexStream) {
        let mut closing = self.closing.subscribe();
        let service = service_fn(move |request| Arc::clone(&self).answer(request));
        let server = auto::Builder::new(TokioExecutor::new());
        let mut connection = pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let mut is_closing = false;
        loop {
            tokio::select! {
                // The client sees what came of it.
                _ended = connection.as_mut() => return,
                _told = closing.changed(), if !is_closing => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        let (parts, body) = request.into_parts();
        let version = parts.version;
        let call = self.ledger.record(&self.name, parts.clone());
        let request = Request::from_parts(parts, Body::new(Recorded { body, call }));
        let step = match &mut *locked(&self.behaviour) {
            Behaviour::App(app) => Next::App(app.clone()),
            Behaviour::Script(script) => Next::Step(script.next()),
        };
        match step {
            Next::App(app) => app.oneshot(request).await,
            Next::Step(step) => {
                let closes = self.close_before_connections_count();
                let mut response = play(step, request).await?;
                if closes && version < Version::HTTP_2 {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(response)
            }
        }
    }

    /// What is to happen to a connection next can only happen if none is open.
    fn close_before_connections_count(&self) -> bool {
        let closes = match &*locked(&self.behaviour) {
            Behaviour::Script(script) => script.peek().is_some_and(Step::is_of_connections),
            Behaviour::App(_) => false,
        };
        if closes {
            self.closing.send_replace(());
        }
        closes
    }
}

/// Answers the first bytes with others, as a server of another protocol would.
async fn speak_something_else(mut stream: DuplexStream) {
    let asked = stream.read(&mut [0; 1024]).await;
    if asked.is_ok() {
        // Whoever asked may be gone.
        let _told = stream.write_all(b"220 mail.example.com ESMTP\r\n\r\n").await;
    }
}

enum Next {
    App(App),
    Step(Option<Step>),
}

async fn play(step: Option<Step>, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let Some(Step { after, what }) = step else { return pending().await };
    match what {
        What::Answer(canned) => {
            let _read = request.into_body().collect().await?;
            tokio::time::sleep(after).await;
            Ok(respond(*canned))
        }
        What::Hang => pending().await,
        What::Reset(reason) => {
            tokio::time::sleep(after).await;
            Err(h2::Error::from(reason).into())
        }
        // Only on a connection that should be closed already.
        What::Refuse | What::Unreachable | What::NotHttp => Err(h2::Error::from(h2::Reason::REFUSED_STREAM).into()),
    }
}

fn respond(canned: Canned) -> Response<Body> {
    let Canned { status, headers, chunks, between, trailers, broken } = canned;
    // What was written before the break has to be on its way by then.
    let between = if broken { between.max(Duration::from_millis(1)) } else { between };
    let body = if between.is_zero() && trailers.is_none() && !broken {
        Body::full(chunks.concat())
    } else {
        let data = chunks.into_iter().map(|chunk| Ok(Frame::data(chunk)));
        let trailers = trailers.into_iter().map(|trailers| Ok(Frame::trailers(trailers)));
        let broken = broken.then(|| Err(BoxError::from("the test breaks this body off")));
        let frames = data.chain(trailers).chain(broken).collect::<Vec<Result<Frame<Bytes>, BoxError>>>();
        Body::new(StreamBody::new(stream::unfold(frames.into_iter(), move |mut left| async move {
            let frame = left.next()?;
            tokio::time::sleep(between).await;
            Some((frame, left))
        })))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Keeps what is read.
struct Recorded {
    body: Incoming,
    call: Call,
}

impl http_body::Body for Recorded {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            locked(&self.call.body).extend_from_slice(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
