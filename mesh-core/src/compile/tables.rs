//! Assembles route tables: numbers virtual hosts and routes, and claims their domains.

use crate::host_index::HostIndex;
use crate::network::Network;
use crate::route::search::RouteSearch;
use crate::route::{Route, RouteId};
use crate::snapshot::{RouteTable, TableId, Vhost, VhostId};

/// The tables, virtual hosts and routes of a snapshot under construction.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) tables: Vec<RouteTable>,
    pub(crate) vhosts: Vec<Vhost>,
    pub(crate) routes: Vec<Route>,
}

impl Tables {
    /// Adds a route that belongs to no virtual host.
    pub(crate) fn add_route(&mut self, route: Route) -> RouteId {
        let id = RouteId(index(self.routes.len()));
        self.routes.push(route);
        id
    }

    /// Adds a virtual host; what it gets in `hosts` it keeps from later ones. Gives the domains
    /// that an earlier virtual host already has.
    pub(crate) fn add_vhost<D: AsRef<str>>(
        &mut self,
        hosts: &mut HostIndex,
        name: &str,
        domains: impl IntoIterator<Item = D>,
        routes: Vec<Route>,
    ) -> Vec<String> {
        let id = VhostId(index(self.vhosts.len()));
        let lost: Vec<_> = domains
            .into_iter()
            .filter(|domain| hosts.insert(domain.as_ref(), id).is_err_and(|owner| owner != id))
            .map(|domain| domain.as_ref().to_owned())
            .collect();
        let search = RouteSearch::build(&routes);
        let first = index(self.routes.len());
        self.vhosts.push(Vhost { name: name.into(), first, count: index(routes.len()), search });
        self.routes.extend(routes);
        lost
    }

    pub(crate) fn add_table(&mut self, hosts: HostIndex, unknown_host: Option<RouteId>) -> TableId {
        let id = TableId(index(self.tables.len()));
        self.tables.push(RouteTable { hosts, networks: Vec::new(), unknown_host });
        id
    }
}

impl Tables {
    /// Lets a table send requests to addresses of these blocks to routes; of two that are the same the first counts.
    pub(crate) fn set_networks(&mut self, table: TableId, mut networks: Vec<(Network, RouteId)>) {
        // The order among blocks of one size stays: they do not overlap unless they are the same.
        networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix()));
        self.tables[table.0 as usize].networks = networks;
    }
}

/// Ids are 32 bits: a configuration with more is beyond what any document size limit lets in.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
