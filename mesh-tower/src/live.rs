//! The version in use: an immutable snapshot and the state that outlives it.
//!
//! A request takes one [`Live`] and keeps it to its end, so routing, limits and endpoints all come
//! from one version. Publishing swaps a pointer. What a cluster has learned (open connections,
//! ejections, requests in flight) passes to the next version if the cluster stays the same.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh_core::cluster::{ClusterId, ClusterKey};
use mesh_core::snapshot::Snapshot;

use crate::cluster::{ClusterHandle, Environment};
use crate::explained::Compiled;
use crate::inbound::RuleKeys;

/// Everything one request needs, frozen together.
#[derive(Debug, Default)]
pub struct Live {
    version: u64,
    snapshot: Snapshot,
    clusters: Box<[Arc<ClusterHandle>]>,
    /// Of the rules about tokens.
    rule_keys: Box<[RuleKeys]>,
    /// Whether every source of the configuration has a say in it: before that, nobody is served.
    complete: bool,
    /// None before the first configuration.
    compiled: Option<Compiled>,
}

impl Live {
    /// The version after `previous`: clusters that stay what they were keep their state. `complete`: every source of the
    /// configuration has delivered.
    pub(crate) fn next(
        previous: &Self,
        (snapshot, compiled, complete): (Snapshot, Compiled, bool),
        environment: &Environment,
    ) -> Self {
        let known: HashMap<&ClusterKey, &Arc<ClusterHandle>> =
            previous.clusters.iter().map(|handle| (&handle.spec().key, handle)).collect();
        let clusters = snapshot
            .clusters()
            .iter()
            .map(|spec| match known.get(&spec.key) {
                Some(handle) if handle.spec() == spec => Arc::clone(handle),
                Some(handle) => Arc::new(handle.successor(Arc::clone(spec), environment)),
                None => Arc::new(ClusterHandle::new(Arc::clone(spec), environment)),
            })
            .collect();
        if let Some(metrics) = &environment.metrics {
            metrics.follow(snapshot.telemetry());
        }
        let rule_keys = RuleKeys::of(snapshot.authentication().rules(), &previous.rule_keys);
        Self { version: previous.version + 1, snapshot, clusters, rule_keys, complete, compiled: Some(compiled) }
    }

    /// Counts accepted configurations; 0 before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What requests are decided by.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The keys of a rule about tokens, by its place.
    pub(crate) fn rule_keys(&self, rule: usize) -> Option<&RuleKeys> {
        self.rule_keys.get(rule)
    }

    /// Whether every source of the configuration has delivered. Before that a policy may be missing that keeps somebody out.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// What the snapshot was compiled from.
    pub(crate) fn compiled(&self) -> Option<&Compiled> {
        self.compiled.as_ref()
    }

    pub(crate) fn clusters(&self) -> &[Arc<ClusterHandle>] {
        &self.clusters
    }

    pub(crate) fn cluster(&self, id: ClusterId) -> Option<&Arc<ClusterHandle>> {
        self.clusters.get(id.0 as usize)
    }
}

/// The place where the current [`Live`] hangs; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveHandle(Arc<ArcSwap<Live>>);

impl LiveHandle {
    pub(crate) fn current(&self) -> Arc<Live> {
        self.0.load_full()
    }

    pub(crate) fn publish(&self, live: Live) {
        self.0.store(Arc::new(live));
    }
}
