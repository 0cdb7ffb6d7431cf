//! What is known about one endpoint.

use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::OutlierSpec;

/// Counters and ejections of an endpoint.
#[derive(Debug, Default)]
pub struct Record {
    pub(super) errors: Consecutive,
    pub(super) gateway: Consecutive,
    pub(super) local: Consecutive,
    ejected: AtomicBool,
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    ejected_at: Option<Instant>,
    returned_at: Option<Instant>,
    /// How many base times the current or next ejection lasts.
    steps: u32,
}

impl Record {
    pub(crate) fn is_ejected(&self) -> bool {
        self.ejected.load(Ordering::Relaxed)
    }

    /// Ejects, one step longer than before as long as that does not exceed the maximum.
    pub(super) fn eject(&self, now: Instant, spec: &OutlierSpec) -> Duration {
        let mut history = self.history();
        history.ejected_at = Some(now);
        if spec.base_ejection * history.steps < spec.max_ejection() + spec.base_ejection {
            history.steps += 1;
        }
        self.ejected.store(true, Ordering::Relaxed);
        length(&history, spec)
    }

    /// How long an ejection lasts on.
    pub(super) fn left(&self, now: Instant, spec: &OutlierSpec) -> Option<Duration> {
        let history = self.history();
        let ejected_at = history.ejected_at.filter(|_| self.is_ejected())?;
        Some(length(&history, spec).saturating_sub(now.saturating_duration_since(ejected_at)))
    }

    /// Takes the endpoint back before its time is over; false where it is not ejected.
    pub(super) fn take_back(&self, now: Instant) -> bool {
        let mut history = self.history();
        let was_ejected = self.ejected.swap(false, Ordering::Relaxed);
        if was_ejected {
            history.returned_at = Some(now);
            for counter in [&self.errors, &self.gateway, &self.local] {
                counter.reset();
            }
        }
        was_ejected
    }

    /// Whether a sweep could change anything.
    pub(super) fn has_history(&self) -> bool {
        self.is_ejected() || self.history().steps > 0
    }

    /// One sweep; true if this takes the endpoint back.
    pub(super) fn sweep(&self, now: Instant, spec: &OutlierSpec) -> bool {
        let mut history = self.history();
        if let (true, Some(ejected_at)) = (self.is_ejected(), history.ejected_at) {
            if now.saturating_duration_since(ejected_at) < length(&history, spec) {
                return false;
            }
            history.returned_at = Some(now);
            self.ejected.store(false, Ordering::Relaxed);
            for counter in [&self.errors, &self.gateway, &self.local] {
                counter.reset();
            }
            return true;
        }
        if history.returned_at.is_some_and(|at| now.saturating_duration_since(at) >= spec.interval) {
            history.steps = history.steps.saturating_sub(1);
        }
        false
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn length(history: &History, spec: &OutlierSpec) -> Duration {
    (spec.base_ejection * history.steps).min(spec.max_ejection())
}

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Consecutive(AtomicU32);

impl Consecutive {
    /// One more; true if that makes `limit`, and then counting starts over. A limit of 0 is never
    /// reached.
    pub(super) fn count(&self, limit: u32) -> bool {
        let reached = self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1) == limit;
        if reached {
            self.reset();
        }
        reached
    }

    pub(super) fn reset(&self) {
        // Most requests succeed: a shared cache line is only written where there is something to write.
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}
