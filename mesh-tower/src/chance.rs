//! Where the request path draws from.

use std::cell::RefCell;
use std::sync::Mutex;

use http::Extensions;
use mesh_core::{Rng, SplitMix64};

/// A source of chance that any number of requests may share.
///
/// Without a seed each thread has a fast generator of its own; with one all requests draw from one
/// reproducible sequence, which is for tests.
#[derive(Debug, Default)]
pub(crate) struct Chance {
    seeded: Option<Mutex<SplitMix64>>,
}

impl Chance {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self { seeded: seed.map(|seed| Mutex::new(SplitMix64::new(seed))) }
    }

    /// Runs `draw`, which is the one of a request for its split and its mirrors, with a generator; in a test, with the
    /// [roll](crate::testing::Roll) that the request carries.
    #[cfg_attr(not(feature = "testing"), expect(unused_variables, reason = "only a test pins rolls"))]
    pub(crate) fn for_route<T>(&self, extensions: &Extensions, draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
        #[cfg(feature = "testing")]
        if let Some(roll) = extensions.get::<crate::testing::Roll>() {
            return draw(&mut Pinned(roll.0));
        }
        self.with(draw)
    }

    /// Runs `draw` with a generator.
    pub(crate) fn with<T>(&self, draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
        match &self.seeded {
            None => LOCAL.with_borrow_mut(|rng| draw(rng)),
            Some(shared) => draw(&mut *shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
        }
    }
}

struct Fast(fastrand::Rng);

impl Rng for Fast {
    fn next_u64(&mut self) -> u64 {
        self.0.u64(..)
    }
}

#[cfg(feature = "testing")]
struct Pinned(u64);

#[cfg(feature = "testing")]
impl Rng for Pinned {
    fn next_u64(&mut self) -> u64 {
        self.0
    }
}

thread_local! {
    static LOCAL: RefCell<Fast> = RefCell::new(Fast(fastrand::Rng::new()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_chance_reproducible() {
        let (a, b) = (Chance::new(Some(3)), Chance::new(Some(3)));
        assert!((0..50).all(|_| a.with(|rng| rng.next_u64()) == b.with(|rng| rng.next_u64())));
    }
}
