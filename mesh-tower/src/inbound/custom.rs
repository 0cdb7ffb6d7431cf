//! Who is asked by policies with the action `CUSTOM`.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method, Response, Uri, Version};
use mesh_core::Scheme;
pub use mesh_core::authz::BodyInCheck;

use super::{CheckBody, PeerIdentity};
use crate::Body;
use crate::serve::PeerAddress;

/// Decides about requests in place of an extension provider of the mesh; see
/// [`MeshBuilder::external_authorizer`](crate::MeshBuilder::external_authorizer).
pub trait ExternalAuthorizer: fmt::Debug + Send + Sync + 'static {
    /// Decides about one request. The request waits, and with it nobody else.
    fn check(&self, request: CheckRequest) -> Checking;

    /// How much of the request's body is to be told; nothing unless told otherwise. The request waits for it, and a body
    /// that is too long is answered with 413.
    fn body(&self) -> Option<BodyInCheck> {
        None
    }

    /// Whether headers that it sets count for the choice of a route at a gateway; they do unless told otherwise.
    fn reroutes(&self) -> bool {
        true
    }
}

/// The answer of an [`ExternalAuthorizer`], when it comes.
pub type Checking = Pin<Box<dyn Future<Output = CheckAnswer> + Send>>;

/// What is told about a request, of its body only what is [asked for](ExternalAuthorizer::body). It prints the names of headers alone, and not the query.
#[derive(Clone)]
#[non_exhaustive]
pub struct CheckRequest {
    /// The method.
    pub method: Method,
    /// The target, its path in normal form.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The version of HTTP that it came by.
    pub version: Version,
    /// Whether the connection is encrypted, as far as it is known.
    pub scheme: Scheme,
    /// The body, where it was asked for and there is one.
    pub body: Option<CheckBody>,
    /// Our own address, where it is known.
    pub local: Option<SocketAddr>,
    /// The caller's address, where the server tells it.
    pub address: Option<PeerAddress>,
    /// The caller's proved identity.
    pub identity: Option<PeerIdentity>,
}

impl fmt::Debug for CheckRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckRequest")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("headers", &self.headers.keys())
            .field("body", &self.body)
            .field("address", &self.address)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// What becomes of the request. Headers and answers do not print.
pub enum CheckAnswer {
    /// It goes on to the other policies.
    Allow(Allowed),
    /// It ends with this response.
    Deny(Response<Body>),
    /// Nobody could say: it is denied as by a policy (403).
    Failed,
}

/// What an answer that lets a request go on changes.
#[derive(Clone, Default)]
pub struct Allowed {
    /// These replace the headers that it came with.
    pub request_headers: HeaderMap,
    /// These are appended to those that it came with, after a comma; where it came with none they are not set, as in Envoy.
    pub added_request_headers: HeaderMap,
    /// These are taken out, after all else.
    pub removed_request_headers: Vec<HeaderName>,
    /// These are added to the answer that the caller gets.
    pub response_headers: HeaderMap,
}

impl From<HeaderMap> for Allowed {
    /// Replaces these headers of the request.
    fn from(request_headers: HeaderMap) -> Self {
        Self { request_headers, ..Self::default() }
    }
}

impl fmt::Debug for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (request, response) = (self.request_headers.keys(), self.response_headers.keys());
        f.debug_tuple("Allowed").field(&request).field(&response).finish()
    }
}

impl fmt::Debug for CheckAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow(allowed) => f.debug_tuple("Allow").field(allowed).finish(),
            Self::Deny(response) => f.debug_tuple("Deny").field(&response.status()).finish(),
            Self::Failed => f.write_str("Failed"),
        }
    }
}

/// The authorizers by the names of their providers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorizers(Arc<BTreeMap<String, Arc<dyn ExternalAuthorizer>>>);

impl Authorizers {
    pub(crate) fn insert(&mut self, provider: String, authorizer: impl ExternalAuthorizer) {
        Arc::make_mut(&mut self.0).insert(provider, Arc::new(authorizer));
    }

    pub(super) fn get(&self, provider: &str) -> Option<Arc<dyn ExternalAuthorizer>> {
        self.0.get(provider).cloned()
    }
}
