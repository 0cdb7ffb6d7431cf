//! Counts what policies on trial would have decided.

use std::sync::atomic::{AtomicU64, Ordering};

use mesh_core::authz::{DryRun, Trial};

/// How often policies with the annotation `istio.io/dry-run` would have let a request go on, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DryRunCounts {
    /// `ALLOW` policies would have allowed.
    pub allow_allowed: u64,
    /// `ALLOW` policies would have denied.
    pub allow_denied: u64,
    /// `DENY` policies would have allowed.
    pub deny_allowed: u64,
    /// `DENY` policies would have denied.
    pub deny_denied: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Trials {
    allow: [AtomicU64; 2],
    deny: [AtomicU64; 2],
}

impl Trials {
    pub(super) fn count(&self, dry_run: &DryRun<'_>) {
        let count = |counters: &[AtomicU64; 2], trial: Option<Trial<'_>>| {
            if let Some(trial) = trial {
                counters[usize::from(trial.allowed)].fetch_add(1, Ordering::Relaxed);
            }
        };
        count(&self.allow, dry_run.allow);
        count(&self.deny, dry_run.deny);
    }

    pub(crate) fn counts(&self) -> DryRunCounts {
        let [allow_denied, allow_allowed] = self.allow.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        let [deny_denied, deny_allowed] = self.deny.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        DryRunCounts { allow_allowed, allow_denied, deny_allowed, deny_denied }
    }
}
