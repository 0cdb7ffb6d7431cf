//! Requests that tell the rules of a configuration apart.
//!
//! For each route: one that it takes, whatever stands before it, and for each of its conditions some that fulfil it in
//! another way or fail just that one. For each two routes of a virtual host: one that both would take, so that their
//! order shows. Beside these: unknown hosts and ports, each domain and block of addresses, and paths in odd forms.

mod draft;
mod sample;
mod solver;

use std::collections::{BTreeMap, BTreeSet};

use super::{Explainer, Question};
use crate::Scheme;
use crate::compile::host_names::literal;
use crate::route::Route;
use crate::snapshot::{TableId, VhostId};

use draft::{Draft, Place};
use solver::Solver;

/// The requests for a snapshot.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    /// Those made from single routes.
    pub(super) of_routes: Vec<Question>,
    /// Those that two routes would take.
    pub(super) of_pairs: Vec<Question>,
    /// Those that are worth asking whichever route takes them.
    pub(super) always: Vec<Question>,
    /// How many routes there are.
    pub(super) routes: usize,
    /// Routes for which no request was found that they take, as `name of rule`.
    pub(super) not_reached: Vec<String>,
}

/// Up to so many routes of a virtual host each is paired with each; in larger ones with its neighbours, since the
/// pairs grow with the square.
const ALL_PAIRS_UP_TO: usize = 200;
/// How far neighbours are apart in larger virtual hosts.
const NEIGHBOURS: usize = 20;
/// A name that is in nobody's configuration.
const UNKNOWN_HOST: &str = "host-that-nobody-defines.example";
/// Paths that a mesh may bring into another form before it routes.
const ODD_PATHS: &[&str] = &["/x/../y", "/x//y", "/x\\y", "/x%2Fy", "/x%5cy", "/x/%2e%2E/y", "/x/./y", "/%41"];

/// Requests in the mesh: at every port that a service has, and at one that none has.
pub(super) fn of_mesh(explainer: &Explainer<'_>) -> Witnesses {
    let mut ports: Vec<(u16, TableId)> = explainer.snapshot.mesh.iter().map(|(port, table)| (*port, *table)).collect();
    // The map has no order; the same two configurations always give the same list.
    ports.sort_by_key(|(port, table)| (*port, table.0));
    let known: BTreeSet<u16> = ports.iter().map(|(port, _)| *port).collect();
    let free = (1_024..u16::MAX).rev().find(|port| !known.contains(port));
    let mut found = Witnesses::default();
    for (port, table) in ports {
        found.add_table(explainer, table, &Place { port, gateway: None });
    }
    let unknown_port = free.map(|port| Place { port, gateway: None });
    found.always.extend(unknown_port.and_then(|place| Draft::default().ask(UNKNOWN_HOST, &place)));
    found
}

/// Requests at the gateway servers of a snapshot.
pub(super) fn of_gateways(explainer: &Explainer<'_>) -> Witnesses {
    let mut found = Witnesses::default();
    for server in explainer.snapshot.gateway_servers() {
        let place = |scheme| Place { port: server.port, gateway: Some((server.bind, scheme)) };
        if server.tls.is_empty() {
            found.add_table(explainer, server.table, &place(Scheme::Http));
        }
        for secured in &server.tls {
            found.add_table(explainer, secured.table, &place(Scheme::Https));
        }
    }
    found
}

impl Witnesses {
    fn add_table(&mut self, explainer: &Explainer<'_>, table: TableId, place: &Place) {
        let spec = &explainer.snapshot.tables[table.0 as usize];
        // A virtual host is asked by one of its domains, and then each other one once.
        let mut domains: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        for (domain, vhost) in spec.hosts.iter() {
            domains.entry(vhost.0).or_default().insert(domain);
        }
        let mut first_host = None;
        for (vhost, domains) in domains {
            let hosts: Vec<String> = domains.iter().map(|domain| host_in(domain)).collect();
            let name = &explainer.snapshot.vhosts[vhost as usize].name;
            let named = host_in(name.rsplit_once(':').map_or(name, |(host, _)| host));
            let main = hosts.iter().find(|host| **host == named).or(hosts.first()).cloned().unwrap_or(named);
            self.always.extend(hosts.iter().filter_map(|host| Draft::default().ask(host, place)));
            self.add_vhost(explainer, VhostId(vhost), &main, place);
            first_host = first_host.or(Some(main));
        }
        let addresses: Vec<_> = spec.networks.iter().map(|(network, _)| network.first_address().to_string()).collect();
        self.always.extend(addresses.iter().filter_map(|address| Draft::default().ask(&literal(address), place)));
        self.always.extend(Draft::default().ask(UNKNOWN_HOST, place));
        let host = first_host.unwrap_or_else(|| UNKNOWN_HOST.to_owned());
        self.always.extend(ODD_PATHS.iter().filter_map(|path| Draft::of_path(path).ask(&host, place)));
    }

    fn add_vhost(&mut self, explainer: &Explainer<'_>, vhost: VhostId, host: &str, place: &Place) {
        let spec = &explainer.snapshot.vhosts[vhost.0 as usize];
        let routes = &explainer.snapshot.routes[spec.first as usize..(spec.first + spec.count) as usize];
        let taken_by = |question: &Question| {
            let index = explainer.chosen(question)?.0.checked_sub(spec.first)?;
            usize::try_from(index).ok().filter(|index| *index < routes.len())
        };
        let mut solver = Solver::new(routes, host, place);
        self.routes += routes.len();
        self.of_routes.extend(Draft::default().ask(host, place));
        for (index, route) in routes.iter().enumerate() {
            let reached = solver.reach(index, None, &taken_by);
            if reached.is_none() {
                self.not_reached.push(format!("{} of {}", named(route), route.origin));
            }
            // Also from one that an earlier route takes: which one it is may change.
            let drafts = reached.into_iter().chain(solver.alone(index));
            for draft in drafts {
                let ways = solver.variations(index, &draft);
                self.of_routes.extend(std::iter::once(draft).chain(ways).filter_map(|draft| draft.ask(host, place)));
            }
        }
        let reach = if routes.len() <= ALL_PAIRS_UP_TO { routes.len() } else { NEIGHBOURS };
        for first in 0..routes.len() {
            for second in (first + 1..routes.len()).take(reach) {
                let both = solver.reach(first, Some(second), &taken_by);
                self.of_pairs.extend(both.and_then(|draft| draft.ask(host, place)));
            }
        }
    }
}

fn named(route: &Route) -> &str {
    if route.name.is_empty() { "a route without name" } else { &route.name }
}

/// A host that a domain covers.
fn host_in(domain: &str) -> String {
    literal(&domain.replace('*', "any"))
}
