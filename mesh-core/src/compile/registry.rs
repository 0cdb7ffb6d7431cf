//! The services there are: hosts, ports and endpoints from ServiceEntries and Kubernetes Services.

use std::collections::{BTreeMap, HashMap};

use mesh_config::ConfigSet;
use mesh_config::api::MeshConfig;
use mesh_config::value::{Protocol, host};

use super::visibility::Export;
use crate::Site;
use crate::cluster::EndpointSource;
use crate::network::Network;

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
    /// All its addresses and blocks of addresses.
    pub(crate) networks: Vec<Network>,
    pub(crate) export: Export,
    /// Whether its endpoints have names below its own (a Kubernetes Service without cluster IP).
    pub(crate) headless: bool,
    /// The name that it stands for (a Kubernetes Service of type `ExternalName`), in lower case.
    pub(crate) external_name: Option<String>,
    /// Hosts that stand for this service.
    pub(crate) aliases: Vec<String>,
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
    /// The services that only stand for another one, with that one.
    concrete: HashMap<usize, usize>,
}

impl Registry {
    pub(crate) fn build(set: &ConfigSet, mesh: &MeshConfig, site: &Site) -> Self {
        let mut services = Vec::new();
        super::kubernetes::collect(set, mesh, site, &mut services);
        super::service_entry::collect(set, mesh, &mut services);
        let mut services = unite(services);
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
        let concrete = resolve_aliases(&services, &by_host);
        for (alias, target) in sorted(&concrete) {
            let host = services[alias].host.clone();
            services[target].aliases.push(host);
        }
        Self { services, by_host, concrete }
    }

    /// The service that this workload sees under a name.
    pub(crate) fn get(&self, host: &str) -> Option<&Service> {
        self.by_host.get(host).map(|n| &self.services[*n])
    }

    /// As [`get`](Self::get); one that only stands for another one gives that one.
    pub(crate) fn concrete(&self, host: &str) -> Option<&Service> {
        let found = *self.by_host.get(host)?;
        Some(&self.services[self.concrete.get(&found).copied().unwrap_or(found)])
    }

    /// Whether a service only stands for another one.
    pub(crate) fn is_alias(&self, service: &Service) -> bool {
        self.by_host.get(&service.host).is_some_and(|n| self.concrete.contains_key(n))
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

/// Which visible services stand for another visible one by their external name, over several steps if need be.
fn resolve_aliases(services: &[Service], by_host: &HashMap<String, usize>) -> HashMap<usize, usize> {
    let next = |n: usize| services[n].external_name.as_ref().and_then(|name| by_host.get(name)).copied();
    let target = |alias: usize| {
        // A circle of names ends nowhere; a longer way than there are services is one.
        let way = std::iter::successors(next(alias), |at| next(*at)).take(services.len() + 1).collect::<Vec<_>>();
        way.last().copied().filter(|last| way.len() <= services.len() && services[*last].external_name.is_none())
    };
    by_host.values().filter_map(|alias| Some((*alias, target(*alias)?))).collect()
}

fn sorted(map: &HashMap<usize, usize>) -> Vec<(usize, usize)> {
    let mut pairs: Vec<_> = map.iter().map(|(key, value)| (*key, *value)).collect();
    pairs.sort_unstable();
    pairs
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
