//! The client: a request goes in, a response comes out, always.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use pin_project::pin_project;
use tower_service::Service;

use crate::outbound::{self, Listener, Shared};
use crate::{Body, BoxError};

/// Sends requests through the mesh: routed, balanced, retried, limited and counted by the
/// configuration in use at the moment of the call.
///
/// A concrete type, cheap to clone, `Send + Sync`, and always ready: where a request goes is only
/// known once it is there, so limits are enforced in the call and answered as Envoy answers them. It
/// takes any body and never fails: what goes wrong comes back as the response a sidecar would have
/// sent, with a [`RouteInfo`](crate::RouteInfo) among its extensions that says why.
///
/// It is a tower service, and with tonic it is the transport:
///
/// ```
/// # async fn f(mesh: mesh_tower::Mesh) -> Result<(), mesh_tower::BoxError> {
/// let request = http::Request::get("http://reviews:9080/reviews/1").body(mesh_tower::Body::empty())?;
/// let response = mesh.client().send(request).await;
/// # Ok(()) }
/// ```
///
/// # Cancellation
///
/// Dropping the future gives up the request: an HTTP/1 connection that was waiting for its answer is
/// closed, an HTTP/2 stream is reset, and every slot it held is free again.
#[derive(Clone)]
pub struct MeshClient {
    shared: Arc<Shared>,
    listener: Listener,
}

impl MeshClient {
    pub(crate) fn new(shared: Arc<Shared>, listener: Listener) -> Self {
        Self { shared, listener }
    }

    /// Sends a request. The same as calling the service, without a trait to import.
    pub fn send<B>(&self, request: Request<B>) -> impl Future<Output = Response<Body>> + Send + use<B>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        outbound::send(Arc::clone(&self.shared), self.shared.live.current(), self.listener, request.map(Body::new))
    }
}

impl fmt::Debug for MeshClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshClient").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for MeshClient
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        ResponseFuture { sending: Box::pin(self.send(request)) }
    }
}

/// The response of a [`MeshClient`] to come.
#[pin_project]
pub struct ResponseFuture {
    sending: Pin<Box<dyn Future<Output = Response<Body>> + Send>>,
}

// One box for the whole way out, so that what callers hold stays small.
const _: () = assert!(size_of::<ResponseFuture>() == 16);

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().sending.as_mut().poll(cx).map(Ok)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mesh;

    /// It is moved into boxes and into what awaits it: at five times the size that alone cost more than
    /// all decisions.
    #[tokio::test]
    async fn what_a_call_awaits_is_small() {
        let mesh = Mesh::builder().workload("default/a").build().await.unwrap();
        let call = mesh.client().send(Request::new(Body::empty()));
        assert!(size_of_val(&call) <= 2048, "{} bytes", size_of_val(&call));
    }
}
