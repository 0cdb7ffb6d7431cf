//! Notices connections that stand still.

use std::future;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::ServeOptions;
use super::state::Activity;

/// Looks at a connection now and then, so that the requests themselves need not arm timers.
#[derive(Debug)]
pub(super) struct Watchdog {
    header_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    interval: Option<Interval>,
    last: Activity,
    since: Instant,
}

/// What a standing connection does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// A request head was begun and not finished.
    HeadTooSlow,
    /// Nothing is under way and nothing comes.
    Idle,
}

impl Watchdog {
    pub(super) fn new(options: &ServeOptions) -> Self {
        let now = Instant::now();
        let (header_timeout, idle_timeout) = (options.header_timeout, options.idle_timeout);
        let interval = header_timeout.into_iter().chain(idle_timeout).min().map(|shortest| {
            let period = (shortest / 4).clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
            let mut interval = interval_at(now + period, period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self { header_timeout, idle_timeout, interval, last: Activity::default(), since: now }
    }

    /// The time of the next look. Nothing is lost when it is dropped before.
    pub(super) async fn tick(&mut self) -> Instant {
        match &mut self.interval {
            Some(interval) => interval.tick().await,
            None => future::pending().await,
        }
    }

    /// Looks.
    pub(super) fn inspect(&mut self, activity: Activity, now: Instant) -> Option<Finding> {
        if activity != self.last || activity.open > 0 {
            self.last = activity;
            self.since = now;
            return None;
        }
        let stands = now.duration_since(self.since);
        let over = |limit: Option<Duration>| limit.is_some_and(|limit| stands >= limit);
        // On HTTP/2 bytes may be a PING or a window, and the size of a head is limited anyway.
        if activity.reading_head && !activity.http2 && over(self.header_timeout) {
            return Some(Finding::HeadTooSlow);
        }
        over(self.idle_timeout).then_some(Finding::Idle)
    }
}

const SHORTEST_PERIOD: Duration = Duration::from_millis(10);
const LONGEST_PERIOD: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Activity = Activity { heads: 1, open: 0, reading_head: false, http2: false };

    fn watchdog() -> Watchdog {
        Watchdog::new(
            &ServeOptions::new().header_timeout(Duration::from_secs(10)).idle_timeout(Duration::from_secs(100)),
        )
    }

    /// The second at which the first finding comes, when every second looks the same.
    fn found(activity: Activity) -> Option<(u64, Finding)> {
        let mut watchdog = watchdog();
        let start = Instant::now();
        (0..200).find_map(|second| {
            let finding = watchdog.inspect(activity, start + Duration::from_secs(second));
            finding.map(|finding| (second, finding))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_must_be_finished_in_time() {
        assert_eq!(found(Activity { reading_head: true, ..IDLE }), Some((10, Finding::HeadTooSlow)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_idle() {
        assert_eq!(found(IDLE), Some((100, Finding::Idle)));
        assert_eq!(found(Activity { reading_head: true, http2: true, ..IDLE }), Some((100, Finding::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_may_take_as_long_as_it_likes() {
        assert_eq!(found(Activity { open: 1, reading_head: true, ..IDLE }), None);
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_starts_the_clock_anew() {
        let mut watchdog = watchdog();
        let start = Instant::now();
        for second in 0..500 {
            let activity = Activity { heads: second, ..IDLE };
            assert_eq!(watchdog.inspect(activity, start + Duration::from_secs(second as u64)), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nothing_is_looked_at() {
        let mut watchdog = Watchdog::new(&ServeOptions::new().header_timeout(None).idle_timeout(None));
        assert!(tokio::time::timeout(Duration::from_secs(10_000), watchdog.tick()).await.is_err());
    }
}
