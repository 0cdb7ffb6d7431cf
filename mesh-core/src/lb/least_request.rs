//! `LEAST_REQUEST`: of two endpoints drawn at random the one with fewer requests under way.
//!
//! With unequal weights an endpoint's share goes by its weight over its requests (plus one), as in
//! Envoy with an active request bias of 1.

use super::{HostIdx, Hosts, Pick, Picker};
use crate::Rng;
use crate::cluster::endpoint::EndpointState;

#[derive(Debug)]
pub(super) struct LeastRequest;

impl Picker for LeastRequest {
    fn pick(&self, hosts: &Hosts, _: &Pick<'_>, rng: &mut dyn Rng) -> HostIdx {
        if hosts.equal_weights {
            let (first, second) = (hosts.random(rng), hosts.random(rng));
            return if first.1.active() <= second.1.active() { first.0 } else { second.0 };
        }
        by_weight_over_load(hosts, rng)
    }
}

fn by_weight_over_load(hosts: &Hosts, rng: &mut dyn Rng) -> HostIdx {
    let share = |host: &EndpointState| f64::from(host.spec().weight) / (f64::from(host.active()) + 1.0);
    let every = || (0..hosts.eligible.len()).map(|place| hosts.at(place));
    let total: f64 = every().map(|(_, host)| share(host)).sum();
    // 53 random bits make a number in 0..1.
    let mut point = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 * total;
    for (index, host) in every() {
        point -= share(host);
        if point < 0.0 {
            return index;
        }
    }
    // Rounding may leave a rest behind the last one.
    hosts.at(hosts.eligible.len() - 1).0
}
