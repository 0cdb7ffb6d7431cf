use std::task::{Context, Poll};

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use mesh_core::Failure;
use mesh_core::cluster::EndpointAddress;
use tower_service::Service;

use super::{BalanceLayer, ResponseBody, ResponseFuture};
use crate::BoxError;
use crate::endpoint::host_of;
use crate::layers::{accessors, forgo};

/// The endpoint that a request goes to; in the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(pub EndpointAddress);

/// A service that sends each request to one of several endpoints; made by a [`BalanceLayer`].
#[derive(Clone, Debug)]
pub struct Balance<S> {
    inner: S,
    layer: BalanceLayer,
}

impl<S> Balance<S> {
    pub(super) fn new(inner: S, layer: BalanceLayer) -> Self {
        Self { inner, layer }
    }

    accessors!();
}

impl<S, B, R> Service<Request<B>> for Balance<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    R: http_body::Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(endpoint) = self.layer.choose(&request) else {
            forgo(&mut self.inner);
            return ResponseFuture::refused(Failure::NoHealthyUpstream);
        };
        let active = endpoint.begin();
        direct(&mut request, endpoint.address());
        ResponseFuture::calling(self.inner.call(request), active)
    }
}

/// Turns a request to an endpoint, for the host that it was meant for.
fn direct<B>(request: &mut Request<B>, to: &EndpointAddress) {
    request.extensions_mut().insert(Endpoint(to.clone()));
    let EndpointAddress::Socket(address) = to else { return };
    let Ok(authority) = Authority::try_from(address.to_string()) else { return };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    if let Some(meant) = parts.authority.replace(authority)
        && !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(host_of(&meant))
    {
        request.headers_mut().insert(HOST, host);
    }
    parts.scheme.get_or_insert(Scheme::HTTP);
    parts.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
    // Nothing is missing: it cannot fail.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}
