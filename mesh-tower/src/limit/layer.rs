use std::sync::Arc;

use mesh_core::failure::Limit as Which;
use mesh_core::limits::{Limits, Permits};
use tower_layer::Layer;

use super::Limit;

/// Limits the requests that are under way at once.
#[derive(Clone, Debug)]
pub struct LimitLayer {
    permits: Arc<Permits>,
}

impl LimitLayer {
    /// Up to `most` requests at once; with 0 every request fails, with `u32::MAX` none does.
    pub fn new(most: u32) -> Self {
        Self { permits: Permits::new(Limits { requests: most, ..Limits::default() }) }
    }

    /// Requests under way, through all services of this layer.
    pub fn in_use(&self) -> u32 {
        self.permits.in_use(Which::Requests)
    }

    /// Requests that were turned away, through all services of this layer, since it was made.
    pub fn refused(&self) -> u64 {
        self.permits.refused(Which::Requests)
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit::new(inner, Arc::clone(&self.permits))
    }
}
