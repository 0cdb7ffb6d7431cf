use std::sync::Arc;

use mesh_core::outlier::OutlierSpec;
use tower_layer::Layer;

use super::Outlier;
use super::watch::Watch;

/// Watches a service and leaves it alone while it is out.
#[derive(Clone, Debug)]
pub struct OutlierLayer {
    watch: Arc<Watch>,
}

impl OutlierLayer {
    /// With a policy given by hand.
    ///
    /// `max_ejection_percent` and `min_health_percent` do not count: there is one endpoint, and it may
    /// be ejected. With `split_local_origin` every answer counts as a connection that was made.
    pub fn new(policy: OutlierSpec) -> Self {
        Self { watch: Arc::new(Watch::new(policy)) }
    }

    /// Out after `errors` answers of 500 or more in a row, errors of the service included; the rest as
    /// Istio's defaults (out for 30 s, sweeps every 10 s). 0 for never.
    pub fn consecutive_5xx(errors: u32) -> Self {
        Self::new(OutlierSpec { consecutive_5xx: errors, ..OutlierSpec::default() })
    }

    /// Whether the service is out now.
    pub fn is_ejected(&self) -> bool {
        self.watch.is_out()
    }
}

impl<S> Layer<S> for OutlierLayer {
    type Service = Outlier<S>;

    fn layer(&self, inner: S) -> Outlier<S> {
        Outlier::new(inner, Arc::clone(&self.watch))
    }
}
