//! What every analyzer is given.

use std::cell::OnceCell;

use super::services::Services;
use super::workloads::Workloads;
use super::{Inventory, Options};
use crate::api::MeshConfig;
use crate::api::kubernetes::{Namespace, Secret};
use crate::resource::{Kind, Object, Resource, ResourceId};
use crate::set::ConfigSet;

/// The objects, what is taken for granted about them, and the indexes that several analyzers need.
///
/// An index is built when the first analyzer asks for it.
#[derive(Debug)]
pub struct Context<'a> {
    /// The objects.
    pub set: &'a ConfigSet,
    options: &'a Options,
    workloads: OnceCell<Workloads<'a>>,
    services: OnceCell<Services<'a>>,
}

impl<'a> Context<'a> {
    /// The context of one analysis.
    #[must_use]
    pub fn new(set: &'a ConfigSet, options: &'a Options) -> Self {
        Self { set, options, workloads: OnceCell::new(), services: OnceCell::new() }
    }

    /// What is taken for granted.
    #[must_use]
    pub fn options(&self) -> &'a Options {
        self.options
    }

    /// Whether what is not among the objects does not exist.
    #[must_use]
    pub fn is_whole_cluster(&self) -> bool {
        self.options.inventory == Inventory::Cluster
    }

    /// The MeshConfig, where there is one.
    #[must_use]
    pub fn mesh_config(&self) -> Option<&'a MeshConfig> {
        self.options.mesh_config.as_ref().or_else(|| self.set.mesh_config())
    }

    /// The namespace whose objects apply everywhere.
    #[must_use]
    pub fn root_namespace(&self) -> &'a str {
        let configured = || self.mesh_config().map_or(ROOT_NAMESPACE, MeshConfig::root_namespace);
        self.options.root_namespace.as_deref().unwrap_or_else(configured)
    }

    /// The pods, by namespace and label.
    pub(super) fn workloads(&self) -> &Workloads<'a> {
        self.workloads.get_or_init(|| Workloads::of(self))
    }

    /// The services, by host and by who sees them.
    pub(super) fn services(&self) -> &Services<'a> {
        self.services.get_or_init(|| Services::of(self.set))
    }

    /// The Namespace of that name.
    pub(super) fn namespace(&self, name: &str) -> Option<&'a Object<Namespace>> {
        match &self.set.get(&ResourceId::new(Kind::Namespace, "", name))?.resource {
            Resource::Namespace(found) => Some(found),
            _ => None,
        }
    }

    /// The Secret of that name.
    pub(super) fn secret(&self, namespace: &str, name: &str) -> Option<&'a Object<Secret>> {
        match &self.set.get(&ResourceId::new(Kind::Secret, namespace, name))?.resource {
            Resource::Secret(found) => Some(found),
            _ => None,
        }
    }
}

const ROOT_NAMESPACE: &str = "istio-system";
