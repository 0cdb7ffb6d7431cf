//! The mesh side: one table a listener port, one virtual host a service.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mesh_config::Object;
use mesh_config::api::sidecar::OutboundTrafficPolicyMode;
use mesh_config::api::virtual_service::Destination;
use mesh_config::api::{MeshConfig, Sidecar, VirtualService};
use mesh_config::value::{HostMap, host};

use super::clusters::{Clusters, Place};
use super::findings::{self, Findings};
use super::registry::{Port, Service, fqdn};
use super::rules::{self, Rules};
use super::scope::{Listener, Scope, Services};
use super::tables::Tables;
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
    fn build(virtual_services: &[&'a Object<VirtualService>], site: &Site, findings: &mut Findings) -> Self {
        let mut owners = HostMap::new();
        for &object in virtual_services {
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

/// Builds the tables of all listener ports.
#[derive(Debug)]
pub(crate) struct MeshBuilder<'a, 'c> {
    pub(crate) scope: &'a Scope<'a>,
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
    pub(crate) fn build(mut self) -> MeshTables {
        let unknown_host = self.unknown_host_route();
        let own_ports: BTreeSet<u16> = self.scope.listeners().iter().filter_map(Listener::port).collect();
        let mut by_port = HashMap::new();
        for listener in self.scope.listeners() {
            let serves = |port: u16| listener.port().map_or(!own_ports.contains(&port), |own| own == port);
            self.add_listener(listener, serves, unknown_host, &mut by_port);
        }
        let unknown_port = self.tables.add_table(HostIndex::default(), Some(unknown_host));
        MeshTables { by_port, unknown_port }
    }

    /// The tables of the ports that a listener serves.
    fn add_listener(
        &mut self,
        listener: &'a Listener<'a>,
        serves: impl Fn(u16) -> bool,
        unknown_host: RouteId,
        by_port: &mut HashMap<u16, TableId>,
    ) {
        let owners = Owners::build(listener.virtual_services(), self.site, self.findings);
        let always = listener.port().unwrap_or(LITERAL_PORT);
        let mut ports: BTreeMap<u16, Vec<(&Service, &Port)>> = BTreeMap::from([(always, Vec::new())]);
        for service in listener.services().iter() {
            for port in &service.ports {
                ports.entry(port.number).or_default().push((service, port));
            }
        }
        let mut used = BTreeSet::new();
        // Port 80 comes last: by then it is known which wildcards took a service.
        let (literal, others): (Vec<_>, Vec<_>) = ports.into_iter().partition(|(port, _)| *port == LITERAL_PORT);
        for (port, services) in others.into_iter().chain(literal).filter(|(port, _)| serves(*port)) {
            let mut hosts = HostIndex::default();
            for (service, service_port) in services {
                self.add_service(&owners, service, service_port, &mut hosts, &mut used);
            }
            if port == LITERAL_PORT {
                self.add_literal_hosts(&owners, listener.services(), &mut hosts, &used);
            }
            by_port.insert(port, self.tables.add_table(hosts, Some(unknown_host)));
        }
    }

    /// Unknown hosts pass through, or are refused where only the registry counts.
    fn unknown_host_route(&mut self) -> RouteId {
        let mode = self.scope.outbound_mode(self.mesh);
        let (name, action) = match (mode, self.scope.egress_proxy()) {
            (OutboundTrafficPolicyMode::RegistryOnly, _) => ("block_all", Action::Blocked),
            (_, None) => ("allow_any", Action::Passthrough(self.clusters.passthrough())),
            (_, Some((proxy, sidecar))) => ("allow_any", self.to_egress_proxy(proxy, sidecar)),
        };
        self.tables.add_route(Route::catch_all(name, action, RuleOrigin::built_in("outboundTrafficPolicy")))
    }

    fn to_egress_proxy(&mut self, proxy: &Destination, sidecar: &Object<Sidecar>) -> Action {
        let place = Place { namespace: &sidecar.meta.namespace, port: 0, gateway: false };
        let origin = RuleOrigin::built_in("outboundTrafficPolicy");
        let cluster = self.clusters.resolve(proxy, place, &origin, self.findings);
        Action::Forward(Forward { split: Split::single(cluster), rewrite: None })
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
        let cluster = self.clusters.default_for(&service.host, port.number);
        let action = Action::Forward(Forward { split: Split::single(cluster), rewrite: None });
        let mut route = Route::catch_all("default", action, RuleOrigin::service(&service.namespace, &service.host));
        // A port that is not HTTP is carried, not looked into.
        if !port.protocol.is_tcp() {
            route.retry = rules::default_retry(self.mesh);
        }
        route
    }

    /// Hosts that no service defines: as they stand, without short forms.
    fn add_literal_hosts(
        &mut self,
        owners: &Owners<'a>,
        services: &Services,
        hosts: &mut HostIndex,
        used: &BTreeSet<String>,
    ) {
        let unclaimed = |host: &str| match host::is_wildcard(host) {
            // A wildcard that takes a service has no domain of its own.
            true => !used.contains(host),
            false => services.get(host).is_none(),
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
