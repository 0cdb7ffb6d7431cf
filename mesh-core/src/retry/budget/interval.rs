//! How many tries began within the last interval.

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU64, Ordering};

/// So many parts of the interval are counted apart: a try is forgotten up to one part early.
const PARTS: u64 = 64;
/// Shorter parts, of intervals that are shorter than 64 ms, would tell nothing more. Their numbers, of 40 bits, last for
/// decades.
const SHORTEST: Duration = Duration::from_millis(1);
/// The bits of a count.
const BITS: u32 = 24;
const MOST: u64 = (1 << BITS) - 1;

/// Counts what began, by parts of the interval.
#[derive(Debug)]
pub(super) struct Begun {
    epoch: Instant,
    /// Of a part, in nanoseconds.
    length: u64,
    /// Each the number of a part since the epoch, and how many began in it.
    parts: Box<[AtomicU64]>,
}

impl Begun {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        let length = (nanos(interval) / PARTS).max(nanos(SHORTEST));
        Self { epoch: now, length, parts: (0..PARTS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Counts one that begins.
    pub(super) fn count(&self, now: Instant) {
        let part = self.part(now);
        let counted = |stored: u64| {
            let (number, begun) = split(stored);
            // A late one does not undo what others have begun to count.
            if number > part {
                return None;
            }
            let begun = if number == part { (begun + 1).min(MOST) } else { 1 };
            Some(part << BITS | begun)
        };
        let place = &self.parts[(part % PARTS) as usize];
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    /// How many began within the interval that ends now.
    pub(super) fn tries(&self, now: Instant) -> u32 {
        let part = self.part(now);
        let counts = |place: &AtomicU64| {
            let (number, begun) = split(place.load(Ordering::Relaxed));
            if number <= part && part - number < PARTS { begun } else { 0 }
        };
        u32::try_from(self.parts.iter().map(counts).sum::<u64>()).unwrap_or(u32::MAX)
    }

    fn part(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.epoch)) / self.length
    }
}

fn split(stored: u64) -> (u64, u64) {
    (stored >> BITS, stored & MOST)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
