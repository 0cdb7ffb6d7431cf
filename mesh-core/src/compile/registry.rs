//! The services there are: hosts, ports and endpoints from ServiceEntries and Kubernetes Services.
//!
//! Each declaration is kept by itself, in Istio's order. Who sees which, and what becomes of several
//! for one host, is for [`scope`](super::scope) to say.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mesh_config::ConfigSet;
use mesh_config::api::MeshConfig;
use mesh_config::api::service_entry::Resolution;
use mesh_config::meta::Timestamp;
use mesh_config::value::{Labels, Protocol, host};

use super::visibility::Export;
use crate::Site;
use crate::cluster::EndpointSource;
use crate::network::Network;

/// A host that the mesh knows, as one object declares it.
#[derive(Clone, Debug)]
pub struct Service {
    /// Lower-case name: FQDN, external name or wildcard.
    pub host: String,
    /// The name as it was written: destinations and DestinationRules have to write it alike.
    pub written: String,
    /// The namespace of the object.
    pub namespace: String,
    /// What services of one age are ordered by: the name of a Kubernetes Service, the host of a ServiceEntry.
    pub name: String,
    /// The name of the object.
    pub object: String,
    /// When the object was made.
    pub created: Option<Timestamp>,
    /// Which kind of object it is.
    pub kind: ServiceKind,
    /// How its endpoints are found.
    pub resolution: Resolution,
    /// Labels of the object, and those it selects workloads by: services that differ in them stay apart.
    pub labels: Labels,
    /// See `labels`.
    pub selector: Labels,
    /// Whether it is outside the mesh: then no mutual TLS begins by itself.
    pub external: bool,
    /// Names that certificates of its endpoints may carry (`subjectAltNames` of a ServiceEntry).
    pub subject_alt_names: Vec<String>,
    /// Its ports.
    pub ports: Vec<Port>,
    /// The addresses that become domains (semantics of Envoy's virtual hosts: single IPs only).
    pub addresses: Vec<String>,
    /// All its addresses and blocks of addresses.
    pub networks: Vec<Network>,
    /// Whether its endpoints have names below its own (a Kubernetes Service without cluster IP).
    pub headless: bool,
    /// The name that it stands for (a Kubernetes Service of type `ExternalName`), in lower case.
    pub external_name: Option<String>,
    /// Hosts that stand for this service, as far as whoever looks at it sees them.
    pub aliases: Vec<String>,
    /// Who sees it.
    pub export: Export,
}

/// What declares a [`Service`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// A Service of Kubernetes. Nobody takes its host from it.
    Kubernetes,
    /// A ServiceEntry.
    ServiceEntry,
}

/// One port of a [`Service`].
#[derive(Clone, Debug)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Who is behind it.
    pub endpoints: EndpointSource,
}

impl Service {
    /// A service that everybody sees, without ports.
    pub fn new(kind: ServiceKind, host: &str, namespace: &str) -> Self {
        Self {
            host: host.to_ascii_lowercase(),
            written: host.to_owned(),
            namespace: namespace.to_owned(),
            name: host.to_owned(),
            object: String::new(),
            created: None,
            kind,
            resolution: Resolution::Static,
            labels: Labels::new(),
            selector: Labels::new(),
            external: false,
            subject_alt_names: Vec::new(),
            ports: Vec::new(),
            addresses: Vec::new(),
            networks: Vec::new(),
            headless: false,
            external_name: None,
            aliases: Vec::new(),
            export: Export::Everyone,
        }
    }

    /// The port of that number.
    pub fn port(&self, number: u16) -> Option<&Port> {
        self.ports.iter().find(|port| port.number == number)
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.host.starts_with('*')
    }
}

/// All services, the oldest first, then by name, then by namespace.
#[derive(Debug, Default)]
pub struct Registry {
    services: Vec<Arc<Service>>,
    by_host: HashMap<String, Vec<usize>>,
}

impl Registry {
    /// Those of all ServiceEntries and Kubernetes Services of a set.
    pub(crate) fn build(set: &ConfigSet, mesh: &MeshConfig, site: &Site) -> Self {
        let mut services = Vec::new();
        super::kubernetes::collect(set, mesh, site, &mut services);
        super::service_entry::collect(set, mesh, &mut services);
        Self::new(services)
    }

    /// Puts services in order.
    pub fn new(mut services: Vec<Service>) -> Self {
        services.sort_by(|a, b| {
            a.created.cmp(&b.created).then_with(|| a.name.cmp(&b.name)).then_with(|| a.namespace.cmp(&b.namespace))
        });
        share_endpoints(&mut services);
        let mut by_host: HashMap<String, Vec<usize>> = HashMap::new();
        for (n, service) in services.iter().enumerate() {
            by_host.entry(service.host.clone()).or_default().push(n);
        }
        Self { services: services.into_iter().map(Arc::new).collect(), by_host }
    }

    /// All declarations of a host, whoever sees them.
    pub(crate) fn declarations(&self, host: &str) -> impl Iterator<Item = &Arc<Service>> {
        self.by_host.get(host).into_iter().flatten().map(|n| &self.services[*n])
    }

    /// Whether any namespace declares the host, visible or not.
    pub(crate) fn exists(&self, host: &str) -> bool {
        self.by_host.contains_key(host)
    }

    /// What a namespace is given to see: its own private services, those exported to it by name, then
    /// the public ones.
    pub(crate) fn exported_to(&self, namespace: &str) -> Vec<&Arc<Service>> {
        let mut groups: [Vec<_>; 3] = Default::default();
        for service in self.services.iter().filter(|service| service.export.is_visible_to(namespace)) {
            let group = match service.export {
                Export::Everyone => 2,
                Export::Namespaces(_) if service.namespace == namespace => 0,
                Export::Namespaces(_) => 1,
            };
            groups[group].push(service);
        }
        groups.concat()
    }
}

/// What several objects of one namespace declare for a port of one host, they declare together.
fn share_endpoints(services: &mut [Service]) {
    let mut declared: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (n, service) in services.iter().enumerate() {
        declared.entry((&service.host, &service.namespace)).or_default().push(n);
    }
    let shared: Vec<Vec<usize>> = declared.into_values().filter(|places| places.len() > 1).collect();
    for places in shared {
        let mut joined: BTreeMap<u16, EndpointSource> = BTreeMap::new();
        for port in places.iter().flat_map(|place| &services[*place].ports) {
            match joined.get_mut(&port.number) {
                Some(known) => join(known, &port.endpoints),
                None => drop(joined.insert(port.number, port.endpoints.clone())),
            }
        }
        for place in places {
            for port in &mut services[place].ports {
                port.endpoints.clone_from(&joined[&port.number]);
            }
        }
    }
}

fn join(known: &mut EndpointSource, more: &EndpointSource) {
    match (known, more) {
        (EndpointSource::Static(known), EndpointSource::Static(more)) => known.extend_from_slice(more),
        (EndpointSource::Dns { targets: known, .. }, EndpointSource::Dns { targets: more, .. }) => {
            known.extend_from_slice(more);
        }
        // Two resolutions for one port: the first declaration decides.
        _ => {}
    }
}

/// Resolves a host of an object in `namespace`: short names get the namespace and the domain.
pub(crate) fn fqdn(name: &str, namespace: &str, site: &Site) -> String {
    fqdn_as_written(name, namespace, site).to_ascii_lowercase()
}

/// As [`fqdn`], where upper case counts.
pub(crate) fn fqdn_as_written(name: &str, namespace: &str, site: &Site) -> String {
    host::resolve_short_name(name, namespace, &site.cluster_domain)
}
