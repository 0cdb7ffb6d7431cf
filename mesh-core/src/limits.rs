//! Limits of a cluster: how much may be under way at once.
//!
//! As Envoy's circuit breakers: per cluster, not per endpoint, and refused at once instead of
//! waited for.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

use crate::Failure;
use crate::failure::Limit;

/// The limits of a cluster; `u32::MAX` for none, which is what an unset field and 0 mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Connections (`tcp.maxConnections`).
    pub connections: u32,
    /// Requests that wait for a connection (`http.http1MaxPendingRequests`, HTTP/2 included).
    pub pending_requests: u32,
    /// Requests (`http.http2MaxRequests`, HTTP/1 included).
    pub requests: u32,
    /// Retries (`http.maxRetries`).
    pub retries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: u32::MAX, pending_requests: u32::MAX, requests: u32::MAX, retries: u32::MAX }
    }
}

/// What is in use of a cluster's limits, and how often each of them was in somebody's way.
#[derive(Debug)]
pub struct Permits {
    limits: Limits,
    connections: AtomicU32,
    pending_requests: AtomicU32,
    requests: AtomicU32,
    retries: AtomicU32,
    /// Refusals, in the order of [`Limit::ALL`].
    refused: [AtomicU64; Limit::ALL.len()],
}

impl Permits {
    /// Nothing in use.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            connections: AtomicU32::new(0),
            pending_requests: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            retries: AtomicU32::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
        })
    }

    /// Takes one, until the permit is dropped; counts a [refusal](Self::refused).
    ///
    /// # Errors
    /// [`Failure::Overflow`] if the limit is reached.
    pub fn try_acquire(self: &Arc<Self>, limit: Limit) -> Result<Permit, Failure> {
        self.try_acquire_below(limit, u32::MAX).inspect_err(|_| self.count_refusal(limit))
    }

    /// Counts that the limit, or something that stands in its place, was in somebody's way.
    pub fn count_refusal(&self, limit: Limit) {
        self.refused[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often the limit was in somebody's way: requests and retries that were refused, connections that
    /// were not opened. Envoy's `upstream_cx_overflow`, `upstream_rq_pending_overflow` (which takes requests
    /// and those that wait together) and `upstream_rq_retry_overflow`.
    pub fn refused(&self, limit: Limit) -> u64 {
        self.refused[limit as usize].load(Ordering::Relaxed)
    }

    /// Takes one where fewer than `most` are in use, and fewer than the limit. Counts nothing if there is none:
    /// there may be another way.
    ///
    /// # Errors
    /// [`Failure::Overflow`] if as many are in use.
    pub fn try_acquire_below(self: &Arc<Self>, limit: Limit, most: u32) -> Result<Permit, Failure> {
        let (counter, own) = self.of(limit);
        let most = most.min(own);
        if most == u32::MAX {
            return Ok(self.acquire_over_limit(limit));
        }
        // Look and count in one step: a refusal never shows, so it cannot cause another one.
        let free = |in_use: u32| (in_use < most).then(|| in_use + 1);
        match counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free) {
            Ok(_) => Ok(Permit { permits: Arc::clone(self), limit }),
            Err(_) => Err(Failure::Overflow(limit)),
        }
    }

    /// Takes one even over the limit: an endpoint may always have one connection.
    pub fn acquire_over_limit(self: &Arc<Self>, limit: Limit) -> Permit {
        self.of(limit).0.fetch_add(1, Ordering::Relaxed);
        Permit { permits: Arc::clone(self), limit }
    }

    /// How many are in use.
    pub fn in_use(&self, limit: Limit) -> u32 {
        self.of(limit).0.load(Ordering::Relaxed)
    }

    /// How many may be in use; `u32::MAX` for no limit.
    pub fn limit(&self, limit: Limit) -> u32 {
        self.of(limit).1
    }

    fn of(&self, limit: Limit) -> (&AtomicU32, u32) {
        match limit {
            Limit::Connections => (&self.connections, self.limits.connections),
            Limit::PendingRequests => (&self.pending_requests, self.limits.pending_requests),
            Limit::Requests => (&self.requests, self.limits.requests),
            Limit::Retries => (&self.retries, self.limits.retries),
        }
    }
}

/// One of a cluster's limits in use; free again when dropped.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    limit: Limit,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.of(self.limit).0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn permits(requests: u32) -> Arc<Permits> {
        Permits::new(Limits { requests, ..Limits::default() })
    }

    #[test]
    fn over_the_limit_is_an_overflow_that_names_it() {
        let permits = permits(1);
        let held = permits.try_acquire(Limit::Requests).unwrap();
        let refused = permits.try_acquire(Limit::Requests).unwrap_err();
        assert_eq!(refused, Failure::Overflow(Limit::Requests));
        assert_eq!(Limit::ALL.map(|limit| permits.refused(limit)), [0, 0, 1, 0]);
        drop(held);
        assert!(permits.try_acquire(Limit::Requests).is_ok());
        assert_eq!(permits.in_use(Limit::Requests), 0);
    }

    #[test]
    fn limits_of_one_kind_leave_the_others_alone() {
        let permits = permits(0);
        assert!(permits.try_acquire(Limit::Requests).is_err());
        assert!(permits.try_acquire(Limit::Connections).is_ok());
    }

    proptest! {
        #[test]
        fn permits_are_never_more_than_the_limit_and_always_come_back(limit in 0_u32..8, steps in prop::collection::vec(any::<bool>(), 0..200)) {
            let permits = permits(limit);
            let mut held = Vec::new();
            for acquire in steps {
                if acquire {
                    held.extend(permits.try_acquire(Limit::Requests).ok());
                } else {
                    held.pop();
                }
                prop_assert!(permits.in_use(Limit::Requests) <= limit);
                prop_assert_eq!(permits.in_use(Limit::Requests) as usize, held.len());
            }
            drop(held);
            prop_assert_eq!(permits.in_use(Limit::Requests), 0);
        }
    }

    #[test]
    fn threads_together_hold_no_more_than_the_limit() {
        let permits = permits(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let _held = permits.try_acquire(Limit::Requests);
                    }
                });
            }
        });
        assert_eq!(permits.in_use(Limit::Requests), 0);
    }
}
