//! `meshctl analyze`: all documents together.

use clap::Args;
use mesh_config::ConfigSet;

use super::input::Input;
use super::output::{Outcome, Output, Shape};

/// Check all documents together, as `istioctl analyze` does.
///
/// A reference to something that no document defines is a finding, so give all files of a mesh at once.
#[derive(Debug, Args)]
pub(crate) struct Analyze {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
}

impl Analyze {
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        let mut loaded = self.input.load()?;
        let (set, duplicates) = ConfigSet::from_documents(std::mem::take(&mut loaded.documents));
        loaded.report.extend(duplicates);
        loaded.report.extend(set.validate());
        loaded.report.extend(set.analyze());
        loaded.report.locate();
        self.output.print(&loaded, Shape::Findings)
    }
}
