//! How many copies may be under way, and what became of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_core::failure::Limit;
use mesh_core::limits::{Limits, Permit, Permits};

use crate::body::replay::GivenUp;

/// Sends a copy, unless what it follows is not there any more: it would take its slot in vain.
pub(crate) async fn unless_given_up(given_up: Option<GivenUp>, delivering: impl Future<Output = ()>) {
    let Some(given_up) = given_up else { return delivering.await };
    tokio::select! {
        biased;
        () = delivering => {}
        () = given_up => tracing::debug!("mirrored request given up with the one that it is a copy of"),
    }
}

/// Copies at once unless set otherwise.
pub(crate) const MOST: u32 = 1_024;

/// Slots for copies, apart from the limits of what they are copies of.
#[derive(Debug)]
pub(crate) struct Slots {
    permits: Arc<Permits>,
    skipped: AtomicU64,
    cut: Arc<AtomicU64>,
}

impl Slots {
    pub(crate) fn new(most: u32) -> Self {
        let permits = Permits::new(Limits { requests: most, ..Limits::default() });
        Self { permits, skipped: AtomicU64::new(0), cut: Arc::default() }
    }

    /// The slot of a copy; `None`, and counted, if there are too many or no tokio runtime to run it.
    pub(crate) fn take(&self) -> Option<Permit> {
        let permit = self.permits.try_acquire(Limit::Requests).ok();
        if permit.is_none() || tokio::runtime::Handle::try_current().is_err() {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        permit
    }

    /// Copies under way.
    pub(crate) fn in_use(&self) -> u32 {
        self.permits.in_use(Limit::Requests)
    }

    /// Copies that were due and not sent.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Copies that were given up because they lay too far behind what they are copies of.
    pub(crate) fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// Counts those that are given up.
    pub(crate) fn cut_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.cut)
    }
}
