//! Findings that need more than one object, one file per analyzer.
//!
//! A new analyzer is a file with a type that implements [`Analyzer`], and an entry in [`ANALYZERS`].

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
pub static ANALYZERS: &[&dyn Analyzer] = &[];
