//! How many retries a cluster may have under way, so that retrying does not make an outage worse.

use crate::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Profile;
use crate::cluster::ClusterSpec;
use crate::failure::Limit;
use crate::limits::{Permit, Permits};

/// `retryBudget` of a traffic policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetSpec {
    /// Share of the active requests, in percent; 20 unless set.
    pub percent: f64,
    /// Retries that are always allowed; 3 unless set.
    pub min_concurrency: u32,
}

/// Decides whether one more retry may be under way.
#[derive(Debug)]
pub struct RetryBudget {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Only `maxRetries` counts.
    Unlimited,
    /// What the configuration says; replaces `maxRetries`.
    Configured(BudgetSpec),
    /// Where nothing is said, under [`Profile::Safe`].
    Safe(Bucket),
}

/// Share of the active requests that may be retries where nothing is said, in percent.
const SAFE_PERCENT: u32 = 20;
/// Retries a second that are allowed on top.
const SAFE_PER_SECOND: u32 = 10;

impl RetryBudget {
    /// The budget of a cluster. One that limits retries itself gets no other limit.
    pub fn new(spec: &ClusterSpec, profile: Profile, now: Instant) -> Self {
        let kind = match spec.budget {
            Some(budget) => Kind::Configured(budget),
            None if profile == Profile::Safe && spec.limits.retries == u32::MAX => return Self::safe(now),
            None => Kind::Unlimited,
        };
        Self { kind }
    }

    /// The budget where nothing is said, under [`Profile::Safe`]: a fifth of the active requests, and
    /// ten a second on top.
    pub fn safe(now: Instant) -> Self {
        Self { kind: Kind::Safe(Bucket::new(now)) }
    }

    /// A budget given by hand.
    pub fn configured(spec: BudgetSpec) -> Self {
        Self { kind: Kind::Configured(spec) }
    }

    /// No budget: only what [`Limits::retries`](crate::limits::Limits::retries) says.
    pub fn unlimited() -> Self {
        Self { kind: Kind::Unlimited }
    }

    /// A slot for one more retry, to be held while that try lasts; `None` if it may not begin now,
    /// by this budget or by the limit of retries, which is [counted](Permits::refused).
    pub fn try_acquire(&self, now: Instant, permits: &Arc<Permits>) -> Option<Permit> {
        let below = |most| permits.try_acquire_below(Limit::Retries, most).ok();
        let slot = match &self.kind {
            Kind::Unlimited => below(u32::MAX),
            Kind::Configured(spec) => below(spec.share_of(active(permits))),
            Kind::Safe(bucket) => below(safe_share(active(permits))).or_else(|| {
                let has_room = permits.in_use(Limit::Retries) < permits.limit(Limit::Retries);
                (has_room && bucket.take(now)).then(|| below(u32::MAX)).flatten()
            }),
        };
        if slot.is_none() {
            permits.count_refusal(Limit::Retries);
        }
        slot
    }
}

/// Requests under way, and those that wait for a connection.
fn active(permits: &Permits) -> u32 {
    permits.in_use(Limit::Requests).saturating_add(permits.in_use(Limit::PendingRequests))
}

impl BudgetSpec {
    /// How many retries so many requests allow: the share is rounded down, as in Envoy.
    fn share_of(&self, active: u32) -> u32 {
        // Not negative, and a number that is too large is cut to the largest there is.
        let share = (f64::from(active) * self.percent / 100.0) as u32;
        share.max(self.min_concurrency)
    }
}

/// How many retries so many requests allow where nothing is said; a part of one allows one.
fn safe_share(active: u32) -> u32 {
    u32::try_from((u64::from(active) * u64::from(SAFE_PERCENT)).div_ceil(100)).unwrap_or(u32::MAX)
}

/// A token bucket that holds one second's worth, kept as the moment at which it would be full again.
#[derive(Debug)]
struct Bucket {
    epoch: Instant,
    full_at: AtomicU64,
}

const PER_TOKEN: u64 = 1_000_000 / SAFE_PER_SECOND as u64;

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { epoch: now, full_at: AtomicU64::new(0) }
    }

    fn take(&self, now: Instant) -> bool {
        let now = micros(now.saturating_duration_since(self.epoch));
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let full_at = full_at.max(now) + PER_TOKEN;
                (full_at - now <= PER_TOKEN * u64::from(SAFE_PER_SECOND)).then_some(full_at)
            })
            .is_ok()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ClusterKey, EndpointSource};
    use crate::limits::Limits;

    fn spec(budget: Option<BudgetSpec>, retries: u32) -> ClusterSpec {
        let mut spec = ClusterSpec::new(ClusterKey::outbound(80, "", "a"), EndpointSource::Static(Vec::new()));
        spec.budget = budget;
        spec.limits = Limits { retries, ..Limits::default() };
        spec
    }

    #[test]
    fn ten_a_second_are_allowed_without_traffic() {
        let now = Instant::now();
        let budget = RetryBudget::new(&spec(None, u32::MAX), Profile::Safe, now);
        let permits = Permits::new(Limits::default());
        // Each is over before the next one begins.
        let allowed = |at| (0..100).filter(|_| budget.try_acquire(at, &permits).is_some()).count();
        assert_eq!(allowed(now), 10);
        assert_eq!(allowed(now + Duration::from_millis(500)), 5);
        assert_eq!(allowed(now + Duration::from_secs(60)), 10);
    }

    #[test]
    fn a_fifth_of_the_active_requests_may_be_retries() {
        let now = Instant::now();
        let budget = RetryBudget::new(&spec(None, u32::MAX), Profile::Safe, now);
        let permits = Permits::new(Limits::default());
        let _active: Vec<_> = (0..100).map(|_| permits.try_acquire(Limit::Requests).unwrap()).collect();
        let mut retries = Vec::new();
        retries.extend(std::iter::from_fn(|| budget.try_acquire(now, &permits)));
        // 20 by share, then the 10 of the first second.
        assert_eq!(retries.len(), 30);
    }

    #[test]
    fn a_configured_budget_counts_alone() {
        let now = Instant::now();
        let spec = spec(Some(BudgetSpec { percent: 50.0, min_concurrency: 3 }), u32::MAX);
        let budget = RetryBudget::new(&spec, Profile::Safe, now);
        let permits = Permits::new(Limits::default());
        let mut held = Vec::new();
        held.extend(std::iter::from_fn(|| budget.try_acquire(now, &permits)));
        assert_eq!(held.len(), 3);
        let _active: Vec<_> = (0..20).map(|_| permits.try_acquire(Limit::Requests).unwrap()).collect();
        held.extend(std::iter::from_fn(|| budget.try_acquire(now, &permits)));
        assert_eq!(held.len(), 10);
        let _one_more = permits.try_acquire(Limit::Requests).unwrap();
        // Half of 21 is rounded down.
        assert!(budget.try_acquire(now, &permits).is_none());
    }

    #[test]
    fn a_slot_is_counted_while_it_is_held_and_never_beyond_the_limit_of_retries() {
        let now = Instant::now();
        let permits = Permits::new(Limits { retries: 2, ..Limits::default() });
        let budget = RetryBudget::unlimited();
        let held: Vec<_> = (0..5).filter_map(|_| budget.try_acquire(now, &permits)).collect();
        assert_eq!((held.len(), permits.in_use(Limit::Retries)), (2, 2));
        drop(held);
        assert_eq!(permits.in_use(Limit::Retries), 0);
        let nothing = RetryBudget::configured(BudgetSpec { percent: 0.0, min_concurrency: 0 });
        assert!(nothing.try_acquire(now, &permits).is_none());
    }

    #[test]
    fn istio_sets_no_budget_and_neither_do_we_where_max_retries_is_set() {
        let now = Instant::now();
        let permits = Permits::new(Limits::default());
        for budget in [
            RetryBudget::new(&spec(None, u32::MAX), Profile::Istio, now),
            RetryBudget::new(&spec(None, 7), Profile::Safe, now),
        ] {
            assert!((0..1_000).all(|_| budget.try_acquire(now, &permits).is_some()));
        }
    }
}
