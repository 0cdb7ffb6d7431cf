//! What a workload sees of the mesh: the services and VirtualServices that are exported to its
//! namespace and that the `Sidecar` which applies to it imports.
//!
//! A gateway is under no Sidecar: it sees what is exported to it.

pub(crate) mod findings;
mod hosts;
mod listener;
mod services;
mod sidecar;
mod virtual_services;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use mesh_config::api::sidecar::{OutboundTrafficPolicy, OutboundTrafficPolicyMode};
use mesh_config::api::virtual_service::{Destination, HttpRoute};
use mesh_config::api::{MeshConfig, Sidecar, VirtualService};
use mesh_config::{ConfigSet, Object};

use super::delegate::Delegates;
use super::findings::Findings;
use super::registry::{Registry, Service};
use crate::Site;

pub use services::Services;

pub(crate) use listener::Listener;

/// What a workload sees of the mesh.
#[derive(Debug)]
pub struct Scope<'a> {
    sidecar: Option<&'a Object<Sidecar>>,
    listeners: Vec<Listener<'a>>,
    services: Services,
}

impl<'a> Scope<'a> {
    /// The scope of a workload under a Sidecar, or under none. The VirtualServices are those that its
    /// namespace is given to see, in the order in which they count.
    pub fn of(
        registry: &Registry,
        virtual_services: &[&'a Object<VirtualService>],
        sidecar: Option<&'a Object<Sidecar>>,
        site: &Site,
    ) -> Self {
        let as_written = |object: &'a Object<VirtualService>| object.spec.http.iter().map(Cow::Borrowed).collect();
        Self::with_rules(registry, virtual_services, &as_written, sidecar, site)
    }

    /// As [`of`](Self::of), where delegates have a say in which rules act.
    pub(crate) fn with_rules(
        registry: &Registry,
        virtual_services: &[&'a Object<VirtualService>],
        rules: &dyn Fn(&'a Object<VirtualService>) -> Vec<Cow<'a, HttpRoute>>,
        sidecar: Option<&'a Object<Sidecar>>,
        site: &Site,
    ) -> Self {
        let exported = registry.exported_to(&site.namespace);
        let configured = sidecar.map(|sidecar| sidecar.spec.egress.as_slice()).unwrap_or_default();
        let mut listeners: Vec<_> =
            configured.iter().map(|egress| Listener::of_egress(egress, &exported, virtual_services, site)).collect();
        if listeners.is_empty() {
            listeners.push(Listener::of_everything(&exported, virtual_services, site));
        }
        let mut services = Services::default();
        for listener in &listeners {
            listener.services().iter().for_each(|service| services.add(service));
            // What rules send requests to is there for them, imported or not. It displaces nothing that is imported.
            for object in listener.virtual_services() {
                for (host, ports) in virtual_services::destinations(object, &rules(object), site) {
                    let found = destination(registry, &host, site);
                    found.iter().filter_map(|service| listener.part_of(service, &ports)).for_each(|s| services.add(&s));
                }
            }
        }
        services.resolve_aliases();
        Self { sidecar, listeners: listener::unite_portless(listeners), services }
    }

    /// The services that requests can be sent to: those of all listeners, and the destinations of their rules.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The listeners: those with a port of their own, and at last, where there is one, that of all other ports.
    pub(crate) fn listeners(&self) -> &[Listener<'a>] {
        &self.listeners
    }

    /// The Sidecar that applies.
    pub fn sidecar(&self) -> Option<&'a Object<Sidecar>> {
        self.sidecar
    }

    fn outbound(&self) -> Option<&'a OutboundTrafficPolicy> {
        self.sidecar?.spec.outbound_traffic_policy.as_ref()
    }

    /// Whether it is the Sidecar that says what becomes of requests to hosts that are not seen.
    pub(crate) fn decides_on_unknown_hosts(&self) -> bool {
        self.outbound().is_some()
    }

    /// What becomes of requests to hosts that are not seen.
    pub(crate) fn outbound_mode(&self, mesh: &MeshConfig) -> OutboundTrafficPolicyMode {
        self.outbound().map_or_else(|| mesh.outbound_traffic_policy_mode(), |policy| policy.mode)
    }

    /// Where they go if they pass, and the namespace in which that is written.
    pub(crate) fn egress_proxy(&self) -> Option<(&'a Destination, &'a Object<Sidecar>)> {
        Some((self.outbound()?.egress_proxy.as_ref()?, self.sidecar?))
    }
}

/// What one workload sees, as a caller in the mesh and as a gateway.
#[derive(Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) registry: Registry,
    /// The mesh's VirtualServices that its namespace is given to see.
    pub(crate) virtual_services: Vec<&'a Object<VirtualService>>,
    pub(crate) mesh: Scope<'a>,
    pub(crate) gateway: Services,
}

impl<'a> Sight<'a> {
    pub(crate) fn build(set: &'a ConfigSet, mesh: &MeshConfig, site: &Site, delegates: &Delegates<'a>) -> Self {
        let registry = Registry::build(set, mesh, site);
        let virtual_services = virtual_services::in_lookup_order(set, mesh, site);
        let rules = |object| delegates.rules_of(object).iter().map(|rule| rule.spec.clone()).collect();
        let sidecar = sidecar::applying(set, mesh, site);
        let scope = Scope::with_rules(&registry, &virtual_services, &rules, sidecar, site);
        let gateway = of_gateway(&registry, site);
        Self { registry, virtual_services, mesh: scope, gateway }
    }

    /// As [`build`](Self::build), for those to whom the findings were told already.
    pub(crate) fn quietly(set: &'a ConfigSet, mesh: &MeshConfig, site: &Site) -> Self {
        Self::build(set, mesh, site, &Delegates::build(set, mesh, site, &mut Findings::default()))
    }

    /// Why a host that some object declares is not seen.
    pub(crate) fn why_hidden(&self, host: &str, at_gateway: bool, site: &Site) -> Option<String> {
        let mut declared = self.registry.declarations(host).peekable();
        declared.peek()?;
        let exported = declared.any(|service| service.export.is_visible_to(&site.namespace));
        Some(match self.mesh.sidecar() {
            Some(sidecar) if exported && !at_gateway => format!("is not imported by {}", sidecar.id()),
            _ if exported => "is written otherwise".into(),
            _ => "is not exported to this namespace".into(),
        })
    }

    /// Whether the mesh's listener of a port offers a host.
    pub(crate) fn offers(&self, host: &str, port: u16) -> bool {
        let listeners = self.mesh.listeners();
        let own = listeners.iter().find(|listener| listener.port() == Some(port));
        let of_all = || listeners.iter().find(|listener| listener.port().is_none());
        own.or_else(of_all).is_some_and(|listener| listener.services().get(host).is_some())
    }
}

/// The services that a gateway sees.
fn of_gateway(registry: &Registry, site: &Site) -> Services {
    let mut services = Services::default();
    registry.exported_to(&site.namespace).into_iter().for_each(|service| services.add(service));
    services.resolve_aliases();
    services
}

/// The declarations that a rule means by a host: those of the caller's own namespace, else of the
/// namespace that Kubernetes has it from, else of the oldest.
fn destination<'r>(registry: &'r Registry, host: &str, site: &Site) -> Vec<&'r Arc<Service>> {
    let declared = registry.declarations(host);
    let mut visible: Vec<_> = declared.filter(|service| service.export.is_visible_to(&site.namespace)).collect();
    let namespace = listener::namespace_of(&visible, site);
    visible.retain(|service| Some(service.namespace.as_str()) == namespace);
    visible
}
