//! [`Members`]: the endpoints of a cluster with their connections, and how they follow what a resolver says.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use mesh_core::Rng;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{ClusterSpec, DnsTarget, EndpointAddress, EndpointSpec};
use mesh_core::lb::{HostSet, Pick};
use tokio::sync::watch;

use super::Shared;
use crate::endpoint::{EndpointPool, PoolOptions};
use crate::telemetry::Group;

/// One endpoint with its connections.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) state: Arc<EndpointState>,
    pub(crate) pool: Arc<EndpointPool>,
    /// What requests to it count in, where they are counted.
    pub(crate) group: Option<Arc<Group>>,
}

/// The endpoints at one moment: what the balancer chooses from, and their pools by its index.
#[derive(Debug)]
pub(crate) struct Members {
    /// The health that the set of hosts was built for.
    pub(super) health: u64,
    pub(super) hosts: HostSet,
    pub(super) pools: Box<[Reach]>,
}

/// How an endpoint is reached, and what requests to it count in.
type Reach = (Arc<EndpointPool>, Option<Arc<Group>>);

impl Members {
    /// Chooses an endpoint; `None` if there is none to choose.
    pub(crate) fn pick(&self, pick: &Pick<'_>, rng: &mut dyn Rng) -> Option<Member> {
        let index = self.hosts.pick(pick, rng)?;
        let (state, (pool, group)) = (self.hosts.host(index)?, self.pools.get(index.0 as usize)?);
        Some(Member { state: Arc::clone(state), pool: Arc::clone(pool), group: group.clone() })
    }
}

/// What a resolver's answer changes.
pub(super) struct Update {
    pub(super) spec: Arc<ClusterSpec>,
    pub(super) shared: Arc<Shared>,
    pub(super) members: Arc<ArcSwap<Members>>,
    /// Which of the handles it is for.
    pub(super) number: u64,
    pub(super) first: watch::Sender<bool>,
}

impl Update {
    pub(super) fn apply(&self, answers: &[(DnsTarget, Vec<SocketAddr>)]) {
        let endpoints: Vec<_> = answers
            .iter()
            .flat_map(|(target, addresses)| addresses.iter().map(|address| endpoint_at(target, *address)))
            .collect();
        let known = members_of(&self.members.load());
        let members = members_at(&self.spec, &self.shared, &endpoints, &known);
        // A handle of an older version goes on for the requests that it has, and no more than that.
        let is_latest = self.shared.handles.load(Ordering::Acquire) == self.number;
        let build = if is_latest { members_from } else { set_of };
        self.members.store(Arc::new(build(&self.spec, &self.shared, members)));
        self.first.send_replace(true);
    }
}

pub(super) fn endpoint_at(target: &DnsTarget, address: SocketAddr) -> EndpointSpec {
    EndpointSpec {
        address: EndpointAddress::Socket(address),
        weight: target.weight,
        labels: target.labels.clone(),
        locality: target.locality.clone(),
        announced: target.announced.clone(),
    }
}

pub(super) fn members_of(members: &Members) -> Vec<Member> {
    let states = members.hosts.iter().cloned();
    states.zip(members.pools.iter().cloned()).map(|(state, (pool, group))| Member { state, pool, group }).collect()
}

pub(super) fn build_members(
    spec: &ClusterSpec,
    shared: &Shared,
    endpoints: &[EndpointSpec],
    known: &[Member],
) -> Members {
    members_from(spec, shared, members_at(spec, shared, endpoints, known))
}

/// Endpoints that stay keep their state and connections. The pool of one that goes closes when the last
/// request that may still choose it has ended.
fn members_at(spec: &ClusterSpec, shared: &Shared, endpoints: &[EndpointSpec], known: &[Member]) -> Vec<Member> {
    // Two names may lead to one address: those are two endpoints, as in Envoy.
    let mut left = HashMap::<&EndpointAddress, VecDeque<&Member>>::new();
    for member in known {
        left.entry(member.state.address()).or_default().push_back(member);
    }
    // All that come together are as old as each other.
    let now = crate::clock::now();
    endpoints
        .iter()
        .map(|endpoint| match left.get_mut(&endpoint.address).and_then(VecDeque::pop_front) {
            Some(member) if member.state.spec() == endpoint => member.clone(),
            Some(member) => Member {
                state: Arc::new(member.state.successor(endpoint.clone())),
                pool: Arc::clone(&member.pool),
                group: shared.counting.as_ref().map(|counting| counting.group_of(endpoint)),
            },
            None => Member {
                group: shared.counting.as_ref().map(|counting| counting.group_of(endpoint)),
                state: Arc::new(EndpointState::added(endpoint.clone(), now)),
                pool: EndpointPool::new(
                    endpoint.address.clone(),
                    PoolOptions::of(spec, &shared.network),
                    Arc::clone(&shared.permits),
                ),
            },
        })
        .collect()
}

/// Members that the detector is to watch from now on.
pub(super) fn members_from(spec: &ClusterSpec, shared: &Shared, members: Vec<Member>) -> Members {
    if let Some(detector) = &shared.detector {
        let states: Vec<_> = members.iter().map(|member| Arc::clone(&member.state)).collect();
        detector.set_hosts(&states);
    }
    set_of(spec, shared, members)
}

pub(super) fn set_of(spec: &ClusterSpec, shared: &Shared, members: Vec<Member>) -> Members {
    // Read before the endpoints are looked at: a change meanwhile makes this set an old one.
    let health = shared.health.load(Ordering::Acquire);
    let apart = |member: Member| (member.state, (member.pool, member.group));
    let (states, pools): (Vec<_>, Vec<Reach>) = members.into_iter().map(apart).unzip();
    Members {
        health,
        hosts: HostSet::new(&spec.balance(), states, &shared.cursors, crate::clock::now()),
        pools: pools.into(),
    }
}
