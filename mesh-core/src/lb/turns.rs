//! Turns: who comes next, each as often as its weight says and spread as evenly as that allows.

use crate::sync::atomic::{AtomicU64, Ordering};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Walks a round that is as long as the weights add up to.
#[derive(Debug)]
pub(super) struct Turns {
    /// Who has each turn; empty where all have the same weight.
    round: Box<[u32]>,
    count: usize,
    cursor: Arc<AtomicU64>,
}

/// Weights are scaled down until a round is no longer than this, or than sixteen turns each.
const LONGEST: u64 = 4096;

impl Turns {
    /// Where a round stands is in `cursor`.
    pub(super) fn new(weights: &[u64], cursor: Arc<AtomicU64>) -> Self {
        let round = if are_equal(weights) { Box::default() } else { round(weights) };
        Self { round, count: weights.len(), cursor }
    }

    /// Whose turn it is; 0 where nobody is there.
    pub(super) fn next(&self) -> usize {
        if self.count <= 1 {
            return 0;
        }
        let turn = self.cursor.fetch_add(1, Ordering::Relaxed);
        if self.round.is_empty() {
            (turn % self.count as u64) as usize
        } else {
            self.round[(turn % self.round.len() as u64) as usize] as usize
        }
    }
}

pub(super) fn are_equal(weights: &[u64]) -> bool {
    weights.windows(2).all(|pair| pair[0] == pair[1])
}

/// Each turn goes to whom it is due first: the k-th of somebody with weight w at (k + 1/2) / w.
fn round(weights: &[u64]) -> Box<[u32]> {
    let weights = scaled(weights);
    let length: u64 = weights.iter().sum();
    // Positive numbers are ordered as their bits are.
    let due = |turn: u64, weight: u64| ((turn as f64 + 0.5) / weight as f64).to_bits();
    let of = |turn, place: u32| Reverse((due(turn, weights[place as usize]), place, turn));
    let places = (0_u32..).zip(&weights).filter(|(_, weight)| **weight > 0);
    let mut next: BinaryHeap<_> = places.map(|(place, _)| of(0, place)).collect();
    let take = |_| {
        let Reverse((_, place, turn)) = next.pop()?;
        next.push(of(turn + 1, place));
        Some(place)
    };
    (0..length).filter_map(take).collect()
}

/// The same weights in smaller numbers; what had any keeps at least 1.
fn scaled(weights: &[u64]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |divisor, weight| greatest_common_divisor(divisor, *weight)).max(1);
    let total = weights.iter().map(|weight| weight / divisor).sum::<u64>();
    let longest = LONGEST.max(16 * weights.len() as u64);
    let factor = if total > longest { longest as f64 / total as f64 } else { 1.0 };
    let scale = |weight: &u64| match weight {
        0 => 0,
        weight => (((weight / divisor) as f64 * factor).round() as u64).max(1),
    };
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
        assert_eq!(*round(&[5, 1, 1]), [0, 0, 0, 1, 2, 0, 0]);
        assert_eq!(*round(&[200, 100]), [0, 1, 0]);
        assert_eq!(*round(&[0, 2, 1]), [1, 2, 1]);
    }

    proptest! {
        #[test]
        fn everybody_gets_its_share_of_a_round(weights in prop::collection::vec(1_u64..60, 2..8)) {
            let round = round(&weights);
            let total: u64 = weights.iter().sum();
            for (place, weight) in weights.iter().enumerate() {
                let turns = round.iter().filter(|turn| **turn == place as u32).count();
                prop_assert_eq!(turns as u64 * total, weight * round.len() as u64);
            }
        }

        #[test]
        fn nobody_waits_much_longer_than_its_weight_says(weights in prop::collection::vec(1_u64..60, 2..8)) {
            let round = round(&weights);
            for (place, weight) in (0_u32..).zip(&weights) {
                let turns = round.iter().chain(&round).enumerate().filter(|(_, turn)| **turn == place);
                let at: Vec<usize> = turns.map(|(at, _)| at).collect();
                let fair = weights.iter().sum::<u64>().div_ceil(*weight) as usize;
                prop_assert!(at.windows(2).all(|pair| pair[1] - pair[0] <= fair + weights.len()), "{:?}", round);
            }
        }

        #[test]
        fn huge_weights_make_no_huge_round(weights in prop::collection::vec(1_u64..1 << 40, 2..8)) {
            prop_assert!(round(&weights).len() as u64 <= LONGEST + 8);
        }
    }
}
