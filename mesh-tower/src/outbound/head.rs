//! A request as the caller wrote it becomes a request as a sidecar would see it.

use http::header::{HOST, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme as UriScheme, Uri};
use http::{HeaderMap, Method, Request, Version};
use mesh_config::api::mesh_config::NormalizationType;
use mesh_core::request::scheme_told;
use mesh_core::request_form::single_host;
use mesh_core::route::{internal_headers, reply};
use mesh_core::{Failure, PeerView, Profile, RequestView, Scheme};

use super::added::AddedHeader;
use super::{Listener, Options};
use crate::hops::{self, Nature};
use crate::request_form::{self, take_path};
use crate::{Body, inbound, request_id};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What routing needs beside the request itself, whose head is now in canonical form: an absolute
/// URI, no `host`, no hop-by-hop header, none of the headers that only a proxy may set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) port: u16,
    pub(crate) scheme: Scheme,
    pub(crate) grpc: bool,
    /// It asks for an upgrade that is not passed on.
    pub(crate) upgrade_refused: bool,
    /// Of what kind it is.
    pub(crate) nature: Nature,
    /// The application has set trace headers itself.
    pub(crate) says_trace: bool,
    /// What was added to the request's headers.
    added: Added,
}

#[derive(Clone, Copy, Debug, Default)]
struct Added {
    request_id: bool,
    forwarded_proto: bool,
    trace: bool,
}

impl Head {
    /// Brings the request into canonical form.
    ///
    /// # Errors
    /// With the reply the caller gets, and whether it speaks gRPC.
    pub(crate) fn take(
        request: &mut Request<Body>,
        listener: Listener,
        options: &Options,
        paths: NormalizationType,
    ) -> Result<Self, (Failure, bool)> {
        let found = Found::among(request.headers());
        let grpc = found.content_type && reply::is_grpc(request.headers());
        let profile = match listener {
            Listener::Gateway { .. } => options.profile,
            // What an application asks for itself hides nothing from a policy of its own.
            Listener::Mesh { .. } => Profile::Istio,
        };
        let head = Self::canonical(request, listener, &found, grpc, options);
        let head = head.and_then(|head| take_path(request, profile, paths).map(|()| head));
        head.map_err(|failure| (failure, grpc))
    }

    fn canonical(
        request: &mut Request<Body>,
        listener: Listener,
        found: &Found,
        grpc: bool,
        options: &Options,
    ) -> Result<Self, Failure> {
        let left_out = options.left_out;
        if matches!(listener, Listener::Gateway { .. })
            && let Some(host) = request_form::check(request, options.profile)?
        {
            request.headers_mut().insert(HOST, host);
        }
        if request.method() == Method::CONNECT {
            return Err(Failure::NoRoute);
        }
        let scheme = scheme_of(request, listener, found)?;
        let port = take_authority(request, listener, found)?;
        let headers = request.headers_mut();
        // Room for all that is added on the way, at once.
        headers.reserve(ADDED);
        let mut upgrade_refused = false;
        if found.hop_by_hop {
            match internal_headers::remove_hop_by_hop(headers) {
                Err(Failure::UpgradeRefused) => upgrade_refused = true,
                other => drop(other?),
            }
        }
        if found.internal || headers.len() > headers.keys_len() {
            internal_headers::strip(headers);
        }
        if matches!(listener, Listener::Gateway { .. })
            && let Some(ToldAtGateway(told)) = request.extensions_mut().remove::<ToldAtGateway>()
        {
            request.headers_mut().insert("x-forwarded-client-cert", told);
        }
        let headers = request.headers_mut();
        let mut nature = if found.internal { Nature::of(headers) } else { Nature::default() };
        let mut added = Added::default();
        let handling = inbound::propagate(headers);
        if let Some(handled) = handling {
            nature = nature.or(handled);
        }
        if !left_out.has(AddedHeader::Nature) {
            nature.mark(headers);
        }
        if handling.is_some() || found.request_id {
            request_id::ensure(headers);
        } else if !left_out.has(AddedHeader::RequestId) {
            request_id::make_up(headers);
            added.request_id = true;
        }
        if !found.forwarded_proto && !left_out.has(AddedHeader::ForwardedProto) {
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme.as_str()));
            added.forwarded_proto = true;
        }
        Ok(Self { port, scheme, grpc, upgrade_refused, nature, says_trace: found.trace, added })
    }

    /// Notes whether all trace headers that it has now were added.
    pub(crate) fn adds_trace(&mut self, added: bool) {
        self.added.trace = added;
    }

    /// Takes back what was added to the headers: the port turned out to be one where nobody looks at requests.
    pub(crate) fn take_back(&self, headers: &mut HeaderMap) {
        if self.added.request_id {
            headers.remove(request_id::X_REQUEST_ID);
        }
        if self.added.forwarded_proto {
            headers.remove(X_FORWARDED_PROTO);
        }
        if self.added.trace {
            let trace: Vec<_> = headers.keys().filter(|name| inbound::is_trace_header(name)).cloned().collect();
            trace.iter().for_each(|name| drop(headers.remove(name)));
        }
    }

    /// What routing may look at.
    pub(crate) fn view<'a>(&self, request: &'a Request<Body>) -> RequestView<'a> {
        RequestView {
            method: request.method(),
            scheme: self.scheme,
            authority: request.uri().authority().map_or("", Authority::as_str),
            path: request.uri().path(),
            query: request.uri().query(),
            headers: request.headers(),
            peer: inbound::with_claims(PeerView::default(), request),
            port: self.port,
        }
    }
}

/// Headers that the mesh, or the connection, adds to a request.
const ADDED: usize = 7;

/// Which headers that matter here a request has: one look at each name instead of a search for each.
#[derive(Debug, Default)]
struct Found {
    content_type: bool,
    forwarded_proto: bool,
    hop_by_hop: bool,
    host: bool,
    internal: bool,
    request_id: bool,
    trace: bool,
}

impl Found {
    fn among(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "content-type" => found.content_type = true,
                "host" => found.host = true,
                "x-forwarded-proto" => found.forwarded_proto = true,
                "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade" => {
                    found.hop_by_hop = true;
                }
                "x-request-id" => found.request_id = true,
                "b3" | "traceparent" | "x-b3-sampled" | "x-b3-traceid" => found.trace = true,
                "x-forwarded-client-cert" => found.internal = true,
                other if other.starts_with("x-envoy-") || hops::MARKS.contains(name) => found.internal = true,
                _ => {}
            }
        }
        found
    }
}

/// On HTTP/1 a single `x-forwarded-proto` that is `http` or `https` names the scheme; an empty one
/// makes the request unroutable. On HTTP/2, and at a gateway, the scheme is the connection's.
fn scheme_of(request: &Request<Body>, listener: Listener, found: &Found) -> Result<Scheme, Failure> {
    let own = match request.uri().scheme_str() {
        Some("https") => Scheme::Https,
        _ => Scheme::Http,
    };
    if let Listener::Gateway { is_tls, .. } = listener {
        return Ok(if is_tls { Scheme::Https } else { Scheme::Http });
    }
    let told = found.forwarded_proto && request.version() != Version::HTTP_2;
    if !told {
        return Ok(own);
    }
    Ok(scheme_told(request.headers())?.unwrap_or(own))
}

/// What a gateway tells of its caller's certificate, in place of whatever was claimed: a request extension.
#[derive(Clone, Debug)]
pub(crate) struct ToldAtGateway(pub(crate) HeaderValue);

/// Moves the authority into the URI: the `host` header where the caller set one, else the URI's
/// own. Gives the listener port.
fn take_authority(request: &mut Request<Body>, listener: Listener, found: &Found) -> Result<u16, Failure> {
    let host = if found.host { single_host(request.headers())?.cloned() } else { None };
    request.headers_mut().remove(HOST);
    let named = request.uri().authority().and_then(Authority::port_u16);
    let default = if request.uri().scheme() == Some(&UriScheme::HTTPS) { 443 } else { 80 };
    let has_authority = request.uri().authority().is_some();
    let host = match host {
        None if has_authority && request.uri().scheme().is_some() => None,
        None => return Err(Failure::MalformedRequest),
        Some(host) if host.is_empty() => return Err(Failure::MalformedRequest),
        // No host that is not an authority can be one of ours.
        Some(host) => Some(
            Authority::from_maybe_shared(bytes::Bytes::copy_from_slice(host.as_bytes()))
                .map_err(|_| Failure::NoRoute)?,
        ),
    };
    // A user name would hide the host from the rules, but not from the lookup of its address.
    if host.as_ref().or(request.uri().authority()).is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Failure::MalformedRequest);
    }
    let port = match listener {
        Listener::Mesh { port: Some(port) } | Listener::Gateway { port, .. } => port,
        Listener::Mesh { port: None } if has_authority => named.unwrap_or(default),
        Listener::Mesh { port: None } => host.as_ref().and_then(Authority::port_u16).unwrap_or(default),
    };
    // What the caller speaks to a gateway says nothing about how the endpoint is spoken to.
    let is_foreign = matches!(listener, Listener::Gateway { .. }) && request.uri().scheme() == Some(&UriScheme::HTTPS);
    if is_foreign {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(UriScheme::HTTP);
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Failure::MalformedRequest)?;
    }
    if let Some(authority) = host {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme.get_or_insert(UriScheme::HTTP);
        parts.authority = Some(authority);
        parts.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Failure::MalformedRequest)?;
    }
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESH: Listener = Listener::Mesh { port: None };

    fn take(request: http::request::Builder) -> (Result<Head, (Failure, bool)>, Request<Body>) {
        let mut request = request.body(Body::empty()).unwrap();
        (Head::take(&mut request, MESH, &Options::default(), NormalizationType::Default), request)
    }

    #[test]
    fn the_port_of_the_uri_is_the_listener_port() {
        let (head, request) = take(Request::get("http://reviews:9080/1"));
        assert_eq!(head.unwrap().port, 9080);
        assert_eq!(request.uri().authority().unwrap(), "reviews:9080");
        assert_eq!(take(Request::get("http://reviews/1")).0.unwrap().port, 80);
        assert_eq!(take(Request::get("https://reviews/1")).0.unwrap().port, 443);
    }

    #[test]
    fn a_host_header_decides_the_authority_and_the_uri_the_port() {
        let (head, request) = take(Request::get("http://10.0.0.1:9080/1").header("host", "reviews"));
        assert_eq!(head.unwrap().port, 9080);
        assert_eq!(request.uri(), "http://reviews/1");
        assert!(!request.headers().contains_key(HOST));
    }

    #[test]
    fn an_origin_form_request_takes_both_from_its_host_header() {
        let (head, request) = take(Request::get("/1").header("host", "reviews:9080"));
        assert_eq!(head.unwrap().port, 9080);
        assert_eq!(request.uri(), "http://reviews:9080/1");
        assert_eq!(take(Request::get("/1")).0.unwrap_err().0, Failure::MalformedRequest);
    }

    #[test]
    fn a_user_name_in_the_authority_is_malformed() {
        for request in [Request::get("http://x@reviews:9080/"), Request::get("/").header("host", "x@reviews")] {
            assert_eq!(take(request).0.unwrap_err().0, Failure::MalformedRequest);
        }
    }

    #[test]
    fn two_hosts_are_malformed() {
        let request = Request::get("/").header("host", "reviews").header("host", "ratings");
        assert_eq!(take(request).0.unwrap_err().0, Failure::MalformedRequest);
    }

    #[test]
    fn a_gateway_takes_the_authority_of_the_target_and_resolves_paths_fully() {
        let gateway = Listener::Gateway { port: 80, table: None, is_tls: false, caller: None };
        let take = |request: http::request::Builder| {
            let mut request = request.body(Body::empty()).unwrap();
            let taken = Head::take(&mut request, gateway, &Options::default(), NormalizationType::Default);
            taken.map(|_| request.uri().to_string()).map_err(|(failure, _)| failure)
        };
        let both = Request::get("http://reviews/a/%2e%2e;/b").header("host", "ratings");
        assert_eq!(take(both).as_deref(), Ok("http://reviews/b"));
        assert_eq!(take(Request::get("/").method("get").header("host", "a")), Err(Failure::MalformedRequest));
    }

    #[test]
    fn a_forwarded_protocol_names_the_scheme_and_an_empty_one_is_unroutable() {
        let (head, _) = take(Request::get("http://a/").header("x-forwarded-proto", "HTTPS"));
        assert_eq!(head.unwrap().scheme, Scheme::Https);
        let (head, _) = take(Request::get("http://a/").header("x-forwarded-proto", ""));
        assert_eq!(head.unwrap_err().0, Failure::NoRoute);
    }

    #[test]
    fn a_path_comes_in_its_normal_form_and_the_query_as_it_is() {
        let (head, request) = take(Request::get("http://a/x/%2e%2e/%61//b?q=/../%61"));
        head.unwrap();
        assert_eq!(request.uri(), "http://a/a//b?q=/../%61");
        assert_eq!(take(Request::get("http://a/%00")).0.unwrap_err().0, Failure::InvalidPath);
        let star = Request::options("*").header("host", "a");
        assert_eq!(take(star).0.unwrap_err().0, Failure::PathRejected);
    }

    #[test]
    fn only_websocket_upgrades_are_passed_on() {
        let upgrade =
            |to: &str| Request::get("http://a/").header("connection", "Upgrade").header("upgrade", to.to_owned());
        // Refused once it has a route.
        assert!(take(upgrade("irc")).0.unwrap().upgrade_refused);
        let (head, request) = take(upgrade("WebSocket"));
        assert!(!head.unwrap().upgrade_refused);
        assert_eq!(request.headers()["upgrade"], "WebSocket");
        let (head, request) = take(upgrade("h2c"));
        head.unwrap();
        assert!(!request.headers().contains_key("upgrade"));
    }
}
