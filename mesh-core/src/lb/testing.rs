//! Endpoints for tests of rings and tables.

use super::Weighted;

/// Endpoints of equal weight at addresses.
pub(super) fn equal(addresses: &[&str]) -> Vec<Weighted> {
    let share = 1.0 / addresses.len() as f64;
    let of = |(index, key): (u32, &&str)| Weighted { index, key: (*key).to_owned(), share };
    (0_u32..).zip(addresses).map(of).collect()
}

/// Endpoints of given weights.
pub(super) fn weighted(weights: &[u32]) -> Vec<Weighted> {
    let total: u32 = weights.iter().sum();
    let of = |(index, weight): (u32, &u32)| Weighted {
        index,
        key: format!("10.0.0.{index}:80"),
        share: f64::from(*weight) / f64::from(total),
    };
    (0_u32..).zip(weights).map(of).collect()
}
