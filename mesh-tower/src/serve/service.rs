//! The application, as one connection sees it.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{Either, Full, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use pin_project::pin_project;
use tower::ServiceExt as _;
use tower::util::Oneshot;
use tower_service::Service;

use crate::Body;
use crate::BoxError;
use crate::identity::Peer;
use crate::inbound::PeerIdentity;

use super::PeerAddress;
use super::connection::Settings;
use super::patience::{Answered, PatientBody};
use super::refusals::{failed, refusal};
use super::state::{ConnectionState, OpenRequest};

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

    fn prepare(&self, request: Request<Incoming>, answered: Option<&Answered>) -> Request<Body> {
        let options = &self.settings.options;
        let most = options.max_request_bytes.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        let patience = self.settings.limits.body_timeout.zip(answered);
        let mut request = request.map(|body| match patience {
            None => limited(body, most),
            Some((limit, answered)) => limited(PatientBody::new(body, limit, answered.clone()), most),
        });
        request.extensions_mut().insert(self.address.clone());
        request.extensions_mut().insert(self.peer.clone());
        if let Some(identity) = &self.identity {
            request.extensions_mut().insert(identity.clone());
        }
        for extend in &options.extend {
            extend(&self.address, request.extensions_mut());
        }
        request
    }
}

impl<S, R> hyper::service::Service<Request<Incoming>> for ConnectionService<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Infallible;
    type Future = ResponseFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let open = Some(self.state.begin_request(self.settings.options.max_cancelled_requests));
        let asks_for_another = request.version() == Version::HTTP_11
            && (request.headers().contains_key(UPGRADE) || request.method() == Method::CONNECT);
        if let Some(response) = refusal(&request, self.peer.is_tls(), &self.state, &self.settings) {
            return ResponseFuture { reply: Reply::Own(Some(response)), open, asks_for_another, answered: None };
        }
        let answered = has_to_go_on(&request).then(Answered::default);
        // What is added may panic, too, and other requests of this connection are under way.
        let prepared =
            catch_unwind(AssertUnwindSafe(|| self.app.clone().oneshot(self.prepare(request, answered.as_ref()))));
        let panicked = |_| Reply::Own(Some(failed(&"what is added to its requests panicked".into())));
        ResponseFuture { reply: prepared.map_or_else(panicked, Reply::App), open, asks_for_another, answered }
    }
}

fn limited<B>(body: B, most: Option<usize>) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match most {
        None => Body::new(body),
        Some(most) => Body::new(Limited::new(body, most)),
    }
}

/// Whether the body of a request has to go on while it is waited for: on HTTP/2, where the connection says nothing of single
/// requests. Those of gRPC may be streams, which are silent for as long as they like.
fn has_to_go_on(request: &Request<Incoming>) -> bool {
    let is_over = http_body::Body::is_end_stream(request.body());
    request.version() == Version::HTTP_2 && !is_over && !mesh_core::route::reply::is_grpc(request.headers())
}

/// The future of one response. An application that panics has answered 500: only this request fails.
#[pin_project]
pub(super) struct ResponseFuture<S: Service<Request<Body>>> {
    #[pin]
    reply: Reply<S>,
    open: Option<OpenRequest>,
    /// Whether the connection might go on with another protocol.
    asks_for_another: bool,
    /// For the body of the request, where that has to go on until then.
    answered: Option<Answered>,
}

#[pin_project(project = ReplyProjection)]
enum Reply<S: Service<Request<Body>>> {
    App(#[pin] Oneshot<S, Request<Body>>),
    /// `None` once it is given.
    Own(Option<Response<Full<Bytes>>>),
}

impl<S, R> Future for ResponseFuture<S>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.reply.project() {
            // After a panic it is not polled again: this ends here.
            ReplyProjection::App(future) => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(polled) => match ready!(polled) {
                    Ok(response) => response.map(Either::Left),
                    Err(error) => failed(&error.into()).map(Either::Right),
                },
                Err(_) => failed(&"it panicked".into()).map(Either::Right),
            },
            ReplyProjection::Own(response) => response.take().unwrap_or_default().map(Either::Right),
        };
        if let Some(answered) = this.answered {
            answered.set();
        }
        let mut open = this.open.take();
        if let Some(open) = &mut open {
            if *this.asks_for_another && response.status() != StatusCode::SWITCHING_PROTOCOLS && !open.resume() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            match http_body::Body::is_end_stream(response.body()) {
                true => open.answered(),
                false => open.gives(),
            }
        }
        Poll::Ready(Ok(response.map(|body| ResponseBody { body: Some(body), open })))
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
    open: Option<OpenRequest>,
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
        if let Some(open) = this.open {
            open.taken();
        }
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            if let (Some(open), Poll::Ready(piece)) = (this.open, &polled) {
                match piece {
                    Some(Ok(_)) => open.gives(),
                    None | Some(Err(_)) => open.answered(),
                }
                if this.body.as_ref().as_pin_ref().is_some_and(|body| body.is_end_stream()) {
                    open.answered();
                }
            }
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
