//! One version of the configuration, ready to decide by; immutable and shared.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use mesh_config::api::mesh_config::NormalizationType;

use crate::authn::PeerModes;
use crate::authz::{Authorization, Provider};
use crate::cluster::{ClusterId, ClusterSpec};
use crate::gateway_tls::TlsServer;
use crate::host_index::{HostIndex, host_of};
use crate::identity::TrustDomains;
use crate::jwt::Authentication;
use crate::mesh_tls::MeshTls;
use crate::network::Network;
use crate::route::search::RouteSearch;
use crate::route::{Action, ClusterRef, Forward, Route, RouteId, Routed, WeightedDestination};
use crate::telemetry::policy::Telemetries;
use crate::{Failure, RequestView, Rng};

/// A virtual host of a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VhostId(pub u32);

/// A route table of a [`Snapshot`]: that of one listener port, or of one gateway server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableId(pub u32);

/// Everything a request is decided by.
///
/// Ids of one snapshot mean nothing in another one: a request keeps the snapshot it started with.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(crate) tables: Vec<RouteTable>,
    /// The table of each mesh listener port.
    pub(crate) mesh: HashMap<u16, TableId, RandomState>,
    /// For a port that no service has.
    pub(crate) unknown_port: Option<TableId>,
    pub(crate) vhosts: Vec<Vhost>,
    pub(crate) routes: Vec<Route>,
    pub(crate) clusters: Vec<Arc<ClusterSpec>>,
    pub(crate) gateways: Vec<GatewayServer>,
    pub(crate) path_normalization: NormalizationType,
    pub(crate) trusted_proxies: u32,
    pub(crate) peer_modes: PeerModes,
    pub(crate) trust_domains: TrustDomains,
    pub(crate) tls: MeshTls,
    pub(crate) authorization: Authorization,
    pub(crate) authentication: Authentication,
    pub(crate) providers: Vec<Arc<Provider>>,
    pub(crate) telemetry: Telemetries,
}

/// The virtual hosts of one listener.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    pub(crate) hosts: HostIndex,
    /// Blocks of addresses, the smallest first, for requests to an address that is no domain.
    pub(crate) networks: Vec<(Network, RouteId)>,
    /// Takes the requests whose host is unknown; without it they are 404.
    pub(crate) unknown_host: Option<RouteId>,
}

impl RouteTable {
    /// The route of an authority that no virtual host has.
    fn beside_hosts(&self, authority: &str) -> Option<RouteId> {
        let by_address = || {
            let host = host_of(authority)?.trim_start_matches('[').trim_end_matches(']');
            let address = host.parse().ok()?;
            self.networks.iter().find(|(network, _)| network.contains(address)).map(|(_, route)| *route)
        };
        if self.networks.is_empty() { self.unknown_host } else { by_address().or(self.unknown_host) }
    }
}

/// The routes of one host.
#[derive(Debug)]
pub(crate) struct Vhost {
    pub(crate) name: Box<str>,
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) search: RouteSearch,
}

/// A listener that a gateway opens: the servers of its Gateways for HTTP that share a port, without TLS or with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayServer {
    /// The port in the Gateway.
    pub port: u16,
    /// The address to bind, where the Gateway names one. With the port, it tells the listeners apart.
    pub bind: Option<IpAddr>,
    /// Its routes; with TLS those of its first server.
    pub table: TableId,
    /// Its servers with TLS; none where connections begin without.
    pub tls: Vec<TlsServer>,
    /// The Gateways behind it, as `namespace/name`.
    pub gateways: Vec<Box<str>>,
}

impl Snapshot {
    /// Where a request of this process goes, by the mesh listener of its port.
    ///
    /// # Errors
    /// [`Failure::NoRoute`] where no virtual host or no route of it takes the request.
    pub fn route(&self, req: &RequestView<'_>, rng: &mut dyn Rng) -> Result<Routed, Failure> {
        let table = self.mesh_table(req.port).ok_or(Failure::NoRoute)?;
        self.route_in(table, req, rng)
    }

    /// Where a request goes by a given table (that of a gateway's server).
    ///
    /// # Errors
    /// [`Failure::NoRoute`] where no virtual host or no route of it takes the request.
    pub fn route_in(&self, table: TableId, req: &RequestView<'_>, rng: &mut dyn Rng) -> Result<Routed, Failure> {
        let table = self.tables.get(table.0 as usize).ok_or(Failure::NoRoute)?;
        let route = match table.hosts.find(req.authority) {
            Some(vhost) => self.route_of(vhost, req)?,
            None => table.beside_hosts(req.authority).ok_or(Failure::NoRoute)?,
        };
        // One draw a request serves the split and every mirror.
        let draw = rng.next_u64();
        let destination = match &self.routes[route.0 as usize].action {
            Action::Forward(forward) => forward.split.pick(draw),
            _ => 0,
        };
        Ok(Routed { route, destination, draw })
    }

    fn route_of(&self, vhost: VhostId, req: &RequestView<'_>) -> Result<RouteId, Failure> {
        let vhost = &self.vhosts[vhost.0 as usize];
        let routes = &self.routes[vhost.first as usize..(vhost.first + vhost.count) as usize];
        let found = vhost.search.find(routes, req).ok_or(Failure::NoRoute)?;
        Ok(RouteId(vhost.first + found as u32))
    }

    /// The rule that was chosen.
    ///
    /// # Panics
    /// With an id of another snapshot.
    pub fn rule(&self, route: RouteId) -> &Route {
        &self.routes[route.0 as usize]
    }

    /// The destination that was drawn; `None` where the route forwards nowhere.
    pub fn destination(&self, routed: Routed) -> Option<&WeightedDestination> {
        match &self.rule(routed.route).action {
            Action::Forward(Forward { split, .. }) => Some(split.get(routed.destination)),
            _ => None,
        }
    }

    /// The clusters, indexed by [`ClusterId`].
    pub fn clusters(&self) -> &[Arc<ClusterSpec>] {
        &self.clusters
    }

    /// One cluster.
    ///
    /// # Panics
    /// With an id of another snapshot.
    pub fn cluster(&self, id: ClusterId) -> &Arc<ClusterSpec> {
        &self.clusters[id.0 as usize]
    }

    /// How far paths are brought into one form before anything looks at them.
    pub fn path_normalization(&self) -> NormalizationType {
        self.path_normalization
    }

    /// Proxies in front of a gateway whose word about the caller is believed.
    pub fn trusted_proxies(&self) -> u32 {
        self.trusted_proxies
    }

    /// Which connections the ports of this workload take.
    pub fn peer_modes(&self) -> &PeerModes {
        &self.peer_modes
    }

    /// The trust domains whose identities are this mesh's.
    pub fn trust_domains(&self) -> &TrustDomains {
        &self.trust_domains
    }

    /// What the mesh says of TLS for all workloads.
    pub fn tls(&self) -> &MeshTls {
        &self.tls
    }

    /// Whose tokens are accepted at this workload.
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// Who may do what at this workload.
    pub fn authorization(&self) -> &Authorization {
        &self.authorization
    }

    /// Whether anything is asked about callers of this workload at all.
    pub fn judges(&self) -> bool {
        !self.authorization.is_empty() || !self.authentication.is_empty()
    }

    /// Whom to ask where a `CUSTOM` policy names this provider of the mesh.
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| *provider.name == *name)
    }

    /// What is counted, logged and traced of this workload's requests.
    pub fn telemetry(&self) -> &Telemetries {
        &self.telemetry
    }

    /// The listeners of the Gateways that select this workload.
    pub fn gateway_servers(&self) -> &[GatewayServer] {
        &self.gateways
    }

    /// The listener ports that have routes of their own, in no order.
    pub fn mesh_ports(&self) -> impl Iterator<Item = u16> {
        self.mesh.keys().copied()
    }

    /// The table of a mesh port.
    pub fn mesh_table(&self, port: u16) -> Option<TableId> {
        self.mesh.get(&port).copied().or(self.unknown_port)
    }

    /// The name of the virtual host an authority belongs to, on a mesh port.
    pub fn vhost_name(&self, port: u16, authority: &str) -> Option<&str> {
        self.vhost_of(self.mesh_table(port)?, authority)
    }

    /// The name of the virtual host an authority belongs to, in a table.
    pub fn vhost_of(&self, table: TableId, authority: &str) -> Option<&str> {
        let vhost = self.tables.get(table.0 as usize)?.hosts.find(authority)?;
        Some(self.vhost(vhost).0)
    }

    /// The name of the virtual host that a route belongs to; none for what takes hosts that nobody knows.
    pub fn vhost_of_route(&self, route: RouteId) -> Option<&str> {
        // They stand in the order of their routes.
        let after = self.vhosts.partition_point(|vhost| vhost.first <= route.0);
        let last = self.vhosts[..after].iter().rfind(|vhost| vhost.count > 0)?;
        (route.0 < last.first + last.count).then_some(&last.name)
    }

    /// The domains of a table with their virtual hosts, in no order.
    pub fn domains(&self, table: TableId) -> Vec<(String, VhostId)> {
        self.tables.get(table.0 as usize).map(|table| table.hosts.iter().collect()).unwrap_or_default()
    }

    /// The name and the routes of a virtual host.
    ///
    /// # Panics
    /// With an id of another snapshot.
    pub fn vhost(&self, vhost: VhostId) -> (&str, &[Route]) {
        let Vhost { name, first, count, .. } = &self.vhosts[vhost.0 as usize];
        (name, &self.routes[*first as usize..(first + count) as usize])
    }

    /// The route that takes what no domain of a table takes.
    pub fn unknown_host(&self, table: TableId) -> Option<&Route> {
        self.tables.get(table.0 as usize)?.unknown_host.map(|route| self.rule(route))
    }

    /// The number of routes over all tables.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// Every cluster reference of every route and mirror, with the route's origin.
    pub fn references(&self) -> impl Iterator<Item = (&Route, &ClusterRef)> {
        self.routes.iter().flat_map(|route| {
            let split = match &route.action {
                Action::Forward(forward) => Some(forward.split.iter()),
                _ => None,
            };
            let destinations = split.into_iter().flatten().map(|destination| &destination.cluster);
            destinations.chain(route.mirrors.iter().map(|mirror| &mirror.cluster)).map(move |cluster| (route, cluster))
        })
    }
}
