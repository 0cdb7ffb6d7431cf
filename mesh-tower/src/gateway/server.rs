//! Requests that come in at a gateway go out by its routes.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use mesh_config::api::mesh_config::ForwardClientCertDetails;
use mesh_core::gateway_tls::server_for;
use mesh_core::snapshot::{GatewayServer, TableId};
use mesh_core::{Scheme, request_form};
use tower_service::Service;

use crate::identity::{GatewayTls, Peer, TlsPeer};
use crate::live::Live;
use crate::outbound::{self, EXPECTED_TIMEOUT, Listener, Shared, ToldAtGateway};
use crate::request_id::X_REQUEST_ID;
use crate::serve::PeerAddress;
use crate::{Body, BoxError, hops};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const EXTERNAL_ADDRESS: HeaderName = HeaderName::from_static("x-envoy-external-address");

/// One listener of a gateway.
#[derive(Clone, Debug)]
pub(crate) struct GatewayService {
    shared: Arc<Shared>,
    port: u16,
    bind: Option<IpAddr>,
    /// What judges its connections; `None` in plaintext.
    tls: Option<Arc<GatewayTls>>,
}

impl GatewayService {
    pub(crate) fn new(shared: Arc<Shared>, (port, bind): (u16, Option<IpAddr>)) -> Self {
        Self { shared, port, bind, tls: None }
    }

    pub(crate) fn with_tls(self, tls: Arc<GatewayTls>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The routes of a connection: with TLS those of the server that it asked for.
    ///
    /// # Errors
    /// [`Outdated`] where the server asks for something else by now than the connection has shown when it was made.
    fn table(&self, live: &Live, tls: Option<&Peer>) -> Result<Option<TableId>, Outdated> {
        let servers = live.snapshot().gateway_servers();
        let is_kind = |server: &&GatewayServer| server.port == self.port && server.tls.is_empty() == tls.is_none();
        let here = servers.iter().filter(is_kind).find(|server| server.bind == self.bind);
        // A connection may outlive the listener that took it, when its server moves to another address.
        let Some(here) = here.or_else(|| servers.iter().find(is_kind)) else { return Ok(None) };
        let Some(peer) = tls else { return Ok(Some(here.table)) };
        let Some(server) = server_for(&here.tls, peer.server_name()) else { return Ok(None) };
        let (Some(shown), Some(judge)) = (peer.tls(), &self.tls) else { return Err(Outdated) };
        if judge.still_takes(shown, &server.settings, live.version()) { Ok(Some(server.table)) } else { Err(Outdated) }
    }
}

/// A connection that was made before its server began to ask for certificates of clients, or for other ones.
#[derive(Clone, Copy, Debug)]
struct Outdated;

impl Outdated {
    /// 421: on a new connection it may be answered.
    fn answer(self, version: Version) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
        if version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
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
        let live = self.shared.live.current();
        let tls = request.extensions().get::<Peer>().filter(|peer| peer.is_tls()).cloned();
        let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
        let from = at_the_edge(request.headers_mut(), peer, live.snapshot().trusted_proxies(), scheme);
        tell_certificate(&mut request, live.snapshot().tls().told_at_gateways);
        let table = match self.table(&live, tls.as_ref()) {
            Ok(table) => table,
            Err(outdated) => {
                let answer = outdated.answer(request.version());
                return Box::pin(async { Ok(answer) });
            }
        };
        // Where the caller wants another protocol, its side of the connection is taken here.
        let caller = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let listener =
            Listener::Gateway { port: self.port, table, is_tls: tls.is_some(), caller: from.map(Into::into) };
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let mut response = outbound::send(shared, live, listener, request).await;
            if let (Some(caller), StatusCode::SWITCHING_PROTOCOLS) = (caller, response.status()) {
                tokio::spawn(join(caller, hyper::upgrade::on(&mut response)));
            }
            Ok(response)
        })
    }
}

/// Takes what the inside is told of the caller's certificate out of the headers, which are not believed.
fn tell_certificate(request: &mut Request<Body>, details: ForwardClientCertDetails) {
    let proved = request.extensions().get::<Peer>().and_then(Peer::tls).and_then(TlsPeer::forwarded).cloned();
    let headers = request.headers_mut();
    if proved.is_none() && !headers.contains_key(CLIENT_CERT) {
        return;
    }
    request_form::tell_certificate(headers, proved.as_ref(), details);
    // Lines that are joined tell the same.
    let lines: Vec<_> = headers.get_all(CLIENT_CERT).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(told) = HeaderValue::from_bytes(&lines.join(&b','))
        && !told.is_empty()
    {
        request.extensions_mut().insert(ToldAtGateway(told));
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
/// the scheme are the edge's own, the caller's address is appended to `x-forwarded-for`. A stranger's request is no retry
/// and no copy.
///
/// Behind `trusted` proxies the caller is the one that the outermost of them saw, and the scheme the
/// one that they name. Gives the caller.
fn at_the_edge(headers: &mut HeaderMap, peer: Option<SocketAddr>, trusted: u32, scheme: Scheme) -> Option<SocketAddr> {
    headers.remove(X_REQUEST_ID);
    // How long a stranger waits is no matter of those inside.
    headers.remove(EXPECTED_TIMEOUT);
    if trusted == 0 {
        hops::MARKS.iter().for_each(|name| drop(headers.remove(name)));
    }
    if trusted == 0 || !headers.contains_key(X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme.as_str()));
    }
    let peer = peer?;
    let mut forwarded: Vec<u8> = Vec::new();
    for line in headers.get_all(X_FORWARDED_FOR) {
        forwarded.extend_from_slice(line.as_bytes());
        forwarded.push(b',');
    }
    let caller = told(&forwarded, trusted).map_or(peer, |ip| SocketAddr::new(ip, 0));
    forwarded.extend_from_slice(peer.ip().to_string().as_bytes());
    // Made of header values and addresses, so these are values too.
    if let (Ok(forwarded), Ok(external)) =
        (HeaderValue::from_bytes(&forwarded), HeaderValue::from_str(&caller.ip().to_string()))
    {
        headers.insert(X_FORWARDED_FOR, forwarded);
        headers.insert(EXTERNAL_ADDRESS, external);
    }
    Some(caller)
}

/// The address that the outermost of the trusted proxies saw; each appended one.
fn told(forwarded: &[u8], trusted: u32) -> Option<IpAddr> {
    let place = usize::try_from(trusted).ok()?.checked_sub(1)?;
    let entries = std::str::from_utf8(forwarded).ok()?.strip_suffix(',')?;
    entries.rsplit(',').nth(place)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 4000);

    #[test]
    fn the_caller_is_appended_and_its_claims_are_not_believed() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("9.9.9.9"));
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("mine"));
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        assert_eq!(at_the_edge(&mut headers, Some(PEER), 0, Scheme::Http), Some(PEER));
        assert_eq!(headers["x-forwarded-for"], "9.9.9.9,192.0.2.2");
        assert_eq!(headers["x-envoy-external-address"], "192.0.2.2");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert!(!headers.contains_key("x-request-id"));
    }

    #[test]
    fn a_stranger_cannot_pass_for_a_retry_or_a_copy() {
        for (trusted, left) in [(0, 0), (1, hops::MARKS.len())] {
            let mut headers: HeaderMap =
                hops::MARKS.map(|name| (name, HeaderValue::from_static("2"))).into_iter().collect();
            at_the_edge(&mut headers, Some(PEER), trusted, Scheme::Http);
            assert_eq!(hops::MARKS.iter().filter(|name| headers.contains_key(*name)).count(), left);
        }
    }

    #[test]
    fn trusted_proxies_say_who_the_caller_is() {
        for (forwarded, trusted, caller) in [
            ("9.9.9.9", 1, "9.9.9.9"),
            ("9.9.9.9, 8.8.8.8", 1, "8.8.8.8"),
            ("9.9.9.9, 8.8.8.8", 2, "9.9.9.9"),
            ("9.9.9.9, 8.8.8.8", 3, "192.0.2.2"),
            ("9.9.9.9, unknown", 1, "192.0.2.2"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(X_FORWARDED_FOR, HeaderValue::from_static(forwarded));
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
            let found = at_the_edge(&mut headers, Some(PEER), trusted, Scheme::Http);
            assert_eq!(found.map(|found| found.ip().to_string()).as_deref(), Some(caller));
            assert_eq!(headers["x-envoy-external-address"], caller);
            assert_eq!(headers["x-forwarded-for"], format!("{forwarded},192.0.2.2"));
            assert_eq!(headers["x-forwarded-proto"], "https");
        }
    }
}
