//! Tells of requests and retries that a limit of the cluster turned away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mesh_core::failure::Limit;

use super::ClusterHandle;

/// When it was last said aloud of each limit, in milliseconds since the cluster began, and one; 0 for never.
#[derive(Debug, Default)]
pub(super) struct Refusals([AtomicU64; Limit::ALL.len()]);

/// At most one warning of a limit in so many milliseconds: what is turned away comes in crowds.
const PAUSE: u64 = 1_000;

impl Refusals {
    /// Whether it is time to say it aloud again.
    fn is_due(&self, limit: Limit, epoch: Instant, now: Instant) -> bool {
        let now = u64::try_from(now.saturating_duration_since(epoch).as_millis()).unwrap_or(u64::MAX - 1) + 1;
        let last = &self.0[limit as usize];
        let said = last.load(Ordering::Relaxed);
        (said == 0 || now >= said.saturating_add(PAUSE))
            && last.compare_exchange(said, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl ClusterHandle {
    /// Logs that a request or a retry was turned away: with which limit, its value, and how many there have been.
    /// One a second as a warning, the others for those who look closer.
    pub(crate) fn note_refusal(&self, limit: Limit) {
        let shared = &self.shared;
        let permits = &shared.permits;
        let (cluster, field, refused) = (&self.spec.name, limit.field(), permits.refused(limit));
        let value = Some(permits.limit(limit)).filter(|value| *value != u32::MAX);
        // It stands in the place of the limit of retries.
        let budget = Some(&shared.budget).filter(|budget| limit == Limit::Retries && budget.is_limited());
        let budget = budget.map(tracing::field::display);
        if shared.refusals.is_due(limit, shared.epoch, crate::clock::now()) {
            tracing::warn!(%cluster, limit = field, value, budget, refused, "over the limit");
        } else {
            tracing::debug!(%cluster, limit = field, value, budget, refused, "over the limit");
        }
    }

    /// Counts a retry that was left out, since the request's body was too long to be kept.
    pub(crate) fn count_skipped_retry(&self) {
        self.shared.skipped_retries.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_limit_is_warned_of_once_a_second() {
        let (refusals, epoch) = (Refusals::default(), Instant::now());
        let due = |limit, ms| refusals.is_due(limit, epoch, epoch + Duration::from_millis(ms));
        assert!(due(Limit::Requests, 0) && !due(Limit::Requests, 999) && due(Limit::Retries, 999));
        assert!(due(Limit::Requests, 1_000) && !due(Limit::Requests, 1_001));
    }
}
