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

    /// The address and port that policies see as ours.
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
