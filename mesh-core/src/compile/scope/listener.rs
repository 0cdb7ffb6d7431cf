//! An egress listener: what it imports, and on which ports it does so.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mesh_config::Object;
use mesh_config::api::VirtualService;
use mesh_config::api::sidecar::IstioEgressListener;
use mesh_config::value::Protocol;

use super::hosts::EgressHosts;
use super::services::Services;
use super::virtual_services::NamedPorts;
use crate::Site;
use crate::compile::registry::{Service, ServiceKind, fqdn};

/// What is reached on one port, or on all ports that have no listener of their own.
#[derive(Debug, Default)]
pub(crate) struct Listener<'a> {
    port: Option<u16>,
    services: Services,
    virtual_services: Vec<&'a Object<VirtualService>>,
}

impl<'a> Listener<'a> {
    /// One that a Sidecar lists.
    pub(super) fn of_egress(
        egress: &IstioEgressListener,
        exported: &[&Arc<Service>],
        virtual_services: &[&'a Object<VirtualService>],
        site: &Site,
    ) -> Self {
        let hosts = EgressHosts::read(egress.hosts.iter().map(String::as_str), &site.namespace);
        Self::importing(&hosts, own_port(egress), exported, virtual_services, site)
    }

    /// The one of a workload to which no egress of a Sidecar applies.
    pub(super) fn of_everything(
        exported: &[&Arc<Service>],
        virtual_services: &[&'a Object<VirtualService>],
        site: &Site,
    ) -> Self {
        Self::importing(&EgressHosts::read(["*/*"], &site.namespace), None, exported, virtual_services, site)
    }

    fn importing(
        hosts: &EgressHosts,
        port: Option<u16>,
        exported: &[&Arc<Service>],
        virtual_services: &[&'a Object<VirtualService>],
        site: &Site,
    ) -> Self {
        let imported: Vec<_> = exported
            .iter()
            .filter(|service| hosts.take_service(&service.namespace, &service.host))
            .filter_map(|service| at_port(service, port))
            .collect();
        let takes_rules = |object: &&Object<VirtualService>| {
            let own: Vec<_> = object.spec.hosts.iter().map(|host| fqdn(host, &object.meta.namespace, site)).collect();
            hosts.take_rules(&object.meta.namespace, own.iter().map(String::as_str))
        };
        Self {
            port,
            services: one_namespace_a_host(&imported, site),
            virtual_services: virtual_services.iter().copied().filter(takes_rules).collect(),
        }
    }

    /// The services of the listener.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// The VirtualServices of the listener, in the order in which they count.
    pub(crate) fn virtual_services(&self) -> &[&'a Object<VirtualService>] {
        &self.virtual_services
    }

    /// The port that it serves alone.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// What there is of a destination on this listener, given the ports that rules name of it.
    pub(super) fn part_of(&self, service: &Arc<Service>, named: &NamedPorts) -> Option<Arc<Service>> {
        if self.port.is_some() {
            return at_port(service, self.port);
        }
        if named.contains(&None) {
            return Some(Arc::clone(service));
        }
        with_ports(service, |port| named.contains(&Some(port)))
    }
}

/// The port that a listener has to itself. An HTTP proxy's port and a Unix socket are not dialled
/// in process: hosts offered there are reached by any port.
pub(super) fn own_port(egress: &IstioEgressListener) -> Option<u16> {
    let port = egress.port.as_ref()?;
    if matches!(port.protocol.parse(), Ok(Protocol::HttpProxy)) {
        return None;
    }
    u16::try_from(port.number).ok().filter(|number| *number != 0)
}

fn at_port(service: &Arc<Service>, port: Option<u16>) -> Option<Arc<Service>> {
    match port {
        None => Some(Arc::clone(service)),
        Some(own) => with_ports(service, |port| port == own),
    }
}

/// A service less the ports that are not kept; nothing if none is.
fn with_ports(service: &Arc<Service>, keep: impl Fn(u16) -> bool) -> Option<Arc<Service>> {
    let kept = service.ports.iter().filter(|port| keep(port.number)).count();
    if kept == 0 || kept == service.ports.len() {
        return (kept != 0).then(|| Arc::clone(service));
    }
    let mut part = Service::clone(service);
    part.ports.retain(|port| keep(port.number));
    Some(Arc::new(part))
}

/// Of a host that several namespaces declare, one namespace's declarations count.
fn one_namespace_a_host(imported: &[Arc<Service>], site: &Site) -> Services {
    let mut by_host: HashMap<&str, Vec<&Arc<Service>>> = HashMap::new();
    for service in imported {
        by_host.entry(&service.host).or_default().push(service);
    }
    let chosen = |host: &str| match by_host[host].as_slice() {
        [only] => Some(only.namespace.as_str()),
        several => namespace_of(several, site),
    };
    let mut services = Services::default();
    for service in imported.iter().filter(|service| chosen(&service.host) == Some(service.namespace.as_str())) {
        services.add(service);
    }
    services
}

/// Whose declaration of a host counts: the caller's own namespace's, else Kubernetes', else the first one.
pub(super) fn namespace_of<'s>(declarations: &[&'s Arc<Service>], site: &Site) -> Option<&'s str> {
    let own = declarations.iter().find(|service| service.namespace == site.namespace);
    let kubernetes = || declarations.iter().find(|service| service.kind == ServiceKind::Kubernetes);
    own.or_else(kubernetes).or_else(|| declarations.first()).map(|service| service.namespace.as_str())
}

/// Joins the listeners that serve any port into one, which comes last.
pub(super) fn unite_portless(listeners: Vec<Listener<'_>>) -> Vec<Listener<'_>> {
    let (mut own, portless): (Vec<_>, Vec<_>) = listeners.into_iter().partition(|listener| listener.port.is_some());
    // Validation refuses a second listener of a port.
    let mut ports = BTreeSet::new();
    own.retain(|listener| ports.insert(listener.port));
    let united = portless.into_iter().reduce(|mut first, next| {
        next.services.iter().for_each(|service| first.services.add(service));
        for object in next.virtual_services {
            if !first.virtual_services.iter().any(|known| std::ptr::eq(*known, object)) {
                first.virtual_services.push(object);
            }
        }
        first
    });
    own.extend(united);
    own.iter_mut().for_each(|listener| listener.services.resolve_aliases());
    own
}
