//! The services there are: hosts, ports and endpoints from ServiceEntries and Kubernetes Services.

use std::collections::{BTreeMap, HashMap};

use mesh_config::ConfigSet;
use mesh_config::api::MeshConfig;
use mesh_config::value::{Protocol, host};

use super::visibility::Export;
use crate::Site;
use crate::cluster::EndpointSource;

/// A host that the mesh knows, as one namespace declares it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// Lower-case name: FQDN, external name or wildcard.
    pub(crate) host: String,
    /// The name as it was written: destinations and DestinationRules have to write it alike.
    pub(crate) written: String,
    pub(crate) namespace: String,
    pub(crate) ports: Vec<Port>,
    /// The addresses that become domains (semantics of Envoy's virtual hosts: single IPs only).
    pub(crate) addresses: Vec<String>,
    pub(crate) export: Export,
}

/// One port of a [`Service`].
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    pub(crate) protocol: Protocol,
    pub(crate) endpoints: EndpointSource,
}

impl Service {
    pub(crate) fn port(&self, number: u16) -> Option<&Port> {
        self.ports.iter().find(|port| port.number == number)
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.host.starts_with('*')
    }
}

/// All services, with the one that this workload sees under each host.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    services: Vec<Service>,
    by_host: HashMap<String, usize>,
}

impl Registry {
    pub(crate) fn build(set: &ConfigSet, mesh: &MeshConfig, site: &Site) -> Self {
        let mut services = Vec::new();
        super::kubernetes::collect(set, mesh, site, &mut services);
        super::service_entry::collect(set, mesh, &mut services);
        let services = unite(services);
        let mut by_host: HashMap<String, usize> = HashMap::new();
        for (n, service) in services.iter().enumerate() {
            if !service.export.is_visible_to(&site.namespace) {
                continue;
            }
            let slot = by_host.entry(service.host.clone()).or_insert(n);
            // The caller's own namespace wins; else the first in order.
            if services[*slot].namespace != site.namespace && service.namespace == site.namespace {
                *slot = n;
            }
        }
        Self { services, by_host }
    }

    /// The service that this workload sees under a name.
    pub(crate) fn get(&self, host: &str) -> Option<&Service> {
        self.by_host.get(host).map(|n| &self.services[*n])
    }

    /// The services that this workload sees, in order.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &Service> {
        self.services
            .iter()
            .enumerate()
            .filter(|(n, service)| self.by_host.get(&service.host) == Some(n))
            .map(|(_, service)| service)
    }

    /// Whether any namespace declares the host, visible or not.
    pub(crate) fn exists(&self, host: &str) -> bool {
        self.services.iter().any(|service| service.host == host)
    }
}

/// Several declarations of one host in one namespace are one service: the ports united, each with
/// the endpoints of those that declare it.
fn unite(declared: Vec<Service>) -> Vec<Service> {
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut services: Vec<Service> = Vec::with_capacity(declared.len());
    for service in declared {
        let key = (service.host.clone(), service.namespace.clone());
        let Some(place) = places.get(&key) else {
            places.insert(key, services.len());
            services.push(service);
            continue;
        };
        let united = &mut services[*place];
        for port in service.ports {
            match united.ports.iter_mut().find(|known| known.number == port.number) {
                None => united.ports.push(port),
                Some(known) => join(&mut known.endpoints, port.endpoints),
            }
        }
    }
    services
}

fn join(known: &mut EndpointSource, more: EndpointSource) {
    match (known, more) {
        (EndpointSource::Static(known), EndpointSource::Static(more)) => known.extend(more),
        (EndpointSource::Dns { targets: known, .. }, EndpointSource::Dns { targets: more, .. }) => known.extend(more),
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
