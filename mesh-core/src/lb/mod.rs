//! Load balancing: which endpoint of a cluster takes a try.
//!
//! A [`HostSet`] is built when endpoints or their health change, so that choosing costs neither a
//! lock nor an allocation: rings, tables and rounds stand ready. Whoever chooses next after an ejection
//! builds a new set, and while endpoints warm up so does whoever finds the set [stale](HostSet::is_stale).
//!
//! A choice goes down three steps, as in Envoy: a level of endpoints (`priorities`), a locality of
//! the level where localities have weights ([`locality`]), an endpoint by the cluster's algorithm.

mod host_set;
mod least_request;
pub mod locality;
mod maglev;
mod priorities;
mod random;
mod ring;
mod round_robin;
mod turns;
pub mod warm_up;
mod weighted_draw;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::Rng;
use crate::cluster::endpoint::EndpointState;

pub use host_set::{Cursors, HostSet};
pub use locality::LocalitySpec;
pub use warm_up::WarmUp;

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LbSpec {
    /// Of two endpoints the one with fewer requests (`LEAST_REQUEST`, `LEAST_CONN`, unset).
    #[default]
    LeastRequest,
    /// Any (`RANDOM`).
    Random,
    /// One after the other, by weight (`ROUND_ROBIN`).
    RoundRobin,
    /// By the request's hash, on a ring (`consistentHash`, `ringHash`).
    RingHash {
        /// Least number of entries; 1024 unless set, 8 Mi at most. Eight bytes each for every set of endpoints:
        /// 64 MiB for the largest, built anew when an endpoint is ejected or comes back.
        minimum_size: u64,
    },
    /// By the request's hash, in a table (`consistentHash.maglev`).
    Maglev {
        /// Number of places, a prime; 65537 unless set, 5000011 at most. Four bytes each: 256 KiB, or 20 MB.
        table_size: u64,
    },
}

impl LbSpec {
    /// A ring of at least so many entries; 0 for the usual 1024.
    pub const fn ring_hash(minimum_size: u64) -> Self {
        Self::RingHash { minimum_size: if minimum_size == 0 { ring::MINIMUM_SIZE } else { minimum_size } }
    }

    /// A table of so many places; 0 for the usual 65537.
    pub const fn maglev(table_size: u64) -> Self {
        Self::Maglev { table_size: if table_size == 0 { maglev::TABLE_SIZE } else { table_size } }
    }

    /// Whether the request's hash decides.
    pub const fn is_by_hash(self) -> bool {
        matches!(self, Self::RingHash { .. } | Self::Maglev { .. })
    }
}

/// Everything in a cluster that decides about a choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance<'a> {
    /// The algorithm.
    pub lb: LbSpec,
    /// With less than so many percent of healthy endpoints all of them are chosen from; 0 for never.
    pub panic_threshold: u32,
    /// What localities have to do with it.
    pub locality: &'a LocalitySpec,
    /// How new endpoints begin.
    pub warm_up: Option<WarmUp>,
}

impl From<LbSpec> for Balance<'static> {
    /// An algorithm alone.
    fn from(lb: LbSpec) -> Self {
        Self { lb, panic_threshold: 0, locality: LocalitySpec::NONE, warm_up: None }
    }
}

/// An endpoint's place in a [`HostSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostIdx(pub u32);

/// What one choice may look at.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// The request's hash, where the cluster balances by one; any endpoint without it.
    pub hash: Option<u64>,
    /// Endpoints of earlier tries, in order.
    pub tried: &'a [Arc<EndpointState>],
    /// Whether those are to be avoided if there are others (`retryIgnorePreviousHosts`).
    pub avoid_tried: bool,
    /// Whether every second try is to leave out the levels of those (`retryRemoteLocalities`). Means
    /// nothing where a hash decides.
    pub elsewhere: bool,
    /// Now.
    pub now: Instant,
}

impl Pick<'_> {
    /// A first try without a hash.
    pub const fn first(now: Instant) -> Self {
        Self { hash: None, tried: &[], avoid_tried: false, elsewhere: false, now }
    }
}

/// A way of choosing. Shares must be as Envoy's; the exact sequence need not be.
trait Picker: fmt::Debug + Send + Sync {
    /// Chooses among `hosts`, of which there is at least one.
    fn pick(&self, hosts: &Hosts<'_>, choice: Choice, rng: &mut dyn Rng) -> HostIdx;
}

/// What one choice goes by, where it goes by a hash.
#[derive(Clone, Copy, Debug, Default)]
struct Choice {
    hash: u64,
    /// Choices for the same try before this one, which were put back.
    attempt: usize,
}

/// The endpoints that may be chosen.
#[derive(Debug)]
struct Hosts<'a> {
    all: &'a [Arc<EndpointState>],
    /// Indexes of those to choose from.
    eligible: &'a [u32],
}

impl Hosts<'_> {
    fn at(&self, place: usize) -> (HostIdx, &EndpointState) {
        let index = self.eligible[place];
        (HostIdx(index), &self.all[index as usize])
    }

    fn random(&self, rng: &mut dyn Rng) -> (HostIdx, &EndpointState) {
        self.at(rng.below(self.eligible.len() as u64) as usize)
    }
}

/// An endpoint for a ring or a table.
#[derive(Clone, Debug)]
struct Weighted {
    index: u32,
    /// What is hashed to find its places: its address, as Envoy writes it.
    key: String,
    /// Its share of the whole, 0 to 1.
    share: f64,
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
