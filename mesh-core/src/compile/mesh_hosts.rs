//! The mesh side: one table a listener port, one virtual host a service.
//!
//! On each port the VirtualServices are asked in their order. Each gives its routes to those of its
//! hosts that are services of the port, and to its other hosts as they stand: these only where it
//! has a service on the port too, or on port 80. The services that are left get their default
//! route. A domain belongs to the first that claims it.

mod imports;
mod listener;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use mesh_config::Object;
use mesh_config::api::sidecar::OutboundTrafficPolicyMode;
use mesh_config::api::virtual_service::Destination;
use mesh_config::api::{MeshConfig, Sidecar, VirtualService};

use super::clusters::{Clusters, Place};
use super::delegate::Delegates;
use super::findings::{self, Findings};
use super::host_names::{Domain, ServiceNames};
use super::registry::{Port, Service};
use super::rules::{self, Rules};
use super::scope::{self, Scope};
use super::tables::Tables;
use crate::Site;
use crate::cluster::ClusterKey;
use crate::host_index::HostIndex;
use crate::route::{Action, Forward, HashPolicy, Route, RouteId, RuleOrigin, Split};
use crate::snapshot::TableId;
use imports::{HostRules, Imports};
use listener::Listener;

/// The port on which hosts that no service defines get a virtual host in any case.
const LITERAL_PORT: u16 = 80;

/// Builds the tables of all listener ports.
#[derive(Debug)]
pub(crate) struct MeshBuilder<'a, 'c> {
    pub(crate) scope: &'a Scope<'a>,
    pub(crate) delegates: &'a Delegates<'a>,
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

/// The virtual hosts of one port while they are made.
struct Hosts<'a> {
    index: HostIndex,
    /// Who owns the rules of each virtual host.
    owners: HashMap<String, &'a Object<VirtualService>>,
    /// Names that services of the port have in full: no short form of another service takes them.
    full_names: HashSet<&'a str>,
}

/// The ports on which hosts that no service has get rules, to be reported.
type LiteralHosts<'a> = BTreeMap<String, (&'a Object<VirtualService>, BTreeSet<u16>)>;

impl<'a> MeshBuilder<'a, '_> {
    pub(crate) fn build(mut self) -> MeshTables {
        let unknown_host = self.unknown_host_route();
        let scope = self.scope;
        let own_ports: BTreeSet<u16> = scope.listeners().iter().filter_map(scope::Listener::port).collect();
        let mut literal = LiteralHosts::new();
        let mut by_port = HashMap::new();
        for egress in scope.listeners() {
            let imports = Imports::of(egress, self.site, self.findings);
            let ports = match egress.port() {
                Some(port) => BTreeSet::from([port]),
                None => imports.ports().chain([LITERAL_PORT]).filter(|port| !own_ports.contains(port)).collect(),
            };
            for port in ports {
                let listener = Listener::new(&imports, port);
                let hosts = self.hosts(&imports, &listener, &mut literal);
                let unknown_host = self.carried_route(listener.carries_all()).unwrap_or(unknown_host);
                let table = self.tables.add_table(hosts, Some(unknown_host));
                self.add_networks(&listener, table);
                by_port.insert(port, table);
            }
        }
        for (host, (object, ports)) in literal {
            self.findings.add(findings::literal_host(object, &host, &ports));
        }
        let unknown_port = self.tables.add_table(HostIndex::default(), Some(unknown_host));
        MeshTables { by_port, unknown_port }
    }

    /// Unknown hosts pass through, or are refused where only the registry counts.
    fn unknown_host_route(&mut self) -> RouteId {
        let mode = self.scope.outbound_mode(self.mesh);
        let (name, action) = match (mode, self.scope.egress_proxy()) {
            (OutboundTrafficPolicyMode::RegistryOnly, _) => ("block_all", Action::Blocked),
            (_, None) => ("allow_any", Action::Passthrough(self.clusters.passthrough())),
            (_, Some((proxy, sidecar))) => ("allow_any", self.send_to_egress_proxy(proxy, sidecar)),
        };
        self.tables.add_route(Route::catch_all(name, action, RuleOrigin::built_in("outboundTrafficPolicy")))
    }

    fn send_to_egress_proxy(&mut self, proxy: &Destination, sidecar: &Object<Sidecar>) -> Action {
        let place = Place { namespace: &sidecar.meta.namespace, port: 0, gateway: false };
        let origin = RuleOrigin::built_in("outboundTrafficPolicy");
        let cluster = self.clusters.resolve(proxy, place, &origin, self.findings);
        Action::Forward(Forward { split: Split::single(cluster), rewrite: None })
    }

    /// The virtual hosts of one port.
    fn hosts(
        &mut self,
        imports: &Imports<'a>,
        listener: &Listener<'_, 'a>,
        literal: &mut LiteralHosts<'a>,
    ) -> HostIndex {
        let full_names = listener.services.iter().map(|(service, _)| service.host.as_str()).collect();
        let mut hosts = Hosts { index: HostIndex::default(), owners: HashMap::new(), full_names };
        let mut taken = HashSet::new();
        for rules in &imports.rules {
            taken.extend(self.add_rules(imports, listener, rules, &mut hosts, literal));
        }
        for (n, (service, port)) in listener.services.iter().enumerate() {
            // What only stands for another service is a name of that one.
            if !taken.contains(&n) && !imports.is_alias(service) {
                let routes = vec![self.default_route(service, port)];
                self.add_service(&mut hosts, service, port, routes);
            }
        }
        hosts.index
    }

    /// Adds what one VirtualService has on a port; gives the services that it took.
    fn add_rules(
        &mut self,
        imports: &Imports<'a>,
        listener: &Listener<'_, 'a>,
        rules: &HostRules<'a>,
        hosts: &mut Hosts<'a>,
        literal: &mut LiteralHosts<'a>,
    ) -> Vec<usize> {
        let split = listener.split(rules);
        if split.services.is_empty() && (listener.port != LITERAL_PORT || split.literal.is_empty()) {
            return Vec::new();
        }
        // A service that is not on port 80 is called there by mistake; what its rules lack there is no news.
        let by_mistake = split.services.is_empty() && split.literal.iter().all(|host| imports.knows(host));
        let routes = self.lower(rules.object, listener.port, by_mistake);
        if routes.is_empty() {
            return Vec::new();
        }
        for host in &split.literal {
            let name = format!("{host}:{}", listener.port);
            if self.claim(hosts, &name, host, rules.object) {
                if !imports.knows(host) {
                    let (_, ports) = literal.entry((*host).to_owned()).or_insert((rules.object, BTreeSet::new()));
                    ports.insert(listener.port);
                }
                let _lost = self.tables.add_vhost(&mut hosts.index, &name, [in_authority(host)], routes.clone());
            }
        }
        for n in &split.services {
            let (service, port) = listener.services[*n];
            let name = format!("{}:{}", service.host, listener.port);
            if self.claim(hosts, &name, &service.host, rules.object) {
                self.add_service(hosts, service, port, routes.clone());
            }
        }
        split.services
    }

    /// Whether a virtual host is still free; if not, its owner is reported to the latecomer.
    fn claim(&mut self, hosts: &mut Hosts<'a>, name: &str, host: &str, object: &'a Object<VirtualService>) -> bool {
        let owner = *hosts.owners.entry(name.to_owned()).or_insert(object);
        let is_free = std::ptr::eq(owner, object);
        if !is_free {
            self.findings.add(findings::host_lost(object, owner, host));
        }
        is_free
    }

    fn lower(&mut self, object: &'a Object<VirtualService>, port: u16, silent: bool) -> Vec<Route> {
        let place = Place { namespace: &object.meta.namespace, port, gateway: false };
        let rules = Rules { object, delegates: self.delegates, place, gateway: None, site: self.site, mesh: self.mesh };
        let mut unheard = Findings::default();
        rules::lower(rules, self.clusters, if silent { &mut unheard } else { self.findings })
    }

    fn default_route(&mut self, service: &Service, port: &Port) -> Route {
        let cluster = self.clusters.default_for(&service.host, port.number);
        let action = Action::Forward(Forward { split: Split::single(cluster), rewrite: None });
        let mut route = Route::catch_all("default", action, RuleOrigin::service(&service.namespace, &service.host));
        // A port that is not HTTP is carried, not looked into.
        route.carried = port.protocol.is_tcp();
        if !route.carried {
            route.retry = rules::default_retry(self.mesh);
        }
        let hash = self.clusters.hash_of_service(service, port.number);
        // Of what is carried only the caller can be seen.
        route.hash = hash.into_iter().filter(|hash| !route.carried || *hash == HashPolicy::SourceIp).collect();
        route
    }

    /// The route of a service that takes whatever connection there is.
    fn carried_route(&mut self, service: Option<(&Service, &Port)>) -> Option<RouteId> {
        let (service, port) = service?;
        let route = self.default_route(service, port);
        Some(self.tables.add_route(route))
    }

    /// Where only connections are looked at, a service is found by its addresses, blocks of them included.
    fn add_networks(&mut self, listener: &Listener<'_, 'a>, table: TableId) {
        let mut networks = Vec::new();
        for (service, port) in listener.services.iter().filter(|(_, port)| port.protocol.is_tcp()) {
            if let Some(route) = self.carried_route((!service.networks.is_empty()).then_some((*service, *port))) {
                networks.extend(service.networks.iter().map(|network| (*network, route)));
            }
        }
        self.tables.set_networks(table, networks);
    }

    fn add_service(&mut self, hosts: &mut Hosts<'a>, service: &Service, port: &Port, routes: Vec<Route>) {
        let names = ServiceNames {
            host: &service.host,
            aliases: &service.aliases,
            headless: service.headless,
            addresses: &service.addresses,
        };
        let is_free = |domain: &Domain| !domain.short || !hosts.full_names.contains(domain.name.as_str());
        let domains = names.domains(&self.site.dns_domain()).into_iter().filter(is_free);
        let (of_endpoints, own): (Vec<_>, Vec<_>) = domains.partition(|domain| domain.of_endpoints);
        let name = format!("{}:{}", service.host, port.number);
        let add = |tables: &mut Tables, index: &mut HostIndex, domains: Vec<Domain>, routes| {
            // A domain that an earlier virtual host has stays there, as in Istio.
            let _lost = tables.add_vhost(index, &name, domains.iter().map(|domain| &*domain.name), routes);
        };
        if !of_endpoints.is_empty() {
            let routes = self.send_to_named_endpoints(service, port, routes.clone());
            add(self.tables, &mut hosts.index, of_endpoints, routes);
        }
        add(self.tables, &mut hosts.index, own, routes);
    }

    /// The routes of a headless service for those who name one of its endpoints: what goes to any endpoint of the
    /// service goes to that one.
    fn send_to_named_endpoints(&mut self, service: &Service, port: &Port, mut routes: Vec<Route>) -> Vec<Route> {
        let any = ClusterKey::outbound(port.number, "", &service.host).to_string();
        for route in &mut routes {
            if let Action::Forward(forward) = &mut route.action
                && forward.split.iter().any(|destination| *destination.cluster.name == *any)
            {
                forward.split.replace(&any, &self.clusters.endpoints_by_name(service, port));
            }
        }
        routes
    }
}

/// An IPv6 address stands in brackets in an authority.
fn in_authority(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
