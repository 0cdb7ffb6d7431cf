//! Requests that come in at a gateway go out by its routes.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tower_service::Service;

use crate::outbound::{self, Listener, Shared};
use crate::request_id::X_REQUEST_ID;
use crate::serve::PeerAddress;
use crate::{Body, BoxError};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const EXTERNAL_ADDRESS: HeaderName = HeaderName::from_static("x-envoy-external-address");

/// One listener of a gateway.
#[derive(Clone, Debug)]
pub(crate) struct GatewayService {
    shared: Arc<Shared>,
    port: u16,
}

impl GatewayService {
    pub(crate) fn new(shared: Arc<Shared>, port: u16) -> Self {
        Self { shared, port }
    }
}

impl Service<Request<Body>> for GatewayService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<PeerAddress>().and_then(PeerAddress::socket);
        at_the_edge(request.headers_mut(), peer.map(|peer| peer.ip().to_string()).as_deref());
        // Where the caller wants another protocol, its side of the connection is taken here.
        let caller = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let sending = outbound::send(Arc::clone(&self.shared), Listener::Gateway { port: self.port }, request);
        Box::pin(async move {
            let mut response = sending.await;
            if let (Some(caller), StatusCode::SWITCHING_PROTOCOLS) = (caller, response.status()) {
                tokio::spawn(join(caller, hyper::upgrade::on(&mut response)));
            }
            Ok(response)
        })
    }
}

/// Carries bytes both ways between a caller and an endpoint that have agreed on another protocol,
/// until both are done or one is gone.
async fn join(caller: OnUpgrade, endpoint: OnUpgrade) {
    let carried = async {
        let (caller, endpoint) = tokio::try_join!(caller, endpoint)?;
        tokio::io::copy_bidirectional(&mut TokioIo::new(caller), &mut TokioIo::new(endpoint)).await?;
        Ok::<_, BoxError>(())
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, "upgraded connection ended");
    }
}

/// What an edge tells the inside about a caller, and what it does not believe: the request id and
/// the scheme are the edge's own, the caller's address is appended to `x-forwarded-for`.
fn at_the_edge(headers: &mut HeaderMap, peer: Option<&str>) {
    headers.remove(X_REQUEST_ID);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    let Some(peer) = peer else { return };
    let mut forwarded: Vec<u8> = Vec::new();
    for line in headers.get_all(X_FORWARDED_FOR) {
        forwarded.extend_from_slice(line.as_bytes());
        forwarded.push(b',');
    }
    forwarded.extend_from_slice(peer.as_bytes());
    // Made of header values and an address, so these are values too.
    if let (Ok(forwarded), Ok(peer)) = (HeaderValue::from_bytes(&forwarded), HeaderValue::from_str(peer)) {
        headers.insert(X_FORWARDED_FOR, forwarded);
        headers.insert(EXTERNAL_ADDRESS, peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_appended_and_its_claims_are_not_believed() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("9.9.9.9"));
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("mine"));
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        at_the_edge(&mut headers, Some("192.0.2.2"));
        assert_eq!(headers["x-forwarded-for"], "9.9.9.9,192.0.2.2");
        assert_eq!(headers["x-envoy-external-address"], "192.0.2.2");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert!(!headers.contains_key("x-request-id"));
    }
}
