//! `meshctl analyze`: all documents together.

use clap::Args;
use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, Object, ObjectMeta};

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
        let (mut set, duplicates) = ConfigSet::from_documents(std::mem::take(&mut loaded.documents));
        loaded.report.extend(duplicates);
        if let Some(namespace) = &self.input.root_namespace {
            set_root_namespace(&mut set, namespace);
        }
        loaded.report.extend(set.validate());
        loaded.report.extend(set.analyze());
        loaded.report.locate();
        self.output.print(&loaded, Shape::Findings)
    }
}

fn set_root_namespace(set: &mut ConfigSet, namespace: &str) {
    let there = set.mesh_configs().next().cloned();
    let mut mesh = there.unwrap_or_else(|| Object::new(ObjectMeta::new(namespace, "istio"), MeshConfig::default()));
    mesh.spec.root_namespace = Some(namespace.to_owned());
    set.upsert(mesh.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_namespace_that_is_named_counts_more_than_that_of_the_mesh_config() {
        let (documents, _) = mesh_config::parse("f", "rootNamespace: one\ntrustDomain: td\n");
        for documents in [documents, Vec::new()] {
            let (mut set, _) = ConfigSet::from_documents(documents);
            set_root_namespace(&mut set, "two");
            assert_eq!(set.mesh_config().map(MeshConfig::root_namespace), Some("two"));
        }
    }
}
