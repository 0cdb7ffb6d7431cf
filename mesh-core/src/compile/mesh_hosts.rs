//! The mesh side: one table a listener port, one virtual host a service.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mesh_config::api::sidecar::OutboundTrafficPolicyMode;
use mesh_config::api::{MeshConfig, VirtualService};
use mesh_config::value::{HostMap, host};
use mesh_config::{ConfigSet, Object};

use super::clusters::{Clusters, Place};
use super::findings::{self, Findings};
use super::registry::{Port, Registry, Service, fqdn};
use super::rules::{self, Rules};
use super::tables::Tables;
use super::visibility::Export;
use crate::Site;
use crate::host_index::HostIndex;
use crate::route::{Action, Forward, Route, RouteId, RuleOrigin, Split};
use crate::snapshot::TableId;

/// The port on which hosts that no service defines get a virtual host.
const LITERAL_PORT: u16 = 80;

/// Which VirtualService owns which host in the mesh.
#[derive(Debug, Default)]
struct Owners<'a>(HostMap<&'a Object<VirtualService>>);

impl<'a> Owners<'a> {
    /// The first to name a host owns it.
    fn build(set: &'a ConfigSet, mesh: &MeshConfig, site: &Site, findings: &mut Findings) -> Self {
        let mut owners = HostMap::new();
        for object in in_lookup_order(set, mesh, site) {
            for host in &object.spec.hosts {
                let host = fqdn(host, &object.meta.namespace, site);
                let owner: &mut &Object<VirtualService> = owners.insert_first(&host, object);
                if !std::ptr::eq(*owner, object) {
                    findings.add(findings::host_lost(object, owner, &host));
                }
            }
        }
        Self(owners)
    }

    /// The VirtualService of a service, with the host by which it was found.
    fn of(&self, host: &str) -> Option<(&str, &'a Object<VirtualService>)> {
        self.0.most_specific(host).map(|(host, object)| (host, *object))
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

/// Builds the tables of all listener ports.
#[derive(Debug)]
pub(crate) struct MeshBuilder<'a, 'c> {
    pub(crate) registry: &'a Registry,
    pub(crate) mesh: &'a MeshConfig,
    pub(crate) site: &'a Site,
    pub(crate) clusters: &'c mut Clusters<'a>,
    pub(crate) tables: &'c mut Tables,
    pub(crate) findings: &'c mut Findings,
}

/// The mesh's tables: by port, and for every other port.
#[derive(Debug)]
pub(crate) struct MeshTables {
    pub(crate) by_port: HashMap<u16, TableId>,
    pub(crate) unknown_port: TableId,
}

impl<'a> MeshBuilder<'a, '_> {
    pub(crate) fn build(mut self, set: &'a ConfigSet) -> MeshTables {
        let owners = Owners::build(set, self.mesh, self.site, self.findings);
        let unknown_host = self.unknown_host_route();
        let mut ports: BTreeMap<u16, Vec<(&Service, &Port)>> = BTreeMap::from([(LITERAL_PORT, Vec::new())]);
        for service in self.registry.visible() {
            for port in &service.ports {
                ports.entry(port.number).or_default().push((service, port));
            }
        }
        let mut used = BTreeSet::new();
        let mut by_port = HashMap::new();
        // Port 80 comes last: by then it is known which wildcards took a service.
        let (literal, others): (Vec<_>, Vec<_>) = ports.into_iter().partition(|(port, _)| *port == LITERAL_PORT);
        for (port, services) in others.into_iter().chain(literal) {
            let mut hosts = HostIndex::default();
            for (service, service_port) in services {
                self.add_service(&owners, service, service_port, &mut hosts, &mut used);
            }
            if port == LITERAL_PORT {
                self.add_literal_hosts(&owners, &mut hosts, &used);
            }
            by_port.insert(port, self.tables.add_table(hosts, Some(unknown_host)));
        }
        let unknown_port = self.tables.add_table(HostIndex::default(), Some(unknown_host));
        MeshTables { by_port, unknown_port }
    }

    /// Unknown hosts pass through, or are refused where only the registry counts.
    fn unknown_host_route(&mut self) -> RouteId {
        let (name, action) = match self.mesh.outbound_traffic_policy_mode() {
            OutboundTrafficPolicyMode::RegistryOnly => ("block_all", Action::Blocked),
            _ => ("allow_any", Action::Passthrough(self.clusters.passthrough())),
        };
        self.tables.add_route(Route::catch_all(name, action, RuleOrigin::built_in("outboundTrafficPolicy")))
    }

    fn add_service(
        &mut self,
        owners: &Owners<'a>,
        service: &Service,
        port: &Port,
        hosts: &mut HostIndex,
        used: &mut BTreeSet<String>,
    ) {
        let mut routes = Vec::new();
        if let Some((host, object)) = owners.of(&service.host) {
            used.insert(host.to_owned());
            if !port.protocol.is_tcp() {
                routes = self.lower(object, port.number);
            }
        }
        if routes.is_empty() {
            routes.push(self.default_route(service, port));
        }
        let name = format!("{}:{}", service.host, port.number);
        // A domain that an earlier service has stays there, as Envoy's configuration generator does it.
        let _lost = self.tables.add_vhost(hosts, &name, domains(service, self.site), routes);
    }

    fn lower(&mut self, object: &Object<VirtualService>, port: u16) -> Vec<Route> {
        let place = Place { namespace: &object.meta.namespace, port, gateway: false };
        rules::lower(
            Rules { object, place, gateway: None, site: self.site, mesh: self.mesh },
            self.clusters,
            self.findings,
        )
    }

    fn default_route(&mut self, service: &Service, port: &Port) -> Route {
        let cluster = self.clusters.default_for(service, port);
        let action = Action::Forward(Forward { split: Split::single(cluster), rewrite: None });
        let mut route = Route::catch_all("default", action, RuleOrigin::service(&service.namespace, &service.host));
        // A port that is not HTTP is carried, not looked into.
        if !port.protocol.is_tcp() {
            route.retry = rules::default_retry(self.mesh);
        }
        route
    }

    /// Hosts that no service defines: as they stand, without short forms.
    fn add_literal_hosts(&mut self, owners: &Owners<'a>, hosts: &mut HostIndex, used: &BTreeSet<String>) {
        let unclaimed = |host: &str| match host::is_wildcard(host) {
            // A wildcard that takes a service has no domain of its own.
            true => !used.contains(host),
            false => self.registry.get(host).is_none(),
        };
        let mut literal: Vec<_> = owners.0.iter().filter(|(host, _)| unclaimed(host)).collect();
        // The map has no order; virtual hosts are numbered by name, so that two compilations agree.
        literal.sort_by_key(|(host, _)| *host);
        for (host, object) in literal {
            let routes = self.lower(object, LITERAL_PORT);
            if !routes.is_empty() {
                self.findings.add(findings::literal_host(object, host));
                let _lost = self.tables.add_vhost(hosts, &format!("{host}:{LITERAL_PORT}"), [host], routes);
            }
        }
    }
}

/// The names under which a service is called: in full, in the short forms of its namespace, and by
/// its addresses.
fn domains(service: &Service, site: &Site) -> Vec<String> {
    let mut domains = vec![service.host.clone()];
    if !service.is_wildcard() {
        domains.push(format!("{}.", service.host));
    }
    let in_cluster = service.host.strip_suffix(&format!(".svc.{}", site.cluster_domain));
    if let Some((name, namespace)) = in_cluster.and_then(|stem| stem.split_once('.')) {
        domains.push(format!("{name}.{namespace}.svc"));
        domains.push(format!("{name}.{namespace}"));
        if namespace == site.namespace {
            domains.push(name.to_owned());
        }
    }
    domains.extend(
        service
            .addresses
            .iter()
            .map(|address| if address.contains(':') { format!("[{address}]") } else { address.clone() }),
    );
    domains
}
