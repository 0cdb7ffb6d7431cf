//! What a browser is shown, put together.

use std::time::UNIX_EPOCH;

use super::ask::Ask;
use super::page::{self, Choice, Shown};
use super::reply::Reply;
use super::state::{INDEX, State};
use super::{certs, endpoints, graph, peers, routes};
use crate::live::Live;

impl State {
    /// The page, or with `?live=1` only those parts of it that change.
    pub(super) fn page(&self, live: &Live, ask: &Ask) -> Reply {
        let site = live.compiled().map(|compiled| &compiled.site);
        let account = site.and_then(|site| site.service_account.as_deref()).unwrap_or("this process");
        let name = site.map_or_else(String::new, |site| format!("{}/{account}", site.namespace));
        let choice = Choice::of(ask);
        let seen = self.seen(choice.window);
        page::page(&Shown {
            name: &name,
            generation: live.version(),
            uptime: crate::clock::now().saturating_duration_since(self.began).as_secs(),
            time: crate::clock::wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            choice,
            only_live: ask.get("live").is_some(),
            certs: &certs::certs(&self.identity),
            lint: &self.lint(live, &seen),
            graph: &graph::graph(live, &seen, ""),
            peers: &peers::peers(live, &seen),
            routes: &routes::routes(live, &seen, ""),
            endpoints: &endpoints::endpoints(live, &seen, ""),
            limits: &endpoints::limits(live, ""),
            index: &INDEX,
        })
    }
}
