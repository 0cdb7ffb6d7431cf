//! `RANDOM`: any endpoint, each as likely, whatever its weight.

use super::{Choice, HostIdx, Hosts, Picker};
use crate::Rng;

#[derive(Debug)]
pub(super) struct Random;

impl Picker for Random {
    fn pick(&self, hosts: &Hosts<'_>, _: Choice, rng: &mut dyn Rng) -> HostIdx {
        hosts.random(rng).0
    }
}
