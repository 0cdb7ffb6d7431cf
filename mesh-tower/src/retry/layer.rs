use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_core::failure::Limit;
use mesh_core::limits::{Limits, Permits};
use mesh_core::retry::RetryPolicy;
use mesh_core::retry::budget::{BudgetSpec, RetryBudget};
use tower_layer::Layer;

use super::Retry;
use crate::BoxError;
use crate::chance::Chance;
use crate::layers::IsUnsent;

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
    pub(super) is_unsent: IsUnsent,
    /// Retries that were left out, since the body was too long; shared by all copies.
    pub(super) skipped: Arc<AtomicU64>,
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
                is_unsent: |_| false,
                skipped: Arc::default(),
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
        Arc::make_mut(&mut self.shared).budget = Arc::new(RetryBudget::configured(budget, crate::clock::now()));
        self
    }

    /// Retries as the policy says, however many that makes together: what Istio does unless told
    /// otherwise.
    #[must_use]
    pub fn without_budget(mut self) -> Self {
        Arc::make_mut(&mut self.shared).budget = Arc::new(RetryBudget::unlimited());
        self
    }

    /// Which errors of the service inside come before anything of a request was sent: `connect-failure` is for them,
    /// and nothing speaks against another try. None unless set, since a refused connection may be one that the
    /// service opened on the way, after it had done what it was asked for. Errors of this crate say it themselves.
    ///
    /// ```
    /// use std::io::{Error, ErrorKind};
    ///
    /// use mesh_tower::mesh_core::retry::RetryPolicy;
    /// use mesh_tower::retry::RetryLayer;
    ///
    /// // Around a client that connects and sends, and does nothing else.
    /// fn is_refused(error: &Error) -> bool {
    ///     error.kind() == ErrorKind::ConnectionRefused
    /// }
    /// let retries = RetryLayer::new(RetryPolicy::new(2, "connect-failure"));
    /// let retries = retries.unsent(|error| error.downcast_ref::<Error>().is_some_and(is_refused));
    /// ```
    #[must_use]
    pub fn unsent(mut self, is_unsent: fn(&BoxError) -> bool) -> Self {
        Arc::make_mut(&mut self.shared).is_unsent = is_unsent;
        self
    }

    /// Retries that the policy asked for but the request's body, too long to be kept, did not allow.
    pub fn skipped(&self) -> u64 {
        self.shared.skipped.load(Ordering::Relaxed)
    }

    /// Retries that the budget did not allow.
    pub fn refused(&self) -> u64 {
        self.shared.permits.refused(Limit::Retries)
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
