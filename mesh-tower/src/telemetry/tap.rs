//! Those who listen to what requests come to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_core::telemetry::Record;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// So many records are kept for a listener that is slow; the oldest go first.
pub const TAP_DEPTH: usize = 512;

/// Where listeners are told; without one it costs one relaxed load a request.
pub(crate) struct Taps {
    listeners: Arc<AtomicUsize>,
    /// Those of them who are told headers, too.
    of_headers: Arc<AtomicUsize>,
    ring: broadcast::Sender<Arc<Record>>,
}

impl Default for Taps {
    fn default() -> Self {
        Self { listeners: Arc::default(), of_headers: Arc::default(), ring: broadcast::Sender::new(TAP_DEPTH) }
    }
}

impl Taps {
    /// Whether anybody listens.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    /// Whether anybody is told headers.
    pub(crate) fn tells_headers(&self) -> bool {
        self.of_headers.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn listen(&self) -> Tap {
        let counts = [&self.listeners, &self.of_headers].map(Arc::clone);
        self.listen_as(counts.into())
    }

    /// One for whom no header needs to be kept.
    #[cfg(feature = "admin")]
    pub(crate) fn listen_without_headers(&self) -> Tap {
        self.listen_as(Box::new([Arc::clone(&self.listeners)]))
    }

    fn listen_as(&self, counts: Box<[Arc<AtomicUsize>]>) -> Tap {
        for count in &counts {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Tap { ring: self.ring.subscribe(), missed: 0, counts }
    }

    /// Tells who listens. Never waits: who is slow misses the oldest.
    pub(crate) fn tell(&self, record: Arc<Record>) {
        // Nobody listens any more.
        let _ = self.ring.send(record);
    }
}

impl fmt::Debug for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taps").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

/// Hears of each request that comes to its end, on either side, from now on; from [`Mesh::tap`](crate::Mesh::tap).
///
/// Requests do not wait for it: of a listener that is slow up to [`TAP_DEPTH`] records are kept, and it is told
/// [how many](Self::missed) it has missed. Requests that were under way when the first listener came are not told of.
pub struct Tap {
    ring: broadcast::Receiver<Arc<Record>>,
    missed: u64,
    /// Where it counts among listeners.
    counts: Box<[Arc<AtomicUsize>]>,
}

impl Tap {
    /// The next request that comes to its end; `None` once the mesh is gone.
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        loop {
            match self.ring.recv().await {
                Ok(record) => return Some(record),
                Err(RecvError::Lagged(missed)) => self.missed = self.missed.saturating_add(missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many this listener was too slow for.
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        for count in &self.counts {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("missed", &self.missed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Method;
    use mesh_core::telemetry::Side;

    use super::*;

    #[tokio::test]
    async fn a_slow_listener_misses_the_oldest_and_nobody_waits_for_it() {
        let taps = Taps::default();
        assert!(!taps.is_listened_to());
        let mut tap = taps.listen();
        for _ in 0..TAP_DEPTH + 10 {
            taps.tell(Arc::new(Record::new(Side::Client, SystemTime::UNIX_EPOCH, Method::GET)));
        }
        assert!(tap.next().await.is_some());
        assert_eq!(tap.missed(), 10);
        drop(tap);
        assert!(!taps.is_listened_to() && !taps.tells_headers());
    }
    #[cfg(feature = "admin")]
    #[test]
    fn headers_are_kept_for_who_is_told_them_only() {
        let taps = Taps::default();
        let bare = taps.listen_without_headers();
        assert!(taps.is_listened_to() && !taps.tells_headers());
        let whole = taps.listen();
        assert!(taps.tells_headers());
        drop(whole);
        assert!(taps.is_listened_to() && !taps.tells_headers());
        drop(bare);
        assert!(!taps.is_listened_to());
    }
}
