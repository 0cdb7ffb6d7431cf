//! Why a host is unknown that some object declares or has rules for.

use mesh_config::api::VirtualService;
use mesh_config::value::host::{resolve_gateway_name, subset_of};
use mesh_config::{Kind, Object, ResourceId};

use super::{Explainer, Listener};
use crate::compile::registry::fqdn;
use crate::compile::visibility::Export;
use crate::host_index::host_of;

impl Explainer<'_> {
    /// What keeps the service, or the rules, of an authority from this workload.
    pub(super) fn hidden(&self, authority: &str, listener: &Listener) -> Option<String> {
        let name = host_of(authority)?;
        let service = if listener.gateways.is_empty() { self.hidden_service(name, listener.port) } else { None };
        service.or_else(|| self.ruled_elsewhere(name, listener))
    }

    fn hidden_service(&self, name: &str, port: u16) -> Option<String> {
        let host = self.in_full(name)?;
        if self.sight.offers(&host, port) {
            let mut ports: Vec<_> = self
                .sight
                .registry
                .declarations(&host)
                .flat_map(|service| &service.ports)
                .map(|port| port.number)
                .collect();
            ports.sort_unstable();
            ports.dedup();
            let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
            return Some(format!("{host} has no port {port}, but {}", ports.join(", ")));
        }
        self.sight.why_hidden(&host, false, self.site).map(|why| format!("{host} {why}"))
    }

    /// The VirtualService that has rules for a name, but not here.
    fn ruled_elsewhere(&self, name: &str, listener: &Listener) -> Option<String> {
        let forms = self.forms(name);
        self.set.virtual_services().find_map(|object| {
            let mut hosts = object.spec.hosts.iter().map(|host| fqdn(host, &object.meta.namespace, self.site));
            // What has rules for everything says nothing about this name.
            let host = hosts.find(|host| host != "*" && forms.iter().any(|form| subset_of(form, host)))?;
            let why = self.why_not_here(object, &host, listener)?;
            let id = ResourceId::new(Kind::VirtualService, &object.meta.namespace, &object.meta.name);
            Some(format!("{id} has rules for {host}, {why}"))
        })
    }

    fn why_not_here(&self, object: &Object<VirtualService>, host: &str, listener: &Listener) -> Option<String> {
        let (namespace, default) = (&object.meta.namespace, &self.mesh.default_virtual_service_export_to);
        let mut gateways: Vec<_> =
            object.spec.gateways.iter().map(|gateway| resolve_gateway_name(gateway, namespace)).collect();
        if gateways.is_empty() {
            gateways.push("mesh".to_owned());
        }
        let in_mesh = listener.gateways.is_empty();
        let is_here = |gateway: &String| if in_mesh { gateway == "mesh" } else { listener.gateways.contains(gateway) };
        if !gateways.iter().any(is_here) {
            return Some(format!("but only at {}", gateways.join(", ")));
        }
        if !Export::of(&object.spec.export_to, default, namespace).is_visible_to(&self.site.namespace) {
            return Some("and is not exported to this namespace".to_owned());
        }
        // Without a service there are no short forms and no other ports.
        let is_undeclared = in_mesh && !self.sight.registry.exists(host);
        is_undeclared.then(|| "which no service declares: only requests to that name on port 80 follow them".to_owned())
    }

    /// The declared host that a name, in full or a short form, stands for.
    fn in_full(&self, name: &str) -> Option<String> {
        self.forms(name).into_iter().find(|form| self.sight.registry.exists(form))
    }

    /// A name, and what it is the short form of.
    fn forms(&self, name: &str) -> [String; 4] {
        let name = name.to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        let (domain, own) = (&self.site.cluster_domain, &self.site.namespace);
        [
            name.to_owned(),
            format!("{name}.{domain}"),
            format!("{name}.svc.{domain}"),
            format!("{name}.{own}.svc.{domain}"),
        ]
    }
}
