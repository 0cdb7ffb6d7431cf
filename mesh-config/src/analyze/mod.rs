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
mod tests;
