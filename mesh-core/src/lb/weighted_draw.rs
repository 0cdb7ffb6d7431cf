//! Drawing by weight, at the same cost however many there are to draw from.

use crate::Rng;

/// Walker's alias table: each cell belongs to one of them up to a threshold, to another one above it.
#[derive(Debug)]
pub(super) struct WeightedDraw {
    cells: Box<[Cell]>,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Draws below this, of 2^64, are the cell's own.
    own: u64,
    other: u32,
}

impl WeightedDraw {
    /// Each of the weights is more than 0.
    pub(super) fn new(weights: &[u64]) -> Self {
        let total: f64 = weights.iter().map(|weight| *weight as f64).sum();
        let mut parts: Vec<f64> = weights.iter().map(|weight| *weight as f64 * weights.len() as f64 / total).collect();
        let mut cells: Box<[Cell]> = (0..weights.len() as u32).map(|other| Cell { own: u64::MAX, other }).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..parts.len()).partition(|place| parts[*place] < 1.0);
        while let (Some(poor), Some(rich)) = (small.pop(), large.last().copied()) {
            // The cast saturates.
            cells[poor] = Cell { own: (parts[poor] * 2_f64.powi(64)) as u64, other: rich as u32 };
            parts[rich] -= 1.0 - parts[poor];
            if parts[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        Self { cells }
    }

    pub(super) fn draw(&self, rng: &mut dyn Rng) -> usize {
        let place = rng.below(self.cells.len() as u64) as usize;
        let cell = self.cells[place];
        if rng.next_u64() <= cell.own { place } else { cell.other as usize }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SplitMix64;

    proptest! {
        #[test]
        fn shares_converge(weights in prop::collection::vec(1_u64..1000, 1..12), seed in any::<u64>()) {
            let table = WeightedDraw::new(&weights);
            let mut rng = SplitMix64::new(seed);
            let mut counts = vec![0_u32; weights.len()];
            for _ in 0..8_000 {
                counts[table.draw(&mut rng)] += 1;
            }
            let total: u64 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(&weights) {
                let expected = *weight as f64 / total as f64;
                prop_assert!((f64::from(*count) / 8_000.0 - expected).abs() < 0.035, "{:?} {:?}", weights, counts);
            }
        }
    }
}
