//! `ROUND_ROBIN`: one endpoint after the other, each as often as its weight says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{HostIdx, Hosts, Pick, Picker};
use crate::Rng;

/// Walks a schedule that is as long as the weights add up to and spreads each endpoint's turns.
#[derive(Debug)]
pub(super) struct RoundRobin {
    /// Places among the endpoints to choose from; empty where all have the same weight.
    schedule: Box<[u32]>,
    cursor: Arc<AtomicU64>,
}

/// Weights are scaled down until the schedule is no longer than this.
const LONGEST: u64 = 4096;

impl RoundRobin {
    pub(super) fn new(weights: &[u32], cursor: Arc<AtomicU64>) -> Self {
        let equal = weights.windows(2).all(|pair| pair[0] == pair[1]);
        Self { schedule: if equal { Box::default() } else { schedule(weights) }, cursor }
    }
}

impl Picker for RoundRobin {
    fn pick(&self, hosts: &Hosts, _: &Pick<'_>, _: &mut dyn Rng) -> HostIdx {
        let turn = self.cursor.fetch_add(1, Ordering::Relaxed);
        let place = if self.schedule.is_empty() {
            turn % hosts.eligible.len() as u64
        } else {
            u64::from(self.schedule[(turn % self.schedule.len() as u64) as usize])
        };
        hosts.at(place as usize).0
    }
}

/// Smooth weighted round robin: at each turn all gain their weight, the richest is taken and pays
/// the sum of the weights.
fn schedule(weights: &[u32]) -> Box<[u32]> {
    let weights = scaled(weights);
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0_i64; weights.len()];
    (0..total)
        .map(|_| {
            let mut best = 0;
            for (place, weight) in weights.iter().enumerate() {
                credit[place] += weight;
                if credit[place] > credit[best] {
                    best = place;
                }
            }
            credit[best] -= total;
            best as u32
        })
        .collect()
}

fn scaled(weights: &[u32]) -> Vec<i64> {
    let divisor = weights.iter().fold(0, |divisor, weight| greatest_common_divisor(divisor, u64::from(*weight)));
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum::<u64>() / divisor.max(1);
    let factor = if total > LONGEST { LONGEST as f64 / total as f64 } else { 1.0 };
    let scale = |weight: &u32| ((u64::from(*weight) / divisor.max(1)) as f64 * factor).round().max(1.0) as i64;
    weights.iter().map(scale).collect()
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn turns_are_spread_and_counted_by_weight() {
        assert_eq!(*schedule(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*schedule(&[200, 100]), [0, 1, 0]);
    }

    proptest! {
        #[test]
        fn every_endpoint_gets_its_share_of_a_round(weights in prop::collection::vec(1_u32..60, 2..8)) {
            let schedule = schedule(&weights);
            let total: u32 = weights.iter().sum();
            for (place, weight) in weights.iter().enumerate() {
                let turns = schedule.iter().filter(|turn| **turn == place as u32).count();
                prop_assert_eq!(turns as u64 * u64::from(total), u64::from(*weight) * schedule.len() as u64);
            }
        }

        #[test]
        fn huge_weights_make_no_huge_schedule(weights in prop::collection::vec(1_u32..u32::MAX, 2..8)) {
            prop_assert!(schedule(&weights).len() as u64 <= LONGEST + 8);
        }
    }
}
