//! `meshctl validate`: each document by itself.

use clap::Args;
use mesh_config::validate::check;

use super::input::Input;
use super::output::{Outcome, Output, Shape};

/// Check each document by itself, as Istio's webhook does.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
}

impl Validate {
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        let mut loaded = self.input.load(self.output.lists_documents())?;
        for document in &loaded.documents {
            check(&document.resource, &mut loaded.report);
        }
        loaded.report.locate();
        self.output.print(&loaded, Shape::Documents)
    }
}
