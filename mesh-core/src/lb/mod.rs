//! Load balancing: which endpoint of a cluster takes a try.
//!
//! A [`HostSet`] is built when endpoints or their health change, so that choosing costs neither a
//! lock nor an allocation: the list of endpoints to choose from stands ready. Whoever ejects an
//! endpoint builds a new set.
//!
//! Consistent hashing, locality and warm-up are not here yet: a cluster that asks for a hash
//! chooses at random, as Envoy does for a request without a hash.

mod least_request;
mod panic_mode;
mod random;
mod round_robin;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use crate::Rng;
use crate::cluster::endpoint::EndpointState;

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LbSpec {
    /// Of two endpoints the one with fewer requests (`LEAST_REQUEST`, `LEAST_CONN`, unset).
    #[default]
    LeastRequest,
    /// Any (`RANDOM`, and consistent hashing for now).
    Random,
    /// One after the other, by weight (`ROUND_ROBIN`).
    RoundRobin,
}

/// An endpoint's place in a [`HostSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostIdx(pub u32);

/// What one choice may look at.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// The request's hash, where the cluster balances by one.
    pub hash: Option<u64>,
    /// Endpoints of earlier tries, to be avoided if there are others.
    pub tried: &'a [Arc<EndpointState>],
    /// Now.
    pub now: Instant,
}

impl Pick<'_> {
    /// A first try without a hash.
    pub const fn first(now: Instant) -> Self {
        Self { hash: None, tried: &[], now }
    }
}

/// A way of choosing. Shares must be as Envoy's; the exact sequence need not be.
trait Picker: fmt::Debug + Send + Sync {
    /// Chooses among `hosts`, of which there is at least one.
    fn pick(&self, hosts: &Hosts, pick: &Pick<'_>, rng: &mut dyn Rng) -> HostIdx;
}

/// The endpoints that may be chosen.
#[derive(Debug)]
struct Hosts {
    all: Box<[Arc<EndpointState>]>,
    /// Indexes of those to choose from.
    eligible: Box<[u32]>,
    equal_weights: bool,
}

impl Hosts {
    fn at(&self, place: usize) -> (HostIdx, &EndpointState) {
        let index = self.eligible[place];
        (HostIdx(index), &self.all[index as usize])
    }

    fn random(&self, rng: &mut dyn Rng) -> (HostIdx, &EndpointState) {
        self.at(rng.below(self.eligible.len() as u64) as usize)
    }
}

/// The endpoints of a cluster at one moment, ready to choose from.
#[derive(Debug)]
pub struct HostSet {
    hosts: Hosts,
    picker: Box<dyn Picker>,
    healthy: usize,
}

/// How often a host that was tried before is put back for another one, as Envoy's
/// `host_selection_retry_max_attempts` in Istio.
const RESELECTIONS: usize = 5;

impl HostSet {
    /// A set of endpoints in listed order. `panic_threshold` in percent: with fewer healthy
    /// endpoints all of them are chosen from. `cursor` goes from one set of a cluster to the next, so
    /// that a round goes on where it was.
    pub fn new(spec: LbSpec, panic_threshold: u32, hosts: Vec<Arc<EndpointState>>, cursor: &Arc<AtomicU64>) -> Self {
        let healthy: Vec<u32> =
            (0_u32..).zip(&hosts).filter(|(_, host)| !host.is_ejected()).map(|(index, _)| index).collect();
        let count = healthy.len();
        let eligible = if panic_mode::is_on(count, hosts.len(), panic_threshold) {
            (0..hosts.len() as u32).collect()
        } else {
            healthy
        };
        let weight = |index: &u32| hosts[*index as usize].spec().weight;
        let equal_weights = eligible.windows(2).all(|pair| weight(&pair[0]) == weight(&pair[1]));
        let weights: Vec<u32> = eligible.iter().map(weight).collect();
        let picker: Box<dyn Picker> = match spec {
            LbSpec::LeastRequest => Box::new(least_request::LeastRequest),
            LbSpec::Random => Box::new(random::Random),
            LbSpec::RoundRobin => Box::new(round_robin::RoundRobin::new(&weights, Arc::clone(cursor))),
        };
        Self { hosts: Hosts { all: hosts.into(), eligible: eligible.into(), equal_weights }, picker, healthy: count }
    }

    /// Chooses an endpoint; `None` if there is none to choose.
    ///
    /// One that was tried before is put back up to five times, then taken after all.
    pub fn pick(&self, pick: &Pick<'_>, rng: &mut dyn Rng) -> Option<HostIdx> {
        if self.hosts.eligible.is_empty() {
            return None;
        }
        let mut chosen = self.picker.pick(&self.hosts, pick, rng);
        if pick.tried.is_empty() {
            return Some(chosen);
        }
        for _ in 0..RESELECTIONS {
            let address = self.hosts.all[chosen.0 as usize].address();
            if pick.tried.iter().all(|tried| tried.address() != address) {
                break;
            }
            chosen = self.picker.pick(&self.hosts, pick, rng);
        }
        Some(chosen)
    }

    /// An endpoint.
    pub fn host(&self, index: HostIdx) -> Option<&Arc<EndpointState>> {
        self.hosts.all.get(index.0 as usize)
    }

    /// All endpoints, in listed order.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<EndpointState>> {
        self.hosts.all.iter()
    }

    /// Endpoints that are not ejected.
    pub fn healthy(&self) -> usize {
        self.healthy
    }

    /// Whether there is anything to choose from.
    pub fn has_choice(&self) -> bool {
        !self.hosts.eligible.is_empty()
    }
}

#[cfg(test)]
mod tests;
