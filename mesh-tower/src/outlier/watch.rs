use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{EndpointAddress, EndpointSpec};
use mesh_core::outlier::{Detector, OutlierSpec};

/// A detector with the one endpoint that it watches.
#[derive(Debug)]
pub(super) struct Watch {
    detector: Detector,
    endpoint: Arc<EndpointState>,
}

/// Times in a policy are cut to this, so that adding them up stays within what a clock can say.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Watch {
    pub(super) fn new(policy: OutlierSpec) -> Self {
        let policy = OutlierSpec {
            max_ejection_percent: 100,
            interval: policy.interval.min(LONGEST),
            base_ejection: policy.base_ejection.min(LONGEST),
            ..policy
        };
        let nowhere = EndpointAddress::Socket(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let endpoint = Arc::new(EndpointState::new(EndpointSpec::at(nowhere)));
        let detector = Detector::new(policy, crate::clock::now());
        detector.set_hosts(std::slice::from_ref(&endpoint));
        Self { detector, endpoint }
    }

    /// Whether the endpoint is out now. Who asks drives the sweeps: an idle layer needs no task.
    pub(super) fn is_out(&self) -> bool {
        self.endpoint.is_ejected() && {
            self.sweep();
            self.endpoint.is_ejected()
        }
    }

    /// Counts what a call came to.
    pub(super) fn note(&self, outcome: &Outcome) {
        // Sweeps decide how long an ejection lasts, so those that are due come first.
        if !outcome.is_success() {
            self.sweep();
        }
        // Who answers was reached, which is all that can be told from here.
        if matches!(outcome, Outcome::Response { .. }) {
            self.detector.on_connected(&self.endpoint);
        }
        if let Some(ejection) = self.detector.on_outcome(crate::clock::now(), &self.endpoint, outcome) {
            tracing::warn!(%ejection, "service ejected");
        }
    }

    fn sweep(&self) {
        if !self.detector.on_tick(crate::clock::now()).is_empty() {
            tracing::info!("service back from ejection");
        }
    }
}
