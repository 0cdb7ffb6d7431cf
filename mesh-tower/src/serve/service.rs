//! The application, as one connection sees it.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::{Either, Full};
use hyper::body::{Frame, Incoming, SizeHint};
use pin_project::pin_project;
use tower::ServiceExt as _;
use tower::util::Oneshot;
use tower_service::Service;

use crate::Body;
use crate::BoxError;
use crate::identity::Peer;
use crate::inbound::PeerIdentity;

use super::connection::Settings;
use super::state::{ConnectionState, OpenRequest};
use super::{PeerAddress, ServeOptions};

/// Makes hyper's requests the application's: own body, [`PeerAddress`] and whatever
/// [`ServeOptions::extension`] adds.
#[derive(Debug)]
pub(super) struct ConnectionService<S> {
    app: S,
    peer: Peer,
    address: PeerAddress,
    /// Who policies take it for.
    identity: Option<PeerIdentity>,
    state: Arc<ConnectionState>,
    settings: Arc<Settings>,
}

impl<S> ConnectionService<S> {
    pub(super) fn new(app: S, peer: Peer, state: Arc<ConnectionState>, settings: Arc<Settings>) -> Self {
        let address = PeerAddress(peer.address().clone());
        let identity = peer.id().map(|id| PeerIdentity::new(id.as_str(), peer.server_name()));
        Self { app, peer, address, identity, state, settings }
    }

    fn options(&self) -> &ServeOptions {
        &self.settings.options
    }

    fn prepare(&self, request: Request<Incoming>) -> Request<Body> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.address.clone());
        request.extensions_mut().insert(self.peer.clone());
        if let Some(identity) = &self.identity {
            request.extensions_mut().insert(identity.clone());
        }
        for extend in &self.options().extend {
            extend(&self.address, request.extensions_mut());
        }
        request
    }
}

impl<S, R> hyper::service::Service<Request<Incoming>> for ConnectionService<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Infallible;
    type Future = ResponseFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let open = Some(self.state.begin_request());
        if request.version() <= Version::HTTP_10 && !self.options().accept_http_10 {
            return ResponseFuture { reply: Reply::TooOld, open };
        }
        // A change of mode ends what has begun as plaintext: the next connection begins anew.
        if !self.peer.is_tls() && !self.settings.security.takes_plaintext() {
            return ResponseFuture { reply: Reply::Outdated, open };
        }
        // What is added may panic, too, and other requests of this connection are under way.
        let prepared = catch_unwind(AssertUnwindSafe(|| self.app.clone().oneshot(self.prepare(request))));
        ResponseFuture { reply: prepared.map_or(Reply::Panicked, Reply::App), open }
    }
}

/// The future of one response. An application that panics has answered 500: only this request fails.
#[pin_project]
pub(super) struct ResponseFuture<S: Service<Request<Body>>> {
    #[pin]
    reply: Reply<S>,
    open: Option<OpenRequest>,
}

#[pin_project(project = ReplyProjection)]
#[expect(clippy::large_enum_variant, reason = "the small variant is the rare one; a box would cost every request")]
enum Reply<S: Service<Request<Body>>> {
    App(#[pin] Oneshot<S, Request<Body>>),
    TooOld,
    Outdated,
    /// What the server's options add has panicked.
    Panicked,
}

impl<S, R> Future for ResponseFuture<S>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match this.reply.project() {
            // After a panic it is not polled again: this ends here.
            ReplyProjection::App(future) => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(polled) => match ready!(polled) {
                    Ok(response) => response.map(Either::Left),
                    Err(error) => failed(&error.into()).map(Either::Right),
                },
                Err(_) => failed(&"it panicked".into()).map(Either::Right),
            },
            ReplyProjection::Panicked => failed(&"what is added to its requests panicked".into()).map(Either::Right),
            ReplyProjection::TooOld => too_old().map(Either::Right),
            ReplyProjection::Outdated => outdated().map(Either::Right),
        };
        let open = this.open.take();
        Poll::Ready(Ok(response.map(|body| ResponseBody { body: Some(body), _open: open })))
    }
}

/// The application's body, or that of a reply made here.
#[pin_project]
#[derive(Debug)]
pub(super) struct ResponseBody<R> {
    /// `None` once it has panicked.
    #[pin]
    body: Option<Either<R, Full<Bytes>>>,
    /// The request is under way until this body is dropped.
    _open: Option<OpenRequest>,
}

impl<R> http_body::Body for ResponseBody<R>
where
    R: http_body::Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            return polled;
        }
        tracing::error!("the application panicked while its answer was being read");
        this.body.set(None);
        Poll::Ready(Some(Err("the answer broke off".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}

/// The answer to HTTP/1.0, as Envoy gives it.
fn too_old() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("Upgrade Required"));
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer on a connection that has begun as plaintext where only mutual TLS is taken by now.
fn outdated() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer when the application gives none: axum and tonic never come here.
fn failed(error: &BoxError) -> Response<Full<Bytes>> {
    tracing::error!(%error, "the application failed to answer a request");
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
