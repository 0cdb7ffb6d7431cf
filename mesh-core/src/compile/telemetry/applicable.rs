//! Which Telemetry resources are for a workload, the widest first.

use mesh_config::api::telemetry::{AccessLogging, Metrics, Tracing};
use mesh_config::api::{MeshConfig, Telemetry};
use mesh_config::{ConfigSet, Object};

use crate::Site;
use crate::selection::{Selecting, Selection};

/// At most three: that of the mesh, that of the namespace, that of the workload; of several at one level the oldest.
#[derive(Debug)]
pub(super) struct Applicable<'s> {
    layers: Vec<&'s Object<Telemetry>>,
}

impl<'s> Applicable<'s> {
    pub(super) fn of(set: &'s ConfigSet, mesh: &MeshConfig, site: &Site) -> Self {
        let root = mesh.root_namespace();
        let wide = |namespace: &str| {
            set.telemetries().find(|object| object.meta.namespace == namespace && !has_target(&object.spec))
        };
        let selection = Selection::of(site, mesh);
        let chosen = |namespace: &str| {
            set.telemetries().find(|object| {
                object.meta.namespace == namespace && has_target(&object.spec) && selection.applies(object)
            })
        };
        let of_namespace = if site.namespace == root { None } else { wide(&site.namespace) };
        let of_workload = chosen(&site.namespace).or_else(|| chosen(root));
        Self { layers: [wide(root), of_namespace, of_workload].into_iter().flatten().collect() }
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &'s Object<Telemetry>> {
        self.layers.iter().copied()
    }

    pub(super) fn metrics(&self) -> impl Iterator<Item = (&'s Object<Telemetry>, usize, &'s Metrics)> {
        self.objects().flat_map(|object| {
            object.spec.metrics.iter().enumerate().map(move |(index, metrics)| (object, index, metrics))
        })
    }

    pub(super) fn tracing(&self) -> impl Iterator<Item = &'s Tracing> {
        self.objects().flat_map(|object| &object.spec.tracing)
    }

    /// What each level says of access logs, where it says anything.
    pub(super) fn logging(&self) -> impl Iterator<Item = (&'s Object<Telemetry>, &'s [AccessLogging])> {
        let levels = self.objects().map(|object| (object, object.spec.access_logging.as_slice()));
        levels.filter(|(_, logging)| !logging.is_empty())
    }
}

/// Whether it is for some workloads only.
fn has_target(telemetry: &Telemetry) -> bool {
    let (single, several) = telemetry.targets();
    let selects = telemetry.selector.as_ref().is_some_and(|selector| !selector.match_labels.is_empty());
    selects || single.is_some() || !several.is_empty()
}
