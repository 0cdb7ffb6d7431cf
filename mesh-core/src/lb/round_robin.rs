//! `ROUND_ROBIN`: one endpoint after the other, each as often as its weight says.

use crate::sync::atomic::AtomicU64;
use std::sync::Arc;

use super::turns::Turns;
use super::{Choice, HostIdx, Hosts, Picker};
use crate::Rng;

#[derive(Debug)]
pub(super) struct RoundRobin(Turns);

impl RoundRobin {
    pub(super) fn new(weights: &[u64], cursor: Arc<AtomicU64>) -> Self {
        Self(Turns::new(weights, cursor))
    }
}

impl Picker for RoundRobin {
    fn pick(&self, hosts: &Hosts<'_>, _: Choice, _: &mut dyn Rng) -> HostIdx {
        hosts.at(self.0.next()).0
    }
}
