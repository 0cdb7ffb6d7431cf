//! Findings that need more than one object, one file per analyzer.
//!
//! A new analyzer is a file with a type that implements [`Analyzer`], and an entry in [`ANALYZERS`]. What breaks a
//! rule within one object belongs to [`crate::validate`].

mod conflicting_hosts;
mod deprecated;
mod impossible_ejection;
mod many_tries;
mod mirror_loop;
mod references;
mod whole_pool_ejection;

// Ours, beyond what Istio's own analyzers find, and what they share.
mod cover;
mod doubled_mirror;
mod empty_subset;
mod endpoints;
mod evaded_denial;
mod fault_and_retries;
mod identity_without_mtls;
mod open_policy;
mod overruled_peer_mode;
mod partial_regex;
mod pattern;
mod peer_mode;
mod port_policy;
mod repeated_post;
mod rewrite_slashes;
mod rules;
mod shadowed_routes;
mod split_match;
mod tls_conflict;
mod tries_over_timeout;
mod unmatchable;
mod unmatchable_principal;
mod weights;
mod without_mesh;

use crate::diagnostic::{Code, Report};
use crate::set::ConfigSet;

/// Something that looks at all objects together.
pub trait Analyzer: Sync {
    /// The codes that it may report.
    fn codes(&self) -> &'static [Code];

    /// Looks, and reports.
    fn analyze(&self, set: &ConfigSet, out: &mut Report);
}

/// Every analyzer, in the order in which they run.
pub static ANALYZERS: &[&dyn Analyzer] = &[
    &references::References,
    &conflicting_hosts::ConflictingHosts,
    &impossible_ejection::ImpossibleEjection,
    &deprecated::Deprecated,
    &empty_subset::EmptySubset,
    &without_mesh::WithoutMesh,
    &shadowed_routes::ShadowedRoutes,
    &unmatchable::Unmatchable,
    &partial_regex::PartialRegex,
    &split_match::SplitMatch,
    &rewrite_slashes::RewriteSlashes,
    &weights::Weights,
    &doubled_mirror::DoubledMirror,
    &repeated_post::RepeatedPost,
    &tries_over_timeout::TriesOverTimeout,
    &fault_and_retries::FaultAndRetries,
    &port_policy::PortPolicy,
    &tls_conflict::TlsConflict,
    &overruled_peer_mode::OverruledPeerMode,
    &open_policy::OpenPolicy,
    &unmatchable_principal::UnmatchablePrincipal,
    &identity_without_mtls::IdentityWithoutMtls,
    &evaded_denial::EvadedDenial,
    &mirror_loop::MirrorLoop,
    &many_tries::ManyTries,
    &whole_pool_ejection::WholePoolEjection,
];

/// The domain that short names are completed with. Findings compare completed names with each other only, so that any
/// would do.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// The name that stands for the sidecars of the mesh.
const MESH: &str = "mesh";

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
