//! What spans say of a request.

use std::net::SocketAddr;

use http::header::{HOST, USER_AGENT as USER_AGENT_HEADER};
use http::uri::Authority;
use http::{HeaderMap, Request, Uri};
use mesh_core::telemetry::Workload;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};

use super::attributes::{
    CANONICAL_REVISION, CANONICAL_SERVICE, CLIENT_ADDRESS, ISTIO_MESH_ID, ISTIO_NAMESPACE, METHOD, METHOD_ORIGINAL,
    PROTOCOL_VERSION, RPC_METHOD, RPC_SYSTEM, SCHEME, SERVER_ADDRESS, SERVER_PORT, URL_FULL, URL_PATH, USER_AGENT,
    known_method, pair, version,
};
use super::policy::Policy;
use super::{About, tags};
use crate::serve::PeerAddress;

/// A request, and what is said of it.
pub(super) struct Described<'a, B> {
    pub(super) request: &'a Request<B>,
    pub(super) about: About,
    pub(super) policy: &'a Policy<'a>,
    pub(super) own: &'a Workload,
}

impl<B> Described<'_, B> {
    /// The span of a side of it.
    pub(super) fn span(&self, kind: SpanKind) -> SpanBuilder {
        let caller = self.request.extensions().get::<PeerAddress>().and_then(PeerAddress::socket);
        self.built(kind, caller)
    }

    /// The span of it as a gateway takes it.
    pub(super) fn edge(&self, caller: Option<SocketAddr>) -> SpanBuilder {
        self.built(SpanKind::Server, caller)
    }

    fn built(&self, kind: SpanKind, caller: Option<SocketAddr>) -> SpanBuilder {
        let mut attributes = Vec::with_capacity(16);
        let name = self.call(&mut attributes);
        self.server(&mut attributes);
        match kind {
            SpanKind::Server => self.taken(caller, &mut attributes),
            _ => self.sent(&mut attributes),
        }
        if self.policy.istio_tags {
            attributes.push(pair(CANONICAL_SERVICE, self.own.canonical_service.to_string()));
            attributes.push(pair(CANONICAL_REVISION, self.own.canonical_revision.to_string()));
            attributes.push(pair(ISTIO_NAMESPACE, self.own.namespace.to_string()));
            attributes.push(pair(ISTIO_MESH_ID, self.policy.mesh_id.to_owned()));
        }
        attributes.extend(self.policy.tags.into_iter().flat_map(|asked| tags::of(asked, self.request.headers())));
        if let Some(formatted) = self.policy.formatted {
            attributes.extend(tags::formatted(formatted, self.request, self.about.side));
        }
        SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes)
    }

    /// What is called; gives the span's name. Paths are no names: there would be no end of them.
    fn call(&self, attributes: &mut Vec<KeyValue>) -> String {
        let method = self.request.method();
        if self.about.is_grpc {
            let called = self.request.uri().path().trim_start_matches('/').to_owned();
            attributes.push(pair(RPC_SYSTEM, "grpc"));
            attributes.push(pair(RPC_METHOD, called.clone()));
            return called;
        }
        if let Some(known) = known_method(method) {
            attributes.push(pair(METHOD, known));
            return known.to_owned();
        }
        attributes.push(pair(METHOD, "_OTHER"));
        attributes.push(pair(METHOD_ORIGINAL, method.as_str().to_owned()));
        "HTTP".to_owned()
    }

    /// By what name and port it is asked for.
    fn server(&self, attributes: &mut Vec<KeyValue>) {
        let authority = authority(self.request.uri(), self.request.headers());
        if let Some(authority) = authority {
            let host = authority.host().trim_start_matches('[').trim_end_matches(']');
            attributes.push(pair(SERVER_ADDRESS, host.to_owned()));
            let default = if self.about.is_https { 443 } else { 80 };
            attributes.push(pair(SERVER_PORT, i64::from(authority.port_u16().unwrap_or(default))));
        }
    }

    /// What a client says. The query is left out: it may hold what is nobody's business.
    fn sent(&self, attributes: &mut Vec<KeyValue>) {
        let uri = self.request.uri();
        if !self.about.is_grpc
            && let Some(authority) = authority(uri, self.request.headers())
        {
            attributes.push(pair(URL_FULL, format!("{}://{authority}{}", self.scheme(), uri.path())));
        }
    }

    /// What a server says.
    fn taken(&self, caller: Option<SocketAddr>, attributes: &mut Vec<KeyValue>) {
        if let Some(caller) = caller {
            attributes.push(pair(CLIENT_ADDRESS, caller.ip().to_string()));
        }
        attributes.push(pair(PROTOCOL_VERSION, version(self.request.version())));
        if self.about.is_grpc {
            return;
        }
        attributes.push(pair(SCHEME, self.scheme()));
        attributes.push(pair(URL_PATH, self.request.uri().path().to_owned()));
        let agent = self.request.headers().get(USER_AGENT_HEADER).and_then(|agent| agent.to_str().ok());
        attributes.extend(agent.map(|agent| pair(USER_AGENT, agent.to_owned())));
    }

    const fn scheme(&self) -> &'static str {
        if self.about.is_https { "https" } else { "http" }
    }
}

/// Whom it is for, without a user's name.
fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let host = || headers.get(HOST)?.to_str().ok()?.parse().ok();
    uri.authority().cloned().or_else(host).filter(|authority| !authority.as_str().contains('@'))
}
