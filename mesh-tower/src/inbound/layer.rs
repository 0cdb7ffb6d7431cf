//! [`InboundLayer`].

use tower_layer::Layer;

use super::Inbound;

/// Puts the server side of the mesh in front of a service; see the [module](super).
#[derive(Clone, Debug, Default)]
pub struct InboundLayer(());

impl InboundLayer {
    /// The layer.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for InboundLayer {
    type Service = Inbound<S>;

    fn layer(&self, inner: S) -> Inbound<S> {
        Inbound::new(inner)
    }
}
