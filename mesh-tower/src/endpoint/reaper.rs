//! Closes connections that were idle for too long or are too old.
//!
//! One task sleeps until the first of them is due, and there is none while the pool is empty. It
//! spares requests a look at the clock, and an endpoint that gets no requests its connections.

use std::sync::Arc;
use std::time::Instant;

use mesh_core::cluster::PoolSpec;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::pool::Pool;

/// The sleeping task, if there is one.
#[derive(Debug, Default)]
pub(super) struct Reaper(Option<Asleep>);

#[derive(Debug)]
struct Asleep {
    until: Instant,
    task: AbortHandle,
}

/// How long a connection may last: from when, and until when the certificate of its server counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    born: Instant,
    certified_until: Option<Instant>,
}

impl Life {
    pub(super) fn begin(certified_until: Option<Instant>) -> Self {
        Self { born: crate::clock::now(), certified_until }
    }

    /// When it is over; `None` for never.
    fn end(&self, spec: &PoolSpec) -> Option<Instant> {
        let old = spec.max_connection_duration.and_then(|most| self.born.checked_add(most));
        old.into_iter().chain(self.certified_until).min()
    }

    pub(super) fn is_over(&self, spec: &PoolSpec, now: Instant) -> bool {
        self.end(spec).is_some_and(|end| end <= now)
    }
}

/// When a connection that is idle since then has to go; `None` for never.
pub(super) fn due(spec: &PoolSpec, life: Life, idle_since: Option<Instant>) -> Option<Instant> {
    let idle = idle_since.zip(spec.idle_timeout).and_then(|(since, most)| since.checked_add(most));
    idle.into_iter().chain(life.end(spec)).min()
}

impl Reaper {
    /// Makes sure that somebody wakes at `due` at the latest.
    pub(super) fn wake_by(&mut self, due: Instant, runtime: Option<&Handle>, pool: &Arc<Pool>) {
        // One that ended with its runtime will not wake.
        let is_asleep = |asleep: &Asleep| asleep.until <= due && !asleep.task.is_finished();
        if self.0.as_ref().is_some_and(is_asleep) {
            return;
        }
        self.stop();
        let Some(runtime) = runtime else { return };
        let pool = Arc::downgrade(pool);
        let task = runtime.spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            if let Some(pool) = pool.upgrade() {
                pool.reap();
            }
        });
        self.0 = Some(Asleep { until: due, task: task.abort_handle() });
    }

    /// Whoever slept is awake.
    pub(super) fn woke(&mut self) {
        self.0 = None;
    }

    pub(super) fn stop(&mut self) {
        if let Some(asleep) = self.0.take() {
            asleep.task.abort();
        }
    }
}
