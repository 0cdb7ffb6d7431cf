//! The objects that count, each once, in Istio's order.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::api::kubernetes::{
    Deployment, EndpointSlice, Endpoints, KubernetesGateway, Namespace, Node, Pod, Secret, Service,
};
use crate::api::{
    AuthorizationPolicy, DestinationRule, Gateway, MeshConfig, PeerAuthentication, ProxyConfig, RequestAuthentication,
    ServiceEntry, Sidecar, Telemetry, VirtualService, WorkloadEntry, WorkloadGroup,
};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::document::Document;
use crate::meta::{NamespacedName, Order};
use crate::resource::{Kind, Object, Resource, ResourceId};
use crate::{analyze, validate};

/// A set of objects, at most one for each kind, namespace and name.
///
/// Objects of a kind come in the order that decides in Istio who wins: the oldest first, then by name, then by
/// namespace. Objects without a time of creation, which is all that come from files, count as equally old and older
/// than those with one. There is one MeshConfig at most, whatever it is called.
///
/// ```
/// use mesh_config::{ConfigSet, parse};
///
/// let (documents, report) = parse("mesh.yaml", "
/// apiVersion: networking.istio.io/v1
/// kind: VirtualService
/// metadata: {name: reviews}
/// spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
/// ");
/// let (set, _) = ConfigSet::from_documents(documents);
/// assert!(report.is_empty() && set.validate().is_empty());
/// assert_eq!(set.virtual_services().count(), 1);
/// ```
#[derive(Clone, Default)]
pub struct ConfigSet {
    shelves: BTreeMap<Kind, Shelf>,
}

/// The names of the objects alone: what they say may be keys, and whoever holds a mesh prints it with the rest.
impl fmt::Debug for ConfigSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let documents = self.shelves.values().flat_map(|shelf| shelf.in_order.values());
        f.debug_set().entries(documents.map(|document| document.resource.id().to_string())).finish()
    }
}

/// The objects of one kind.
#[derive(Clone, Default)]
struct Shelf {
    in_order: BTreeMap<Order, Document>,
    orders: HashMap<NamespacedName, Order>,
}

impl ConfigSet {
    /// A set without objects.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A set of all the documents. Of two with the same kind, namespace and name the later one counts, which is
    /// reported.
    #[must_use]
    pub fn from_documents(documents: impl IntoIterator<Item = Document>) -> (Self, Report) {
        let mut set = Self::new();
        let mut report = Report::new();
        for document in documents {
            let (id, origin) = (document.resource.id(), document.origin.clone());
            if let Some(lost) = set.upsert(document) {
                let finding = Diagnostic::warning(
                    Code::DUPLICATE_RESOURCE,
                    format!("{id} is defined a second time; the definition at {} does not count", lost.origin),
                );
                report.push(finding.at(&origin).resource(id));
            }
        }
        (set, report)
    }

    /// Adds an object, and gives back the one that it replaces.
    pub fn upsert(&mut self, document: Document) -> Option<Document> {
        let kind = document.resource.kind();
        let shelf = self.shelves.entry(kind).or_default();
        let name = document.resource.meta().namespaced_name();
        let replaced = match kind {
            Kind::MeshConfig => std::mem::take(shelf).in_order.into_values().next(),
            _ => shelf.remove(&name),
        };
        let order = document.resource.meta().order();
        shelf.orders.insert(name, order.clone());
        shelf.in_order.insert(order, document);
        replaced
    }

    /// Takes an object out.
    pub fn remove(&mut self, id: &ResourceId) -> Option<Document> {
        let name = NamespacedName { namespace: id.namespace.clone(), name: id.name.clone() };
        self.shelves.get_mut(&id.kind)?.remove(&name)
    }

    /// Looks an object up.
    #[must_use]
    pub fn get(&self, id: &ResourceId) -> Option<&Document> {
        let name = NamespacedName { namespace: id.namespace.clone(), name: id.name.clone() };
        let shelf = self.shelves.get(&id.kind)?;
        shelf.in_order.get(shelf.orders.get(&name)?)
    }

    /// Every document, kind by kind.
    pub fn iter(&self) -> impl Iterator<Item = &Document> {
        self.shelves.values().flat_map(|shelf| shelf.in_order.values())
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelves.values().map(|shelf| shelf.in_order.len()).sum()
    }

    /// True if there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Istio's own configuration, where there is one.
    #[must_use]
    pub fn mesh_config(&self) -> Option<&MeshConfig> {
        self.mesh_configs().next().map(|object| &object.spec)
    }

    /// Checks every object by itself, as Istio's webhook does.
    #[must_use]
    pub fn validate(&self) -> Report {
        let mut report = Report::new();
        for document in self.iter() {
            validate::check(&document.resource, &mut report);
        }
        report.locate();
        report
    }

    /// Looks at the objects together, as `istioctl analyze` does with files.
    #[must_use]
    pub fn analyze(&self) -> Report {
        self.analyze_with(&analyze::Options::default())
    }

    /// Looks at the objects together.
    #[must_use]
    pub fn analyze_with(&self, options: &analyze::Options) -> Report {
        analyze::analyze(self, options)
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Resource> {
        self.shelves.get(&kind).into_iter().flat_map(|shelf| shelf.in_order.values().map(|document| &document.resource))
    }
}

macro_rules! typed_iterators {
    ($($(#[$doc:meta])* $vis:vis $method:ident: $kind:ident;)*) => {
        impl ConfigSet {
            $($(#[$doc])* $vis fn $method(&self) -> impl Iterator<Item = &Object<$kind>> {
                self.of_kind(Kind::$kind).filter_map(|resource| match resource {
                    Resource::$kind(object) => Some(object.as_ref()),
                    _ => None,
                })
            })*
        }
    };
}

typed_iterators! {
    /// The VirtualServices, in order.
    pub virtual_services: VirtualService;
    /// The DestinationRules, in order.
    pub destination_rules: DestinationRule;
    /// The Gateways, in order.
    pub gateways: Gateway;
    /// The ServiceEntries, in order.
    pub service_entries: ServiceEntry;
    /// The WorkloadEntries, in order.
    pub workload_entries: WorkloadEntry;
    /// The WorkloadGroups, in order.
    pub workload_groups: WorkloadGroup;
    /// The Sidecars, in order.
    pub sidecars: Sidecar;
    /// The ProxyConfigs, in order.
    pub proxy_configs: ProxyConfig;
    /// The AuthorizationPolicies, in order.
    pub authorization_policies: AuthorizationPolicy;
    /// The PeerAuthentications, in order.
    pub peer_authentications: PeerAuthentication;
    /// The RequestAuthentications, in order.
    pub request_authentications: RequestAuthentication;
    /// The Telemetries, in order.
    pub telemetries: Telemetry;
    /// Istio's own configuration with its place, one at most.
    pub mesh_configs: MeshConfig;
    /// The Services of Kubernetes, in order.
    pub services: Service;
    /// The EndpointSlices, in order.
    pub endpoint_slices: EndpointSlice;
    /// The Endpoints of Kubernetes, in order.
    pub endpoints: Endpoints;
    /// The Pods, in order.
    pub pods: Pod;
    /// The Namespaces, in order.
    pub namespaces: Namespace;
    /// The Secrets, in order.
    pub secrets: Secret;
    /// The Nodes, in order.
    pub nodes: Node;
    /// The Deployments, in order.
    pub deployments: Deployment;
    /// The Gateways of the Kubernetes Gateway API, in order.
    pub kubernetes_gateways: KubernetesGateway;
}

impl Shelf {
    fn remove(&mut self, name: &NamespacedName) -> Option<Document> {
        let order = self.orders.remove(name)?;
        self.in_order.remove(&order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::ObjectMeta;

    fn service(namespace: &str, name: &str, created: Option<&str>) -> Document {
        let mut meta = ObjectMeta::new(namespace, name);
        meta.creation_timestamp = created.map(str::to_owned);
        Object::new(meta, VirtualService::default()).into()
    }

    fn names(set: &ConfigSet) -> Vec<String> {
        set.virtual_services().map(|object| object.meta.namespaced_name().to_string()).collect()
    }

    #[test]
    fn objects_come_oldest_first_then_by_name_then_by_namespace() {
        let (set, _) = ConfigSet::from_documents([
            service("a", "z", Some("2024-01-02T00:00:00Z")),
            service("b", "y", None),
            service("a", "y", None),
            service("c", "x", Some("2024-01-01T00:00:00Z")),
        ]);
        assert_eq!(names(&set), ["a/y", "b/y", "c/x", "a/z"]);
    }

    #[test]
    fn the_later_of_two_documents_with_one_name_counts_and_is_reported() {
        let (set, report) =
            ConfigSet::from_documents([service("a", "x", None), service("a", "x", Some("2024-01-01T00:00:00Z"))]);
        assert_eq!(set.len(), 1);
        assert!(set.virtual_services().all(|object| object.meta.creation_timestamp.is_some()));
        assert_eq!(report.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::DUPLICATE_RESOURCE]);
    }

    #[test]
    fn what_is_replaced_or_removed_comes_back() {
        let mut set = ConfigSet::new();
        assert_eq!(set.upsert(service("a", "x", None)), None);
        assert!(set.upsert(service("a", "x", Some("2024-01-01T00:00:00Z"))).is_some());
        let id = ResourceId::new(Kind::VirtualService, "a", "x");
        assert!(set.get(&id).is_some());
        assert!(set.remove(&id).is_some());
        assert!(set.remove(&id).is_none() && set.is_empty() && set.get(&id).is_none());
    }

    #[test]
    fn there_is_one_mesh_config_whatever_its_name() {
        let mut set = ConfigSet::new();
        assert!(set.mesh_config().is_none());
        let mesh = |name| Document::from(Object::new(ObjectMeta::new("istio-system", name), MeshConfig::default()));
        assert!(set.upsert(mesh("istio")).is_none());
        assert!(set.upsert(mesh("istio-canary")).is_some());
        assert!(set.mesh_config().is_some() && set.len() == 1);
    }
}
