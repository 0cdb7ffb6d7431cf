//! The pause before a retry: exponential, with full jitter.

use std::time::Duration;

use crate::Rng;

/// Before retry N (from 1) a pause anywhere in `0..min(2^(N-1) * base, max)`, as Envoy draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// 25 ms unless set.
    pub base: Duration,
    /// Ten times the base.
    pub max: Duration,
}

impl Backoff {
    /// From `retries.backoff`.
    pub fn from_base(base: Option<Duration>) -> Self {
        let base = base.filter(|base| !base.is_zero()).unwrap_or(Duration::from_millis(25));
        Self { base, max: base.saturating_mul(10) }
    }

    /// The pause before a retry, counted from 1.
    pub fn pause(&self, retry: u32, rng: &mut dyn Rng) -> Duration {
        let below = self.longest(retry);
        Duration::from_nanos(rng.below(u64::try_from(below.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// What the pause before a retry stays below.
    pub fn longest(&self, retry: u32) -> Duration {
        let factor = 1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SplitMix64;

    #[test]
    fn the_bound_doubles_up_to_ten_times_the_base() {
        let backoff = Backoff::from_base(None);
        let mut rng = SplitMix64::new(5);
        for (retry, bound) in [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (60, 250)] {
            let longest = (0..5_000).map(|_| backoff.pause(retry, &mut rng)).max().unwrap();
            let bound = Duration::from_millis(bound);
            assert!(longest < bound && longest > bound.mul_f64(0.99), "{retry} {longest:?}");
        }
    }

    proptest! {
        #[test]
        fn no_pause_is_over_the_maximum(base in 0_u64..100_000, retry in 0_u32..u32::MAX, seed in any::<u64>()) {
            let backoff = Backoff::from_base(Some(Duration::from_millis(base)));
            prop_assert!(backoff.pause(retry, &mut SplitMix64::new(seed)) < backoff.max);
        }
    }
}
