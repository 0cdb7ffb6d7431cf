//! Priorities: how much of the load each level of endpoints takes, as Envoy spreads it.
//!
//! A level's health is its share of healthy endpoints times 1.4, 100 at most. The first level takes
//! as much as its health, the next one of the rest what it can: with 72 % of its endpoints healthy
//! the first level still takes everything, with half of them 70 %.
//!
//! Where all levels together are not healthy enough for the whole load, one with a smaller share of
//! healthy endpoints than the panic threshold uses all its endpoints, ejected ones too: better spread
//! over all than crush the rest. From 71.4 % healthy on there is no panic, however high the threshold.

use std::iter;

/// How much more than its share the healthy part may be given, in percent.
pub(super) const OVERPROVISIONING: usize = 140;

/// Tries after which a retry in other localities leaves out the levels of the tries before, and after
/// which again; Istio's `update_frequency`.
const UPDATE_AFTER: usize = 2;

/// The endpoints of a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) healthy: usize,
    pub(super) total: usize,
}

impl Count {
    /// 0 to 100.
    fn health(self) -> u32 {
        if self.total == 0 {
            return 0;
        }
        (OVERPROVISIONING * self.healthy / self.total).min(100) as u32
    }

    fn is_below(self, threshold: u32) -> bool {
        self.healthy * 100 < threshold as usize * self.total || (self.total == 0 && threshold > 0)
    }
}

/// The levels, the first of which is preferred.
#[derive(Debug, Default)]
pub(super) struct Priorities {
    health: Box<[u32]>,
    /// Percent of the load.
    loads: Box<[u32]>,
    panic: Box<[bool]>,
}

impl Priorities {
    /// `panic_threshold` in percent, 0 for never.
    pub(super) fn new(levels: &[Count], panic_threshold: u32) -> Self {
        let health: Box<[u32]> = levels.iter().map(|level| level.health()).collect();
        let whole = total_of(&health);
        let panic: Box<[bool]> =
            levels.iter().map(|level| whole < 100 && level.is_below(panic_threshold.min(100))).collect();
        let loads = if !panic.is_empty() && panic.iter().all(|panic| *panic) {
            by_size(levels)
        } else {
            loads(&health).collect()
        };
        Self { health, loads, panic }
    }

    pub(super) fn is_in_panic(&self, level: usize) -> bool {
        self.panic[level]
    }

    /// Percent of the load that goes to a level.
    pub(super) fn load(&self, level: usize) -> u32 {
        self.loads[level]
    }

    /// The level for a random number, or the hash of a request.
    pub(super) fn choose(&self, draw: u64) -> usize {
        at(self.loads.iter().copied(), draw)
    }

    /// The level for a retry that is to go elsewhere; `tried` are the levels of the tries so far.
    ///
    /// After every second try the levels tried are left out; when none is left, all count again.
    pub(super) fn choose_elsewhere(&self, draw: u64, tried: impl Iterator<Item = Option<usize>>) -> usize {
        match self.left_out(tried) {
            0 => self.choose(draw),
            out => at(loads_of(|| self.health_without(out)), draw),
        }
    }

    /// A bit for each level to be left out.
    fn left_out(&self, tried: impl Iterator<Item = Option<usize>>) -> u64 {
        let (mut seen, mut out, mut tries) = (0_u64, 0_u64, 0);
        for level in tried {
            tries += 1;
            seen |= level.and_then(|level| 1_u64.checked_shl(level as u32)).unwrap_or(0);
            if tries % UPDATE_AFTER == 0 {
                out |= seen;
                if self.health_without(out).all(|health| health == 0) {
                    (seen, out, tries) = (0, 0, 0);
                }
            }
        }
        out
    }

    fn health_without(&self, out: u64) -> impl Iterator<Item = u32> {
        let is_out = move |level: usize| out.checked_shr(level as u32).unwrap_or(0) & 1 == 1;
        self.health.iter().enumerate().map(move |(level, health)| if is_out(level) { 0 } else { *health })
    }
}

fn total_of(health: &[u32]) -> u32 {
    health.iter().sum::<u32>().min(100)
}

fn loads(health: &[u32]) -> impl Iterator<Item = u32> {
    loads_of(|| health.iter().copied())
}

/// Each level's part of 100; what rounding leaves goes to the first that has any health. Without any
/// health all goes to the first, where it finds nobody.
fn loads_of<I: Iterator<Item = u32>>(health: impl Fn() -> I) -> impl Iterator<Item = u32> {
    let total = health().sum::<u32>().min(100);
    let part = move |left: &mut u32, health: u32| {
        let load = (health * 100).checked_div(total).unwrap_or(0).min(*left);
        *left -= load;
        load
    };
    let rest = health().fold(100, |mut left, health| {
        part(&mut left, health);
        left
    });
    let first = health().position(|health| health > 0).unwrap_or(0);
    let mut left = 100;
    health().enumerate().map(move |(level, health)| part(&mut left, health) + if level == first { rest } else { 0 })
}

/// In panic everywhere, the load goes by the number of endpoints.
fn by_size(levels: &[Count]) -> Box<[u32]> {
    let total: usize = levels.iter().map(|level| level.total).sum();
    let mut loads: Box<[u32]> = levels.iter().map(|level| (100 * level.total / total.max(1)) as u32).collect();
    let rest = 100 - loads.iter().sum::<u32>();
    let first = levels.iter().position(|level| level.total > 0).unwrap_or(0);
    loads[first] += rest;
    loads
}

fn at(loads: impl Iterator<Item = u32>, draw: u64) -> usize {
    let point = draw % 100;
    let mut end = 0;
    let ends = loads.map(|load| {
        end += u64::from(load);
        end
    });
    ends.chain(iter::once(u64::MAX)).position(|end| point < end).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn levels(counts: &[(usize, usize)]) -> Vec<Count> {
        counts.iter().map(|(healthy, total)| Count { healthy: *healthy, total: *total }).collect()
    }

    fn loads(counts: &[(usize, usize)], threshold: u32) -> Vec<u32> {
        Priorities::new(&levels(counts), threshold).loads.to_vec()
    }

    fn panics(counts: &[(usize, usize)], threshold: u32) -> Vec<bool> {
        Priorities::new(&levels(counts), threshold).panic.to_vec()
    }

    #[test]
    fn a_level_takes_1_4_times_its_share_of_healthy_endpoints() {
        assert_eq!(loads(&[(4, 4), (2, 2), (1, 1)], 0), [100, 0, 0]);
        assert_eq!(loads(&[(3, 4), (2, 2), (1, 1)], 0), [100, 0, 0]);
        assert_eq!(loads(&[(2, 4), (2, 2), (1, 1)], 0), [70, 30, 0]);
        assert_eq!(loads(&[(1, 4), (1, 2), (1, 1)], 0), [35, 65, 0]);
        assert_eq!(loads(&[(0, 4), (1, 2), (1, 1)], 0), [0, 70, 30]);
        assert_eq!(loads(&[(0, 4), (1, 2), (0, 1)], 0), [0, 100, 0]);
        assert_eq!(loads(&[(18, 25), (1, 1)], 0), [100, 0]);
    }

    #[test]
    fn what_is_too_little_for_all_is_scaled_up() {
        assert_eq!(loads(&[(1, 10), (1, 10)], 0), [50, 50]);
        assert_eq!(loads(&[(1, 10), (1, 10), (1, 10)], 0), [34, 33, 33]);
        assert_eq!(loads(&[(0, 4)], 0), [100]);
    }

    #[test]
    fn panic_starts_below_the_threshold() {
        assert_eq!(panics(&[(1, 4)], 50), [true]);
        assert_eq!(panics(&[(2, 4)], 50), [false]);
        assert_eq!(panics(&[(0, 4)], 0), [false]);
        assert_eq!(panics(&[(0, 4)], 1), [true]);
    }

    #[test]
    fn a_threshold_over_71_percent_acts_like_71() {
        assert_eq!(panics(&[(3, 4)], 100), [false]);
        assert_eq!(panics(&[(7, 10)], 100), [true]);
    }

    #[test]
    fn there_is_no_panic_while_another_level_can_take_the_load() {
        assert_eq!(panics(&[(1, 4), (1, 1)], 50), [false, false]);
        assert_eq!(panics(&[(1, 10), (2, 4)], 30), [true, false]);
        assert_eq!(loads(&[(1, 10), (2, 4)], 30), [17, 83]);
    }

    #[test]
    fn in_panic_everywhere_the_load_goes_by_the_number_of_endpoints() {
        assert_eq!(panics(&[(0, 6), (1, 3)], 50), [true, true]);
        assert_eq!(loads(&[(0, 6), (1, 3)], 50), [67, 33]);
    }

    #[test]
    fn every_second_retry_elsewhere_leaves_out_what_was_tried() {
        let priorities = Priorities::new(&levels(&[(2, 2), (1, 1), (1, 1)]), 0);
        let after = |tried: &[usize]| priorities.choose_elsewhere(0, tried.iter().map(|level| Some(*level)));
        assert_eq!([after(&[]), after(&[0]), after(&[0, 0]), after(&[0, 0, 1])], [0, 0, 1, 1]);
        assert_eq!([after(&[0, 0, 1, 1]), after(&[0, 0, 1, 1, 2]), after(&[0, 0, 1, 1, 2, 2])], [2, 2, 0]);
    }

    proptest! {
        #[test]
        fn the_loads_are_all_of_it_and_go_nowhere_without_health(
            counts in prop::collection::vec((0_usize..30, 0_usize..30), 1..7),
            threshold in 0_u32..=100,
            out in 0_u64..128,
        ) {
            let counts: Vec<_> = counts.into_iter().map(|(healthy, more)| (healthy, healthy + more)).collect();
            let priorities = Priorities::new(&levels(&counts), threshold);
            prop_assert_eq!(priorities.loads.iter().sum::<u32>(), 100);
            let any = counts.iter().any(|(healthy, _)| *healthy > 0);
            for (level, (healthy, _)) in counts.iter().enumerate() {
                let none = priorities.health[level] == 0 && priorities.health.iter().any(|health| *health > 0);
                prop_assert!(priorities.is_in_panic(level) || !any || *healthy > 0 || !none || priorities.load(level) == 0);
            }
            let elsewhere: Vec<u32> = loads_of(|| priorities.health_without(out)).collect();
            prop_assert_eq!(elsewhere.iter().sum::<u32>(), 100);
            prop_assert!((0..200).all(|draw| priorities.choose(draw) < counts.len()));
        }
    }
}
