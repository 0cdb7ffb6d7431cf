//! What the callers of this workload see: which services, and which VirtualServices in which order.

use std::collections::HashSet;

use mesh_config::Object;
use mesh_config::api::VirtualService;
use mesh_config::value::{HostMap, host};

use crate::Site;
use crate::compile::findings::{self, Findings};
use crate::compile::registry::{Service, fqdn};
use crate::compile::scope::Listener;

/// The services and VirtualServices that count at a listener.
#[derive(Debug)]
pub(super) struct Imports<'a> {
    egress: &'a Listener<'a>,
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
    /// What an egress listener imports.
    pub(super) fn of(egress: &'a Listener<'a>, site: &Site, findings: &mut Findings) -> Self {
        let in_full = |object: &&'a Object<VirtualService>| {
            let hosts = object.spec.hosts.iter().map(|host| fqdn(host, &object.meta.namespace, site));
            HostRules { object, hosts: hosts.collect() }
        };
        let rules: Vec<_> = egress.virtual_services().iter().map(in_full).collect();
        let mut by_host = HostMap::new();
        for HostRules { object, hosts } in &rules {
            for host in hosts {
                let owner: &mut &Object<VirtualService> = by_host.insert_first(host, *object);
                if host::is_wildcard(host) && !std::ptr::eq(*owner, *object) {
                    findings.add(findings::host_lost(object, owner, host));
                }
            }
        }
        let services: Vec<_> = egress.services().iter().map(|service| &**service).collect();
        let known = services.iter().map(|service| service.host.as_str()).collect();
        Self { egress, services, rules, by_host, known }
    }

    /// Whether the VirtualService is the one whose hosts describe the host best.
    pub(super) fn is_best_for(&self, host: &str, object: &Object<VirtualService>) -> bool {
        self.by_host.most_specific(host).is_some_and(|(_, best)| std::ptr::eq(*best, object))
    }

    /// The ports that the services have.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.services.iter().flat_map(|service| &service.ports).map(|port| port.number)
    }

    /// Whether a service only stands for another one.
    pub(super) fn is_alias(&self, service: &Service) -> bool {
        self.egress.services().is_alias(&service.host)
    }

    /// Whether a service has the very host, or a name that the wildcard covers, on whatever port.
    pub(super) fn knows(&self, host: &str) -> bool {
        match host::is_wildcard(host) {
            true => self.services.iter().any(|service| host::matches(&service.host, host)),
            false => self.known.contains(host),
        }
    }
}
