//! How late any timer of the runtime is at the moment.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A task that sleeps for a millisecond at a time, and notes how much longer it took. What makes it late, such as a busy
/// machine, makes every timer late, and no mesh can be held to more than that.
pub(crate) struct Lag {
    noted: Arc<Mutex<Vec<Duration>>>,
    task: AbortHandle,
}

impl Lag {
    pub(crate) fn watch() -> Self {
        let noted: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let notes = Arc::clone(&noted);
        let task = tokio::spawn(async move {
            loop {
                let due = Instant::now() + Duration::from_millis(1);
                tokio::time::sleep_until(due).await;
                notes.lock().unwrap().push(due.elapsed());
            }
        });
        Self { noted, task: task.abort_handle() }
    }

    /// That share of the timers was no later.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut all = self.noted.lock().unwrap().clone();
        all.sort_unstable();
        all.get((all.len() * percent / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.task.abort();
    }
}
