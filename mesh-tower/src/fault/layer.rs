use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mesh_core::Failure;
use mesh_core::route::{Fault as Policy, Share};
use tower_layer::Layer;

use super::Fault;
use crate::chance::Chance;

/// Injects faults.
#[derive(Clone, Debug, Default)]
pub struct FaultLayer {
    policy: Policy,
    chance: Arc<Chance>,
}

impl FaultLayer {
    /// No fault yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds `percent` (0 to 100) of the requests for `delay`.
    #[must_use]
    pub fn delay(self, percent: f64, delay: Duration) -> Self {
        Self { policy: self.policy.with_delay(Share::percent(percent), delay), ..self }
    }

    /// Answers `percent` (0 to 100) of the requests with a status instead of passing them on. There is
    /// one abort: a later one replaces it.
    #[must_use]
    pub fn abort(self, percent: f64, status: StatusCode) -> Self {
        Self { policy: self.policy.with_abort(Share::percent(percent), Failure::FaultAbort(status)), ..self }
    }

    /// The same with a gRPC status code, such as 14 for `UNAVAILABLE`.
    #[must_use]
    pub fn abort_grpc(self, percent: f64, code: i32) -> Self {
        Self { policy: self.policy.with_abort(Share::percent(percent), Failure::FaultAbortGrpc(code)), ..self }
    }

    /// Makes the draws reproducible, for tests.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { chance: Arc::new(Chance::new(Some(seed))), ..self }
    }
}

impl From<Policy> for FaultLayer {
    fn from(policy: Policy) -> Self {
        Self { policy, chance: Arc::default() }
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = Fault<S>;

    fn layer(&self, inner: S) -> Fault<S> {
        Fault::new(inner, self.policy, Arc::clone(&self.chance))
    }
}
