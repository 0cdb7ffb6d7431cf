//! Which VirtualServices a workload is given, and where they send requests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use mesh_config::api::virtual_service::{Destination, HttpRoute};
use mesh_config::api::{MeshConfig, VirtualService};
use mesh_config::{ConfigSet, Object};

use crate::Site;
use crate::compile::registry::fqdn;
use crate::compile::visibility::Export;

/// The mesh's VirtualServices that this namespace sees: its private ones, those exported to it by
/// name, then the public ones; by age within each group.
pub(super) fn in_lookup_order<'a>(
    set: &'a ConfigSet,
    mesh: &MeshConfig,
    site: &Site,
) -> Vec<&'a Object<VirtualService>> {
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

/// The ports that rules name of a host; `None` for a destination without port.
pub(super) type NamedPorts = Vec<Option<u16>>;

/// The hosts that a VirtualService sends or mirrors requests of this namespace to, by name.
pub(super) fn destinations(
    object: &Object<VirtualService>,
    rules: &[Cow<'_, HttpRoute>],
    site: &Site,
) -> BTreeMap<String, NamedPorts> {
    let mut found: BTreeMap<String, NamedPorts> = BTreeMap::new();
    let mut add = |destination: &Destination| {
        let port = destination.port.as_ref().and_then(|port| u16::try_from(port.number).ok()).filter(|port| *port != 0);
        found.entry(fqdn(&destination.host, &object.meta.namespace, site)).or_default().push(port);
    };
    for rule in rules.iter().filter(|rule| concerns(rule, site)) {
        let routes = rule.route.iter().filter_map(|route| route.destination.as_ref());
        let mirrors = rule.mirrors.iter().filter_map(|mirror| mirror.destination.as_ref());
        routes.chain(&rule.mirror).chain(mirrors).for_each(&mut add);
    }
    let tls = object.spec.tls.iter().flat_map(|rule| &rule.route);
    let tcp = object.spec.tcp.iter().flat_map(|rule| &rule.route);
    tls.chain(tcp).filter_map(|route| route.destination.as_ref()).for_each(&mut add);
    found
}

/// Whether a rule can be meant for a namespace at all.
fn concerns(rule: &HttpRoute, site: &Site) -> bool {
    let meant = |namespace: &String| namespace.is_empty() || *namespace == site.namespace;
    rule.matches.is_empty() || rule.matches.iter().any(|block| meant(&block.source_namespace))
}
