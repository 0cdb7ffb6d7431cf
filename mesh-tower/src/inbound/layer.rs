//! [`InboundLayer`].

use std::sync::Arc;

use http::HeaderName;
use tower_layer::Layer;

use super::Inbound;

/// Puts the server side of the mesh in front of a service; see the [module](super).
#[derive(Clone, Debug, Default)]
pub struct InboundLayer {
    carried: Arc<[HeaderName]>,
}

impl InboundLayer {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names headers that calls made while handling a request carry on from it, beside the request id and the trace
    /// headers; they replace those named before. Istio leaves this to the application.
    #[must_use]
    pub fn carry(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self { carried: names.into_iter().collect() }
    }
}

impl<S> Layer<S> for InboundLayer {
    type Service = Inbound<S>;

    fn layer(&self, inner: S) -> Inbound<S> {
        Inbound::new(inner, Arc::clone(&self.carried))
    }
}
