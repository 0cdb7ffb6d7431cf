//! What the callers of this workload see: which services, and which VirtualServices in which order.

use std::collections::HashSet;

use mesh_config::api::{MeshConfig, VirtualService};
use mesh_config::value::{HostMap, host};
use mesh_config::{ConfigSet, Object};

use crate::Site;
use crate::compile::findings::{self, Findings};
use crate::compile::registry::{Registry, Service, fqdn};
use crate::compile::visibility::Export;

/// The services and VirtualServices that count at a listener.
#[derive(Debug)]
pub(super) struct Imports<'a> {
    pub(super) services: Vec<&'a Service>,
    /// In the order in which they are asked: the first that has rules for a host owns it.
    pub(super) rules: Vec<HostRules<'a>>,
    by_host: HostMap<&'a Object<VirtualService>>,
    known: HashSet<&'a str>,
}

/// A VirtualService with its hosts in full.
#[derive(Debug)]
pub(super) struct HostRules<'a> {
    pub(super) object: &'a Object<VirtualService>,
    pub(super) hosts: Vec<String>,
}

impl<'a> Imports<'a> {
    /// All that is exported to this workload's namespace.
    pub(super) fn everything(
        set: &'a ConfigSet,
        registry: &'a Registry,
        mesh: &MeshConfig,
        site: &Site,
        findings: &mut Findings,
    ) -> Self {
        let in_full = |object: &'a Object<VirtualService>| {
            let hosts = object.spec.hosts.iter().map(|host| fqdn(host, &object.meta.namespace, site));
            HostRules { object, hosts: hosts.collect() }
        };
        let rules: Vec<_> = in_lookup_order(set, mesh, site).into_iter().map(in_full).collect();
        let mut by_host = HostMap::new();
        for HostRules { object, hosts } in &rules {
            for host in hosts {
                let owner: &mut &Object<VirtualService> = by_host.insert_first(host, *object);
                if host::is_wildcard(host) && !std::ptr::eq(*owner, *object) {
                    findings.add(findings::host_lost(object, owner, host));
                }
            }
        }
        let services: Vec<_> = registry.visible().collect();
        let known = services.iter().map(|service| service.host.as_str()).collect();
        Self { services, rules, by_host, known }
    }

    /// Whether the VirtualService is the one whose hosts describe the host best.
    pub(super) fn is_best_for(&self, host: &str, object: &Object<VirtualService>) -> bool {
        self.by_host.most_specific(host).is_some_and(|(_, best)| std::ptr::eq(*best, object))
    }

    /// Whether a service has the very host, or a name that the wildcard covers, on whatever port.
    pub(super) fn knows(&self, host: &str) -> bool {
        match host::is_wildcard(host) {
            true => self.services.iter().any(|service| host::matches(&service.host, host)),
            false => self.known.contains(host),
        }
    }
}

/// The mesh's VirtualServices that this namespace sees: its private ones, those exported to it by
/// name, then the public ones; by age within each group.
fn in_lookup_order<'a>(set: &'a ConfigSet, mesh: &MeshConfig, site: &Site) -> Vec<&'a Object<VirtualService>> {
    let mut groups: [Vec<_>; 3] = Default::default();
    for object in set.virtual_services().filter(|object| is_mesh_bound(&object.spec)) {
        let export =
            Export::of(&object.spec.export_to, &mesh.default_virtual_service_export_to, &object.meta.namespace);
        if !export.is_visible_to(&site.namespace) {
            continue;
        }
        let group = match export {
            Export::Everyone => 2,
            _ if export.is_private_to(&object.meta.namespace) => 0,
            Export::Namespaces(_) => 1,
        };
        groups[group].push(object);
    }
    groups.concat()
}

fn is_mesh_bound(service: &VirtualService) -> bool {
    service.gateways.is_empty() || service.gateways.iter().any(|gateway| gateway == "mesh")
}
