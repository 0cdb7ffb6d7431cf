use std::sync::Arc;

use mesh_core::limits::{Limits, Permits};
use mesh_core::retry::RetryPolicy;
use mesh_core::retry::budget::{BudgetSpec, RetryBudget};
use tower_layer::Layer;

use super::Retry;
use crate::chance::Chance;

/// Tries requests again.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    shared: Arc<Shared>,
}

/// What the requests of a layer have in common. Copies share what is counted.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) policy: RetryPolicy,
    pub(super) max_replay: usize,
    pub(super) budget: Arc<RetryBudget>,
    /// Nothing is limited here; it counts requests and retries for the budget.
    pub(super) permits: Arc<Permits>,
    pub(super) chance: Arc<Chance>,
}

impl RetryLayer {
    /// By a policy, such as [`RetryPolicy::new`] makes.
    pub fn new(policy: RetryPolicy) -> Self {
        Self {
            shared: Arc::new(Shared {
                policy,
                max_replay: 64 * 1024,
                budget: Arc::new(RetryBudget::safe(crate::clock::now())),
                permits: Permits::new(Limits::default()),
                chance: Arc::default(),
            }),
        }
    }

    /// How many bytes of a body are kept for another try; 64 KiB unless set.
    #[must_use]
    pub fn max_replay(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.shared).max_replay = bytes;
        self
    }

    /// Another budget.
    #[must_use]
    pub fn budget(mut self, budget: BudgetSpec) -> Self {
        Arc::make_mut(&mut self.shared).budget = Arc::new(RetryBudget::configured(budget));
        self
    }

    /// Retries as the policy says, however many that makes together: what Istio does unless told
    /// otherwise.
    #[must_use]
    pub fn without_budget(mut self) -> Self {
        Arc::make_mut(&mut self.shared).budget = Arc::new(RetryBudget::unlimited());
        self
    }

    /// Makes the pauses reproducible, for tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        Arc::make_mut(&mut self.shared).chance = Arc::new(Chance::new(Some(seed)));
        self
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry::new(inner, Arc::clone(&self.shared))
    }
}
