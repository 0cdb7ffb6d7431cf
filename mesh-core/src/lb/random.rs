//! `RANDOM`: any endpoint, each as likely.

use super::{HostIdx, Hosts, Pick, Picker};
use crate::Rng;

#[derive(Debug)]
pub(super) struct Random;

impl Picker for Random {
    fn pick(&self, hosts: &Hosts, _: &Pick<'_>, rng: &mut dyn Rng) -> HostIdx {
        hosts.random(rng).0
    }
}
