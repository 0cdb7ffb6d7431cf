//! The budget where nothing is said: a token for every fifth request, and ten a second.

use std::fmt;
use std::time::Instant;

use crate::sync::atomic::{AtomicI64, Ordering};

/// Retries that a second allows, whatever the traffic.
const PER_SECOND: i64 = 10;
/// So many requests allow one more.
const REQUESTS: i64 = 5;
const MICROS_PER_TOKEN: i64 = 1_000_000 / PER_SECOND;

/// A token bucket, kept as the moment at which it would be full again: a token is a tenth of a second, and every
/// request moves that moment back by a part of one. So counting a request is one addition and needs no clock.
#[derive(Debug)]
pub(super) struct Bucket {
    epoch: Instant,
    /// Microseconds since the epoch.
    full_at: AtomicI64,
}

impl Bucket {
    pub(super) fn new(now: Instant) -> Self {
        Self { epoch: now, full_at: AtomicI64::new(0) }
    }

    /// Counts a request.
    pub(super) fn add(&self) {
        self.full_at.fetch_sub(MICROS_PER_TOKEN / REQUESTS, Ordering::Relaxed);
    }

    /// Takes a token for a retry while so many requests are active.
    pub(super) fn take(&self, now: Instant, active: u32) -> bool {
        let now = i64::try_from(now.saturating_duration_since(self.epoch).as_micros()).unwrap_or(i64::MAX / 2);
        // Where many requests fail together, as many of them as their number allows are tried again at once.
        let kept = MICROS_PER_TOKEN * (i64::from(active) / REQUESTS);
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let full_at = full_at.max(now - kept) + MICROS_PER_TOKEN;
                (full_at - now <= MICROS_PER_TOKEN * PER_SECOND).then_some(full_at)
            })
            .is_ok()
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one retry for {REQUESTS} requests, and {PER_SECOND} a second")
    }
}
