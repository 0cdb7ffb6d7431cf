//! [`BuildError`].

use std::fmt;
use std::sync::Arc;

use mesh_config::{Diagnostic, Report, Severity};

use crate::BoxError;
use crate::identity::BadMaterial;

/// Why a mesh did not start.
#[derive(Debug)]
pub struct BuildError {
    report: Arc<Report>,
    /// What could not be done, where it is not about the configuration.
    failed: Option<String>,
    source: Option<BoxError>,
}

impl BuildError {
    pub(super) fn of_report(report: Arc<Report>) -> Self {
        Self { report, failed: None, source: None }
    }

    pub(super) fn of_identity(name: &str, problem: BadMaterial) -> Self {
        let failed = format!("the certificates of {name} cannot be used");
        Self { report: Arc::default(), failed: Some(failed), source: Some(problem.into()) }
    }

    #[cfg(feature = "admin")]
    pub(super) fn of_admin(problem: BoxError) -> Self {
        let failed = "the admin server cannot start".to_owned();
        Self { report: Arc::default(), failed: Some(failed), source: Some(problem) }
    }

    pub(super) fn no_mesh_config(report: Report) -> Self {
        Self { source: Some("this is not a MeshConfig".into()), ..Self::of_report(Arc::new(report)) }
    }

    /// Everything that was found in the configuration.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(failed), Some(problem)) = (&self.failed, &self.source) {
            return write!(f, "{failed}: {problem}");
        }
        f.write_str("the configuration has errors")?;
        // What stands at the same place says more about it, such as that a value is a placeholder.
        let explains = |finding: &Diagnostic| {
            self.report.errors().any(|error| finding.origin.line > 0 && error.origin == finding.origin)
        };
        for finding in self.report.iter().filter(|finding| finding.severity == Severity::Error || explains(finding)) {
            write!(f, "\n{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
