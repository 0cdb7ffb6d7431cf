//! When to look after something has happened.

use std::time::Duration;

use tokio::time::Instant;

/// Events that have come and have not been acted on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Debounce {
    first: Instant,
    latest: Instant,
}

impl Debounce {
    pub(super) fn new(now: Instant) -> Self {
        Self { first: now, latest: now }
    }

    /// Another event has come.
    pub(super) fn event(&mut self, now: Instant) {
        self.latest = now;
    }

    /// When to act: after a short silence, but not ever later while events keep coming; and while a
    /// file is being written, when it has had time enough.
    pub(super) fn due(&self, writing: bool) -> Instant {
        if writing { self.first + PATIENCE } else { (self.latest + SILENCE).min(self.first + LONGEST) }
    }
}

const SILENCE: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn silence_is_waited_for() {
        let start = Instant::now();
        let mut debounce = Debounce::new(start);
        assert_eq!(debounce.due(false), start + ms(25));
        debounce.event(start + ms(10));
        assert_eq!(debounce.due(false), start + ms(35));
    }

    #[test]
    fn a_file_that_is_being_written_is_waited_for_up_to_a_second() {
        let start = Instant::now();
        assert_eq!(Debounce::new(start).due(true), start + ms(1000));
    }

    proptest! {
        #[test]
        fn events_cannot_put_it_off_for_ever(gaps in proptest::collection::vec(0_u64..25, 1..200)) {
            let start = Instant::now();
            let mut debounce = Debounce::new(start);
            let mut now = start;
            for gap in gaps {
                now += ms(gap);
                debounce.event(now);
                prop_assert!(debounce.due(false) <= start + ms(100));
                prop_assert!(debounce.due(false) > start);
            }
        }
    }
}
