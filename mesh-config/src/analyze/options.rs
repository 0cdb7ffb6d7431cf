//! What an analysis takes for granted.

use std::time::SystemTime;

use super::Analyzer;
use crate::api::MeshConfig;

/// What an analysis takes for granted, and which part of it runs.
///
/// The namespace of objects that name none is not among this: it is settled when they are read
/// ([`ParseOptions::default_namespace`](crate::ParseOptions::default_namespace)).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// How much of the cluster the objects show (default: only the configuration).
    pub inventory: Inventory,
    /// The namespace whose objects apply everywhere. Unset: what the MeshConfig says, else `istio-system`.
    pub root_namespace: Option<String>,
    /// The MeshConfig. Unset: the one among the objects, if there is one.
    pub mesh_config: Option<MeshConfig>,
    /// Whether an ingress gateway as Istio installs it is taken to be in the root namespace (default: yes): pods labelled
    /// `istio: ingressgateway` behind a service with the ports 80, 443, 15443 and 31400. Files hardly ever show it.
    pub ingress_gateway: bool,
    /// The time by which certificates are judged. Unset: whether they have expired is not looked at.
    pub now: Option<SystemTime>,
    /// Names of the analyzers that run. Empty: all.
    pub only: Vec<String>,
}

/// How much of the cluster the objects show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Inventory {
    /// The configuration of the mesh. Services, pods, secrets and namespaces may be elsewhere, so that one which is missing
    /// is no finding, as with `istioctl analyze --use-kube=false`.
    #[default]
    Configuration,
    /// Everything: what is not there does not exist.
    Cluster,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            inventory: Inventory::default(),
            root_namespace: None,
            mesh_config: None,
            ingress_gateway: true,
            now: None,
            only: Vec::new(),
        }
    }
}

impl Options {
    /// Says how much of the cluster the objects show.
    #[must_use]
    pub fn inventory(mut self, inventory: Inventory) -> Self {
        self.inventory = inventory;
        self
    }

    /// Sets the namespace whose objects apply everywhere.
    #[must_use]
    pub fn root_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.root_namespace = Some(namespace.into());
        self
    }

    /// Sets the MeshConfig.
    #[must_use]
    pub fn mesh_config(mut self, mesh_config: MeshConfig) -> Self {
        self.mesh_config = Some(mesh_config);
        self
    }

    /// Says whether an ingress gateway as Istio installs it is taken to be there.
    #[must_use]
    pub fn ingress_gateway(mut self, is_there: bool) -> Self {
        self.ingress_gateway = is_there;
        self
    }

    /// Sets the time by which certificates are judged.
    #[must_use]
    pub fn now(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Runs only the analyzers of these names.
    #[must_use]
    pub fn only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.only = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether an analyzer is to run.
    pub(super) fn runs(&self, analyzer: &dyn Analyzer) -> bool {
        let is_asked = self.only.is_empty() || self.only.iter().any(|name| name == analyzer.name());
        is_asked && (self.inventory == Inventory::Cluster || !analyzer.needs_cluster())
    }
}
