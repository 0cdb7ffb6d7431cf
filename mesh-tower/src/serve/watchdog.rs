//! Notices connections that stand still.

use std::future;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::ServeOptions;
use super::limits::Limits;
use super::state::Activity;

/// Looks at a connection now and then, so that the requests themselves need not arm timers.
#[derive(Debug)]
pub(super) struct Watchdog {
    header_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    stall_timeout: Option<Duration>,
    body_timeout: Option<Duration>,
    /// Whether the first head counts from the beginning.
    refuses_silence: bool,
    interval: Option<Interval>,
    last: Activity,
    since: Instant,
    /// When an answer was last taken further, or none was there to be taken.
    taken: Instant,
    /// When a part of a request's body last came, or none was waited for.
    fed: Instant,
    /// When a head of HTTP/2 began that has not ended, or there was none.
    head: Instant,
}

/// What a standing connection does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// A request head was begun and not finished.
    HeadTooSlow,
    /// Nothing is under way and nothing comes.
    Idle,
    /// There is more of an answer, and its caller does not take it.
    Stalled,
    /// There is more of the body of a request, and its caller does not send it.
    BodyTooSlow,
}

impl Watchdog {
    pub(super) fn new(options: &ServeOptions, limits: &Limits) -> Self {
        let now = Instant::now();
        let (header_timeout, idle_timeout) = (options.header_timeout, options.idle_timeout);
        let (stall_timeout, body_timeout) = (limits.stall_timeout, limits.body_timeout);
        let all = header_timeout.into_iter().chain(idle_timeout).chain(stall_timeout).chain(body_timeout);
        let interval = all.min().map(|shortest| {
            let period = (shortest / 4).clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
            let mut interval = interval_at(now + period, period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        let refuses_silence = limits.refuses_silence;
        let last = Activity::default();
        let (since, taken, fed, head) = (now, now, now, now);
        Self {
            header_timeout,
            idle_timeout,
            stall_timeout,
            body_timeout,
            refuses_silence,
            interval,
            last,
            since,
            taken,
            fed,
            head,
        }
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
        let before = std::mem::replace(&mut self.last, activity);
        if activity.waiting == 0 || (activity.heads, activity.taken) != (before.heads, before.taken) {
            self.taken = now;
        }
        if !activity.awaits_body || activity.reads != before.reads {
            self.fed = now;
        }
        if activity.open_head == 0 || activity.open_head != before.open_head {
            self.head = now;
        }
        let over =
            |limit: Option<Duration>, since: Instant| limit.is_some_and(|limit| now.duration_since(since) >= limit);
        if over(self.stall_timeout, self.taken) {
            return Some(Finding::Stalled);
        }
        if over(self.body_timeout, self.fed) {
            return Some(Finding::BodyTooSlow);
        }
        // Until it has ended no frame of another stream may come.
        if over(self.header_timeout, self.head) {
            return Some(Finding::HeadTooSlow);
        }
        let is_first = self.refuses_silence && activity.heads == 0;
        // The first bytes of all begin nothing anew where the clock runs already.
        if activity.open > 0 || (activity != before && !is_first) {
            self.since = now;
            return None;
        }
        // On HTTP/2 bytes may be a PING or a window; its heads were looked at.
        if (activity.reading_head || is_first) && !activity.http2 && over(self.header_timeout, self.since) {
            return Some(Finding::HeadTooSlow);
        }
        over(self.idle_timeout, self.since).then_some(Finding::Idle)
    }
}

const SHORTEST_PERIOD: Duration = Duration::from_millis(10);
const LONGEST_PERIOD: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use mesh_core::Profile;

    use super::*;

    const IDLE: Activity = Activity {
        heads: 1,
        open: 0,
        reading_head: false,
        http2: false,
        waiting: 0,
        taken: 0,
        awaits_body: false,
        reads: 0,
        open_head: 0,
    };

    fn watchdog_of(options: &ServeOptions, profile: Profile) -> Watchdog {
        Watchdog::new(options, &Limits::of(options, profile))
    }

    fn watchdog(profile: Profile) -> Watchdog {
        let options =
            ServeOptions::new().header_timeout(Duration::from_secs(10)).idle_timeout(Duration::from_secs(100));
        watchdog_of(&options.stall_timeout(Duration::from_secs(50)), profile)
    }

    /// The second at which the first finding comes, when every second looks the same.
    fn found(activity: Activity) -> Option<(u64, Finding)> {
        found_by(&mut watchdog(Profile::Safe), activity)
    }

    fn found_by(watchdog: &mut Watchdog, activity: Activity) -> Option<(u64, Finding)> {
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
    async fn a_head_of_http2_must_be_finished_in_time_whatever_else_is_under_way() {
        let begun = Activity { http2: true, open: 3, open_head: 7, ..IDLE };
        assert_eq!(found(begun), Some((10, Finding::HeadTooSlow)));
        let mut watchdog = watchdog(Profile::Safe);
        let start = Instant::now();
        for second in 0..500 {
            let others = Activity { open_head: second / 8, ..begun };
            assert_eq!(watchdog.inspect(others, start + Duration::from_secs(second as u64)), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_idle() {
        assert_eq!(found(IDLE), Some((100, Finding::Idle)));
        assert_eq!(found(Activity { reading_head: true, http2: true, ..IDLE }), Some((100, Finding::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_at_first_is_slow_or_as_with_istio_idle() {
        let silent = Activity { heads: 0, ..IDLE };
        assert_eq!(found(silent), Some((10, Finding::HeadTooSlow)));
        assert_eq!(found_by(&mut watchdog(Profile::Istio), silent), Some((100, Finding::Idle)));
        // A connection of HTTP/2 may be made ahead of its requests.
        assert_eq!(found(Activity { http2: true, ..silent }), Some((100, Finding::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_may_take_as_long_as_it_likes() {
        assert_eq!(found(Activity { open: 1, reading_head: true, ..IDLE }), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_must_go_on_while_it_is_waited_for() {
        let options = ServeOptions::new().idle_timeout(None).body_timeout(Duration::from_secs(20));
        let waiting = Activity { open: 1, awaits_body: true, ..IDLE };
        assert_eq!(found_by(&mut watchdog_of(&options, Profile::Istio), waiting), Some((20, Finding::BodyTooSlow)));
        let mut watchdog = watchdog_of(&options, Profile::Safe);
        let start = Instant::now();
        for second in 0..500 {
            let fed = Activity { reads: second / 15, ..waiting };
            assert_eq!(watchdog.inspect(fed, start + Duration::from_secs(second as u64)), None);
        }
        // An application that does not read may take as long as it likes.
        let unread = Activity { awaits_body: false, ..waiting };
        assert_eq!(found_by(&mut watchdog_of(&options, Profile::Safe), unread), None);
        assert_eq!(found_by(&mut watchdog_of(&ServeOptions::new(), Profile::Istio), waiting), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_must_be_taken_while_it_is_there() {
        let held = Activity { open: 2, waiting: 1, ..IDLE };
        assert_eq!(found(held), Some((50, Finding::Stalled)));
        let mut watchdog = watchdog(Profile::Safe);
        let start = Instant::now();
        for second in 0..500 {
            let taken = Activity { taken: second / 40, ..held };
            assert_eq!(watchdog.inspect(taken, start + Duration::from_secs(second as u64)), None);
        }
        assert_eq!(found_by(&mut watchdog_of(&ServeOptions::new(), Profile::Istio), held), None);
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_starts_the_clock_anew() {
        let mut watchdog = watchdog(Profile::Safe);
        let start = Instant::now();
        for second in 0..500 {
            let activity = Activity { heads: second + 1, ..IDLE };
            assert_eq!(watchdog.inspect(activity, start + Duration::from_secs(second as u64)), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nothing_is_looked_at() {
        let options =
            ServeOptions::new().header_timeout(None).idle_timeout(None).stall_timeout(None).body_timeout(None);
        let mut watchdog = watchdog_of(&options, Profile::Safe);
        assert!(tokio::time::timeout(Duration::from_secs(10_000), watchdog.tick()).await.is_err());
    }
}
