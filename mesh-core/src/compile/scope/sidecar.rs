//! Which Sidecar applies to a workload. One does, at most; they are never merged.

use mesh_config::api::{MeshConfig, Sidecar};
use mesh_config::value::labels;
use mesh_config::{ConfigSet, Object};

use crate::Site;

/// The first one of its namespace that selects the workload, else its namespace's without a
/// selector, else the root namespace's without one.
pub(super) fn applying<'a>(set: &'a ConfigSet, mesh: &MeshConfig, site: &Site) -> Option<&'a Object<Sidecar>> {
    let of_namespace = |namespace: &str| {
        let namespace = namespace.to_owned();
        set.sidecars().filter(move |sidecar| sidecar.meta.namespace == namespace)
    };
    let selects = |sidecar: &&Object<Sidecar>| {
        let selector = sidecar.spec.workload_selector.as_ref();
        selector.is_some_and(|selector| labels::subset_of(&selector.labels, &site.labels))
    };
    let for_all = |sidecar: &&Object<Sidecar>| sidecar.spec.workload_selector.is_none();
    of_namespace(&site.namespace)
        .find(selects)
        .or_else(|| of_namespace(&site.namespace).find(for_all))
        .or_else(|| of_namespace(mesh.root_namespace()).find(for_all))
}
