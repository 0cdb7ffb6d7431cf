//! How many retries a cluster may have under way, so that retrying does not make an outage worse.

mod bucket;
mod interval;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Profile;
use crate::cluster::ClusterSpec;
use crate::failure::Limit;
use crate::limits::{Permit, Permits};

use self::bucket::Bucket;
use self::interval::Begun;

/// `retryBudget` of a traffic policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetSpec {
    /// Share of the active requests, in percent; 20 unless set.
    pub percent: f64,
    /// Retries that are always allowed; 3 unless set.
    pub min_concurrency: u32,
    /// In place of the active requests the share is of all tries that began within this time (`budgetInterval`).
    pub interval: Option<Duration>,
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
    /// The same with an interval.
    OfInterval(BudgetSpec, Begun),
    /// Where nothing is said, under [`Profile::Safe`].
    Safe(Bucket),
}

impl RetryBudget {
    /// The budget of a cluster. One that limits retries itself gets no other limit.
    pub fn new(spec: &ClusterSpec, profile: Profile, now: Instant) -> Self {
        let kind = match spec.budget {
            Some(budget) => return Self::configured(budget, now),
            None if profile == Profile::Safe && spec.limits.retries == u32::MAX => return Self::safe(now),
            None => Kind::Unlimited,
        };
        Self { kind }
    }

    /// The budget where nothing is said, under [`Profile::Safe`]: a retry for every fifth request, and ten a second on
    /// top, so that an outage costs those behind a fifth more than the traffic itself. What was not needed is kept for
    /// a second of the ten, and for a fifth of the requests that are active together.
    pub fn safe(now: Instant) -> Self {
        Self { kind: Kind::Safe(Bucket::new(now)) }
    }

    /// A budget given by hand.
    pub fn configured(spec: BudgetSpec, now: Instant) -> Self {
        let kind = match spec.interval.filter(|interval| !interval.is_zero()) {
            Some(interval) => Kind::OfInterval(spec, Begun::new(interval, now)),
            None => Kind::Configured(spec),
        };
        Self { kind }
    }

    /// No budget: only what [`Limits::retries`](crate::limits::Limits::retries) says.
    pub fn unlimited() -> Self {
        Self { kind: Kind::Unlimited }
    }

    /// Counts a request, before its first try.
    pub fn begin(&self, now: Instant) {
        match &self.kind {
            Kind::Safe(bucket) => bucket.add(),
            Kind::OfInterval(_, begun) => begun.count(now),
            Kind::Unlimited | Kind::Configured(_) => {}
        }
    }

    /// Whether there is one.
    pub fn is_limited(&self) -> bool {
        !matches!(self.kind, Kind::Unlimited)
    }

    /// A slot for one more retry, to be held while that try lasts; `None` if it may not begin now,
    /// by this budget or by the limit of retries, which is [counted](Permits::refused).
    pub fn try_acquire(&self, now: Instant, permits: &Arc<Permits>) -> Option<Permit> {
        let below = |most| permits.try_acquire_below(Limit::Retries, most).ok();
        let slot = match &self.kind {
            Kind::Unlimited => below(u32::MAX),
            Kind::Configured(spec) => below(spec.share_of(active(permits))),
            Kind::OfInterval(spec, begun) => below(spec.share_of(begun.tries(now))).inspect(|_| begun.count(now)),
            Kind::Safe(bucket) => {
                let has_room = permits.in_use(Limit::Retries) < permits.limit(Limit::Retries);
                (has_room && bucket.take(now, active(permits))).then(|| below(u32::MAX)).flatten()
            }
        };
        if slot.is_none() {
            permits.count_refusal(Limit::Retries);
        }
        slot
    }
}

/// In the words of an explanation.
impl fmt::Display for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unlimited => f.write_str("none"),
            Kind::Configured(spec) | Kind::OfInterval(spec, _) => spec.fmt(f),
            Kind::Safe(bucket) => bucket.fmt(f),
        }
    }
}

impl fmt::Display for BudgetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { percent, min_concurrency, interval } = self;
        match interval {
            None => write!(f, "{percent} % of the active requests, at least {min_concurrency}"),
            Some(interval) => {
                write!(f, "{percent} % of the tries of the last {interval:?}, at least {min_concurrency}")
            }
        }
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
    fn every_fifth_request_allows_a_retry_also_for_a_caller_that_sends_one_after_the_other() {
        let now = Instant::now();
        let budget = RetryBudget::new(&spec(None, u32::MAX), Profile::Safe, now);
        let permits = Permits::new(Limits::default());
        let mut allowed = 0;
        for _ in 0..1_000 {
            budget.begin(now);
            let _request = permits.try_acquire(Limit::Requests).unwrap();
            allowed += usize::from(budget.try_acquire(now, &permits).is_some());
        }
        // The first found the bucket full.
        assert_eq!(allowed, 10 + 999 / 5);
    }

    #[test]
    fn what_was_not_needed_is_kept_for_a_fifth_of_those_that_fail_together() {
        let now = Instant::now();
        let budget = RetryBudget::new(&spec(None, u32::MAX), Profile::Safe, now);
        let permits = Permits::new(Limits::default());
        // Long quiet, and much that went well.
        (0..10_000).for_each(|_| budget.begin(now));
        let now = now + Duration::from_secs(60);
        let _active: Vec<_> = (0..100).map(|_| permits.try_acquire(Limit::Requests).unwrap()).collect();
        let mut retries = Vec::new();
        retries.extend(std::iter::from_fn(|| budget.try_acquire(now, &permits)));
        // The 10 of the last second, and 20 for the 100 requests.
        assert_eq!(retries.len(), 30);
    }

    proptest::proptest! {
        #[test]
        fn no_stretch_of_time_has_more_retries_than_a_fifth_of_its_requests_and_ten_a_second(
            seed: u64, active in 0_u32..200, share in 1_u64..10,
        ) {
            let begin = Instant::now();
            let budget = RetryBudget::safe(begin);
            let permits = Permits::new(Limits::default());
            let _active: Vec<_> = (0..active).map(|_| permits.try_acquire(Limit::Requests).unwrap()).collect();
            let mut rng = crate::SplitMix64::new(seed);
            // What happened, with the milliseconds at which it did.
            let (mut requests, mut retries) = (Vec::new(), Vec::new());
            let mut ms = 0;
            for _ in 0..120 {
                ms += crate::Rng::below(&mut rng, 40);
                if crate::Rng::below(&mut rng, 10) < share {
                    budget.begin(begin);
                    requests.push(ms);
                } else if budget.try_acquire(begin + Duration::from_millis(ms), &permits).is_some() {
                    retries.push(ms);
                }
            }
            for (index, from) in retries.iter().enumerate() {
                for (more, to) in retries[index..].iter().enumerate() {
                    let within = requests.iter().filter(|at| (from..=to).contains(at)).count();
                    // What may be kept from before comes on top.
                    let most = within as f64 / 5.0 + (to - from) as f64 / 100.0 + 10.0 + f64::from(active / 5) + 1.0;
                    proptest::prop_assert!((more + 1) as f64 <= most, "{} retries from {from} to {to} ms", more + 1);
                }
            }
        }
    }

    #[test]
    fn a_configured_budget_counts_alone() {
        let now = Instant::now();
        let spec = spec(Some(BudgetSpec { percent: 50.0, min_concurrency: 3, interval: None }), u32::MAX);
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

    /// As a real Envoy does it with 20 % of 4 s and at least one.
    #[test]
    fn with_an_interval_the_tries_that_began_in_it_count_and_not_the_active_requests() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let interval = Some(Duration::from_secs(4));
        let allowed = |begun: &[(u64, u32)], now| {
            let spec = BudgetSpec { percent: 20.0, min_concurrency: 1, interval };
            let budget = RetryBudget::configured(spec, begin);
            let permits = Permits::new(Limits::default());
            let _active: Vec<_> = (0..60).map(|_| permits.try_acquire(Limit::Requests).unwrap()).collect();
            for (ms, requests) in begun {
                (0..*requests).for_each(|_| budget.begin(at(*ms)));
            }
            let mut held = Vec::new();
            held.extend(std::iter::from_fn(|| budget.try_acquire(at(now), &permits)));
            held.len()
        };
        assert_eq!(allowed(&[(0, 30)], 1_000), 7);
        assert_eq!(allowed(&[(0, 50), (100, 30)], 1_100), 19);
        assert_eq!(allowed(&[(0, 10)], 1_000), 2);
        assert_eq!(allowed(&[(0, 10), (1_000, 2), (2_000, 10)], 3_000), 5);
        assert_eq!(allowed(&[(0, 100), (3_300, 10)], 4_300), 2);
        assert_eq!(allowed(&[(0, 50), (1_500, 50), (3_400, 30)], 4_400), 19);
        assert_eq!(allowed(&[(0, 100)], 100_000), 1);
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
        let nothing = RetryBudget::configured(BudgetSpec { percent: 0.0, min_concurrency: 0, interval: None }, now);
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
