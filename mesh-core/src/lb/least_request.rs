//! `LEAST_REQUEST`: of two endpoints drawn at random the one with fewer requests under way.
//!
//! With unequal weights an endpoint's share goes by its weight over its requests (plus one), as in
//! Envoy with an active request bias of 1. Among few endpoints that share is computed; among many it
//! is drawn by weight and accepted by load, so that a choice costs the same among a thousand.

use super::weighted_draw::WeightedDraw;
use super::{Choice, HostIdx, Hosts, Picker, turns};
use crate::Rng;

#[derive(Debug)]
pub(super) struct LeastRequest {
    /// Empty where all have the same weight.
    weights: Box<[u64]>,
    draw: Option<WeightedDraw>,
}

/// Up to so many endpoints all are looked at.
const FEW: usize = 16;

/// Draws that tell how busy endpoints are at the least.
const SAMPLE: usize = 8;

/// Draws before the least busy of the sample is taken.
const DRAWS: usize = 16;

impl LeastRequest {
    pub(super) fn new(weights: &[u64]) -> Self {
        if turns::are_equal(weights) {
            return Self { weights: Box::default(), draw: None };
        }
        let draw = (weights.len() > FEW).then(|| WeightedDraw::new(weights));
        Self { weights: weights.into(), draw }
    }

    /// In proportion to weight over load, all of them looked at.
    fn among_few(&self, hosts: &Hosts<'_>, rng: &mut dyn Rng) -> HostIdx {
        let share = |place: usize| self.weights[place] as f64 / (f64::from(hosts.at(place).1.active()) + 1.0);
        let total: f64 = (0..self.weights.len()).map(share).sum();
        let mut point = fraction(rng) * total;
        for place in 0..self.weights.len() {
            point -= share(place);
            if point < 0.0 {
                return hosts.at(place).0;
            }
        }
        // Rounding may leave a rest behind the last one.
        hosts.at(self.weights.len() - 1).0
    }

    /// The same by rejection, measured by the least busy of a sample.
    fn among_many(draw: &WeightedDraw, hosts: &Hosts<'_>, rng: &mut dyn Rng) -> HostIdx {
        let next = |rng: &mut dyn Rng| {
            let (index, host) = hosts.at(draw.draw(rng));
            (index, host.active())
        };
        let sample: [(HostIdx, u32); SAMPLE] = std::array::from_fn(|_| next(rng));
        let mut least = sample[0];
        for candidate in sample {
            if candidate.1 < least.1 {
                least = candidate;
            }
        }
        let accepts = |active: u32, rng: &mut dyn Rng| {
            active <= least.1 || fraction(rng) * (f64::from(active) + 1.0) < f64::from(least.1) + 1.0
        };
        for (index, active) in sample {
            if accepts(active, rng) {
                return index;
            }
        }
        for _ in 0..DRAWS {
            let (index, active) = next(rng);
            if accepts(active, rng) {
                return index;
            }
        }
        least.0
    }
}

impl Picker for LeastRequest {
    fn pick(&self, hosts: &Hosts<'_>, _: Choice, rng: &mut dyn Rng) -> HostIdx {
        match &self.draw {
            Some(draw) => Self::among_many(draw, hosts, rng),
            None if !self.weights.is_empty() => self.among_few(hosts, rng),
            None => {
                let (first, second) = (hosts.random(rng), hosts.random(rng));
                if first.1.active() <= second.1.active() { first.0 } else { second.0 }
            }
        }
    }
}

/// A number in 0..1, of 53 random bits.
fn fraction(rng: &mut dyn Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
