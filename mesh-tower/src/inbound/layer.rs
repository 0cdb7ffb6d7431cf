//! [`InboundLayer`].

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderName;
use tower_layer::Layer;

use super::Inbound;
use super::guard::Guard;
use crate::outbound::Shared;

/// Puts the server side of the mesh in front of a service; see the [module](super).
#[derive(Clone, Debug, Default)]
pub struct InboundLayer {
    carried: Arc<[HeaderName]>,
    guard: Option<Guard>,
}

impl InboundLayer {
    /// The layer without policies: it belongs to no mesh. [`Mesh::inbound`](crate::Mesh::inbound) gives one with them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names headers that calls made while handling a request carry on from it, beside the request id and the trace
    /// headers; they replace those named before. Istio leaves this to the application.
    #[must_use]
    pub fn carry(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self { carried: names.into_iter().collect(), ..self }
    }

    /// The address and port that policies see as ours (`ports`, `destination.port`, `destination.ip`, `portLevelMtls`).
    ///
    /// What is not said, or is 0 or `0.0.0.0`, is not known, and counts against the caller: a rule that lets in does not match
    /// by a condition on it, one that keeps out or asks a provider does; and of the modes of a PeerAuthentication the
    /// strictest of all ports counts. The log says so once. [`Mesh::serve`](crate::Mesh::serve) knows it by itself.
    #[must_use]
    pub fn at(self, address: SocketAddr) -> Self {
        Self { guard: self.guard.map(|guard| guard.at(address)), ..self }
    }

    /// Judges requests by the policies of a mesh.
    pub(crate) fn guarded(self, shared: Arc<Shared>) -> Self {
        Self { guard: Some(Guard::new(shared)), ..self }
    }
}

impl<S> Layer<S> for InboundLayer {
    type Service = Inbound<S>;

    fn layer(&self, inner: S) -> Inbound<S> {
        Inbound::new(inner, Arc::clone(&self.carried), self.guard.clone())
    }
}
