//! What requests of one kind came to, by when they ended.

use std::time::{Duration, Instant};

use mesh_core::ResponseFlags;

/// How far back one looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Window {
    /// One minute.
    #[default]
    One,
    /// Five minutes.
    Five,
    /// Fifteen minutes.
    Fifteen,
}

/// Of the last minute there is a bucket for each of so many seconds.
const FINE: u64 = 10;
/// Of the quarter of an hour there is one for each of so many.
const COARSE: u64 = 60;

const FINE_BUCKETS: usize = 6;
const COARSE_BUCKETS: usize = 15;

impl Window {
    /// The name in a query.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::One => "1m",
            Self::Five => "5m",
            Self::Fifteen => "15m",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::One, Self::Five, Self::Fifteen].into_iter().find(|window| window.name() == name)
    }

    /// The seconds of its buckets, and how many there are.
    const fn buckets(self) -> (u64, u64) {
        match self {
            Self::One => (FINE, FINE_BUCKETS as u64),
            Self::Five => (COARSE, 5),
            Self::Fifteen => (COARSE, COARSE_BUCKETS as u64),
        }
    }

    /// The first bucket that is looked at, so long after the beginning.
    fn first(self, age: Duration) -> u64 {
        let (seconds, count) = self.buckets();
        (age.as_secs() / seconds).saturating_sub(count - 1)
    }

    /// How long it reaches back: the last bucket is not over, and before the beginning there was nothing. A second at least.
    pub(crate) fn covered(self, age: Duration) -> Duration {
        let before = Duration::from_secs(self.first(age) * self.buckets().0);
        age.saturating_sub(before).max(Duration::from_secs(1))
    }
}

/// So many classes of durations: each reaches up to 1.26 times the one before it (a third of a doubling), the first to
/// 0.25 ms, the last but one to 66 s.
const CLASSES: usize = 56;
const FIRST_CLASS: f64 = 0.25;
const IN_A_DOUBLING: f64 = 3.0;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the classes")]
fn class_of(milliseconds: f64) -> usize {
    let class = (milliseconds / FIRST_CLASS).log2() * IN_A_DOUBLING;
    class.ceil().clamp(0.0, (CLASSES - 1) as f64) as usize
}

/// The milliseconds up to which a class reaches.
fn end_of(class: usize) -> f64 {
    FIRST_CLASS * (class as f64 / IN_A_DOUBLING).exp2()
}

/// A request that came to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) at: Instant,
    /// Since the beginning of all.
    pub(super) age: Duration,
    pub(super) milliseconds: f64,
    pub(super) is_error: bool,
    pub(super) tries: u32,
    pub(super) flags: ResponseFlags,
    /// Whether it went by TLS, where that is known.
    pub(super) is_tls: Option<bool>,
}

/// The requests of a part of the time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Which part; what is left of an older one counts no more.
    tick: u64,
    requests: u32,
    errors: u32,
    tries: u32,
    classes: [u32; CLASSES],
}

impl Bucket {
    const EMPTY: Self = Self { tick: 0, requests: 0, errors: 0, tries: 0, classes: [0; CLASSES] };

    fn add(&mut self, tick: u64, ended: &Ended) {
        if self.tick != tick {
            *self = Self { tick, ..Self::EMPTY };
        }
        let add = |figure: &mut u32, more: u32| *figure = figure.saturating_add(more);
        add(&mut self.requests, 1);
        add(&mut self.errors, ended.is_error.into());
        add(&mut self.tries, ended.tries);
        add(&mut self.classes[class_of(ended.milliseconds)], 1);
    }
}

/// The requests of one kind: always of the same size, 5 KiB.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    fine: [Bucket; FINE_BUCKETS],
    coarse: [Bucket; COARSE_BUCKETS],
    last_flag: Option<(ResponseFlags, Instant)>,
    last: Option<Instant>,
    is_tls: Option<bool>,
}

impl Cell {
    pub(super) const EMPTY: Self = Self {
        fine: [Bucket::EMPTY; FINE_BUCKETS],
        coarse: [Bucket::EMPTY; COARSE_BUCKETS],
        last_flag: None,
        last: None,
        is_tls: None,
    };

    pub(super) fn add(&mut self, ended: &Ended) {
        let (fine, coarse) = (ended.age.as_secs() / FINE, ended.age.as_secs() / COARSE);
        self.fine[place(fine, FINE_BUCKETS)].add(fine, ended);
        self.coarse[place(coarse, COARSE_BUCKETS)].add(coarse, ended);
        if !ended.flags.is_empty() {
            self.last_flag = Some((ended.flags, ended.at));
        }
        self.last = Some(ended.at);
        self.is_tls = ended.is_tls.or(self.is_tls);
    }

    pub(super) const fn last(&self) -> Option<Instant> {
        self.last
    }

    /// Adds what it has of a window.
    pub(super) fn add_to(&self, sum: &mut Sum, window: Window, age: Duration) {
        let (seconds, _) = window.buckets();
        let buckets: &[Bucket] = if seconds == FINE { &self.fine } else { &self.coarse };
        let now = age.as_secs() / seconds;
        for bucket in buckets.iter().filter(|bucket| (window.first(age)..=now).contains(&bucket.tick)) {
            sum.requests += u64::from(bucket.requests);
            sum.errors += u64::from(bucket.errors);
            sum.tries += u64::from(bucket.tries);
            for (to, from) in sum.classes.iter_mut().zip(&bucket.classes) {
                *to += u64::from(*from);
            }
        }
        if self.last > sum.last {
            sum.is_tls = self.is_tls.or(sum.is_tls);
        }
        sum.last = sum.last.max(self.last);
        let at = |flag: &Option<(ResponseFlags, Instant)>| flag.map(|(_, at)| at);
        if at(&self.last_flag) > at(&sum.last_flag) {
            sum.last_flag = self.last_flag;
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "less than the count")]
const fn place(tick: u64, count: usize) -> usize {
    (tick % count as u64) as usize
}

/// What requests came to within a window.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) tries: u64,
    /// The flags of the last request that had some, within the window or before it.
    pub(crate) last_flag: Option<(ResponseFlags, Instant)>,
    /// When the last one ended.
    pub(crate) last: Option<Instant>,
    /// How the last went of which it is known.
    pub(crate) is_tls: Option<bool>,
    classes: [u64; CLASSES],
}

impl Default for Sum {
    fn default() -> Self {
        Self { requests: 0, errors: 0, tries: 0, last_flag: None, last: None, is_tls: None, classes: [0; CLASSES] }
    }
}

impl Sum {
    /// The same with those of another.
    pub(crate) fn with(mut self, other: &Self) -> Self {
        self.requests += other.requests;
        self.errors += other.errors;
        self.tries += other.tries;
        for (to, from) in self.classes.iter_mut().zip(&other.classes) {
            *to += from;
        }
        if other.last > self.last {
            self.is_tls = other.is_tls.or(self.is_tls);
        }
        self.last = self.last.max(other.last);
        if other.last_flag.map(|(_, at)| at) > self.last_flag.map(|(_, at)| at) {
            self.last_flag = other.last_flag;
        }
        self
    }

    /// The share of failures, from 0 to 1; nothing without requests.
    pub(crate) fn error_share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// The milliseconds that this share of requests took no longer than, to within a quarter; nothing without requests.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        if self.requests == 0 {
            return None;
        }
        let wanted = share * self.requests as f64;
        let mut before = 0.0;
        for (class, &count) in self.classes.iter().enumerate() {
            let count = count as f64;
            if count > 0.0 && before + count >= wanted {
                let begin = if class == 0 { 0.0 } else { end_of(class - 1) };
                return Some(begin + (end_of(class) - begin) * ((wanted - before) / count).clamp(0.0, 1.0));
            }
            before += count;
        }
        Some(end_of(CLASSES - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(seconds: u64, milliseconds: f64) -> Ended {
        let age = Duration::from_secs(seconds);
        let (is_error, flags) = (milliseconds > 100.0, ResponseFlags::NONE);
        Ended { at: crate::clock::now(), age, milliseconds, is_error, tries: 2, flags, is_tls: None }
    }

    fn sum(cell: &Cell, window: Window, seconds: u64) -> Sum {
        let mut sum = Sum::default();
        cell.add_to(&mut sum, window, Duration::from_secs(seconds));
        sum
    }

    #[test]
    fn a_request_is_forgotten_when_its_window_has_passed() {
        let mut cell = Cell::EMPTY;
        cell.add(&ended(5, 10.0));
        for (window, still, gone) in [(Window::One, 59, 60), (Window::Five, 299, 300), (Window::Fifteen, 899, 900)] {
            assert_eq!(sum(&cell, window, still).requests, 1, "{window:?}");
            assert_eq!(sum(&cell, window, gone).requests, 0, "{window:?}");
        }
        // Its bucket is taken over by what comes a round later.
        cell.add(&ended(65, 10.0));
        assert_eq!((sum(&cell, Window::One, 65).requests, sum(&cell, Window::Five, 65).requests), (1, 2));
        assert_eq!(sum(&cell, Window::Five, 65).tries, 4);
    }

    #[test]
    fn a_rate_is_of_the_time_that_there_was() {
        let covered = |window: Window, seconds| window.covered(Duration::from_secs(seconds)).as_secs();
        assert_eq!(covered(Window::One, 0), 1);
        assert_eq!(covered(Window::One, 30), 30);
        assert_eq!((covered(Window::One, 60), covered(Window::One, 69)), (50, 59));
        assert_eq!((covered(Window::Five, 100), covered(Window::Fifteen, 10_000)), (100, 880));
    }

    #[test]
    fn quantiles_are_right_to_within_a_quarter() {
        let mut cell = Cell::EMPTY;
        for milliseconds in 1..=1000 {
            cell.add(&ended(1, f64::from(milliseconds)));
        }
        let sum = sum(&cell, Window::One, 1);
        for (share, true_value) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let told = sum.quantile(share).unwrap();
            assert!((true_value / 1.26..=true_value * 1.26).contains(&told), "{share}: {told}");
        }
        assert_eq!(sum.error_share(), Some(0.9));
        assert_eq!(Sum::default().quantile(0.5), None);
    }

    #[test]
    fn every_duration_has_its_class() {
        for milliseconds in [0.0, 0.25, 0.26, 1.0, 7.3, 60_000.0] {
            let class = class_of(milliseconds);
            assert!(
                milliseconds <= end_of(class) && (class == 0 || milliseconds > end_of(class - 1)),
                "{milliseconds}"
            );
        }
        assert_eq!(class_of(1e12), CLASSES - 1);
        assert_eq!(class_of(f64::NAN), 0);
    }
}
