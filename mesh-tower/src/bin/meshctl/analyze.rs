//! `meshctl analyze`: all documents together.

use std::time::SystemTime;

use clap::Args;
use mesh_config::ConfigSet;
use mesh_config::analyze::{Inventory, Options};

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
    /// The documents show a whole cluster: a service, pod, secret or namespace that is not among them does not exist.
    #[arg(long)]
    cluster: bool,
}

impl Analyze {
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        let mut loaded = self.input.load(false)?;
        let (set, duplicates) = ConfigSet::from_documents(std::mem::take(&mut loaded.documents));
        loaded.report.extend(duplicates);
        loaded.report.extend(set.validate());
        loaded.report.extend(set.analyze_with(&self.options()));
        loaded.report.locate();
        self.output.print(&loaded, Shape::Findings)
    }

    fn options(&self) -> Options {
        let inventory = if self.cluster { Inventory::Cluster } else { Inventory::Configuration };
        let options = Options::default().inventory(inventory).now(now());
        match &self.input.root_namespace {
            Some(namespace) => options.root_namespace(namespace),
            None => options,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "whether a certificate has expired is a matter of today")]
fn now() -> SystemTime {
    SystemTime::now()
}
