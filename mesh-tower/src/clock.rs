//! The clocks of this crate.
//!
//! Time is tokio's, so that a test that pauses it moves everything: timeouts, ejections and ages of
//! connections follow one clock.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// The time that durations are measured by.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of day, for dates that others read.
#[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The time of day by which tokens are judged: that of the system, unless a test says otherwise.
#[derive(Clone, Default)]
pub(crate) struct WallClock(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl WallClock {
    pub(crate) fn of(clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(clock)))
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.0.as_ref().map_or_else(wall, |clock| clock())
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WallClock").field(&self.now()).finish()
    }
}

/// Whether time stands still unless a test moves it.
#[cfg(feature = "testing")]
#[expect(clippy::disallowed_methods, reason = "compares tokio's clock with the real one")]
pub(crate) fn is_paused() -> bool {
    let (before, began) = (now(), Instant::now());
    // The real clock may be coarse.
    while Instant::now() == began {
        std::hint::spin_loop();
    }
    now() == before
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_test_moves_the_clock() {
        let before = now();
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(now() - before, Duration::from_secs(30));
    }

    #[test]
    fn the_wall_clock_is_past_the_day_this_was_written() {
        assert!(wall() > SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    }
}
