//! Requests that tell the rules of a configuration apart.
//!
//! For each route: one that it takes, and for each of its conditions some that fulfil it in another way or fail just
//! that one. For each two routes of a virtual host: one that both would take, so that their order shows.

mod draft;
mod sample;

use std::collections::BTreeSet;

use super::Question;
use crate::route::Route;
use crate::snapshot::{Snapshot, TableId, Vhost};

use draft::Draft;

/// The requests for a snapshot.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    /// Those made from single routes, and one for a host that nobody knows.
    pub(super) of_routes: Vec<Question>,
    /// Those that two routes would take.
    pub(super) of_pairs: Vec<Question>,
}

impl Witnesses {
    pub(super) fn join(mut self, other: Self) -> Self {
        self.of_routes.extend(other.of_routes);
        self.of_pairs.extend(other.of_pairs);
        self
    }
}

/// Up to so many routes of a virtual host each is paired with each; in larger ones with its neighbours, since the
/// pairs grow with the square.
const ALL_PAIRS_UP_TO: usize = 200;
/// How far neighbours are apart in larger virtual hosts.
const NEIGHBOURS: usize = 20;
/// A name that is in nobody's configuration.
const UNKNOWN_HOST: &str = "host-that-nobody-defines.example";

/// Requests in the mesh: at every port that a service has, and at one that none has.
pub(super) fn of_mesh(snapshot: &Snapshot) -> Witnesses {
    let mut ports: Vec<(u16, TableId)> = snapshot.mesh.iter().map(|(port, table)| (*port, *table)).collect();
    // The map has no order; the same two configurations always give the same list.
    ports.sort_by_key(|(port, table)| (*port, table.0));
    let known: BTreeSet<u16> = ports.iter().map(|(port, _)| *port).collect();
    let free = (1_024..u16::MAX).rev().find(|port| !known.contains(port));
    let mut found = Witnesses::default();
    for (port, table) in ports {
        found = found.join(of_table(snapshot, table, port, false));
    }
    found.of_routes.extend(free.and_then(|port| Draft::default().ask(UNKNOWN_HOST, port, false)));
    found
}

/// Requests at the gateway servers of a snapshot.
pub(super) fn of_gateways(snapshot: &Snapshot) -> Witnesses {
    let servers = snapshot.gateway_servers().iter();
    servers.fold(Witnesses::default(), |found, server| found.join(of_table(snapshot, server.table, server.port, true)))
}

fn of_table(snapshot: &Snapshot, table: TableId, port: u16, gateway: bool) -> Witnesses {
    let mut found = Witnesses::default();
    for vhost in vhosts(snapshot, table) {
        let routes = &snapshot.routes[vhost.first as usize..(vhost.first + vhost.count) as usize];
        let host = vhost.name.rsplit_once(':').map_or(&*vhost.name, |(host, _)| host).replace('*', "any");
        let drafts = routes.iter().flat_map(Draft::all_for).chain([Draft::default()]);
        found.of_routes.extend(drafts.filter_map(|draft| draft.ask(&host, port, gateway)));
        for (first, second) in pairs(routes) {
            found.of_pairs.extend(Draft::for_both(first, second, &host, port, gateway));
        }
    }
    found.of_routes.extend(Draft::default().ask(UNKNOWN_HOST, port, gateway));
    found
}

fn vhosts(snapshot: &Snapshot, table: TableId) -> impl Iterator<Item = &Vhost> {
    let mut ids = snapshot.tables[table.0 as usize].hosts.vhosts();
    ids.sort_unstable_by_key(|id| id.0);
    ids.dedup();
    ids.into_iter().map(|id| &snapshot.vhosts[id.0 as usize])
}

fn pairs(routes: &[Route]) -> impl Iterator<Item = (&Route, &Route)> {
    let reach = if routes.len() <= ALL_PAIRS_UP_TO { routes.len() } else { NEIGHBOURS };
    let later = move |index: usize| routes.iter().skip(index + 1).take(reach);
    routes.iter().enumerate().flat_map(move |(index, first)| later(index).map(move |second| (first, second)))
}
