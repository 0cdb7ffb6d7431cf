use std::sync::Arc;
use std::time::Duration;

use mesh_core::limits::Permit;
use mesh_core::route::Share;
use tower_layer::Layer;

use super::Mirror;
use super::slots::{self, Slots};
use crate::chance::Chance;

/// Sends copies to another service.
#[derive(Clone, Debug)]
pub struct MirrorLayer<M> {
    pub(super) mirror: M,
    pub(super) share: Share,
    pub(super) timeout: Duration,
    chance: Arc<Chance>,
    pub(super) slots: Arc<Slots>,
}

impl<M> MirrorLayer<M> {
    /// Copies of `percent` (0 to 100) of the requests for `mirror`; each may take 15 s, and 1,024 may
    /// be under way at once.
    pub fn new(mirror: M, percent: f64) -> Self {
        Self {
            mirror,
            share: Share::percent(percent),
            timeout: Duration::from_secs(15),
            chance: Arc::default(),
            slots: Arc::new(Slots::new(slots::MOST)),
        }
    }

    /// Another time limit for a copy, from the end of the request's body to the end of its response.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Up to so many copies at once, through all services of this layer.
    #[must_use]
    pub fn max_copies(self, most: u32) -> Self {
        Self { slots: Arc::new(Slots::new(most)), ..self }
    }

    /// Makes the draws reproducible, for tests.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { chance: Arc::new(Chance::new(Some(seed))), ..self }
    }

    /// Copies under way.
    pub fn copies(&self) -> u32 {
        self.slots.in_use()
    }

    /// Copies that were due and not sent: too many at once, or no tokio runtime to run them.
    pub fn skipped(&self) -> u64 {
        self.slots.skipped()
    }

    /// Copies that were given up under way: they lay too far behind the body of the main call.
    pub fn cut(&self) -> u64 {
        self.slots.cut()
    }

    /// The slot of a copy, if one is due and may be sent.
    pub(super) fn draw(&self) -> Option<Permit> {
        let due = self.chance.with(|rng| self.share.is_hit(rng.next_u64()));
        if due { self.slots.take() } else { None }
    }
}

impl<S, M: Clone> Layer<S> for MirrorLayer<M> {
    type Service = Mirror<S, M>;

    fn layer(&self, inner: S) -> Mirror<S, M> {
        Mirror::new(inner, self.clone())
    }
}
