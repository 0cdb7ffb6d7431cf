//! What requests count in that this workload takes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use http::Request;
use http::header::{HOST, HeaderValue};
use mesh_core::telemetry::Workload;
use mesh_core::telemetry::standard::Called;

use super::{Group, Metrics};

/// Groups by who calls and which of our names he asks for: found without a lock once they have been there.
pub(crate) struct Arrivals {
    metrics: Arc<Metrics>,
    /// Our service by each of the names that it may be asked for, and what it is called otherwise.
    names: Vec<(Box<str>, Called)>,
    canonical: Called,
    by_caller: ArcSwap<HashMap<Box<str>, Groups, RandomState>>,
    /// Of callers that prove nothing.
    unproved: OnceLock<Groups>,
}

/// One for each of our names, and the last for all others.
type Groups = Arc<[Arc<Group>]>;

impl Arrivals {
    pub(crate) fn new(metrics: &Arc<Metrics>) -> Self {
        let own = metrics.own();
        let called = |name: &str| {
            let host = format!("{name}.{}.svc.{}", own.namespace, metrics.cluster_domain());
            Called::of_host(&host, metrics.cluster_domain())
        };
        let canonical = called(&own.canonical_service);
        let mut names: Vec<_> =
            [&own.app, &own.name].map(|name| (name.to_ascii_lowercase().into(), called(name))).into();
        // Where all mean the same service nobody has to look which it was asked for.
        names.dedup();
        if names.iter().all(|(_, called)| *called == canonical) {
            names.clear();
        }
        Self {
            canonical,
            names,
            metrics: Arc::clone(metrics),
            by_caller: ArcSwap::default(),
            unproved: OnceLock::new(),
        }
    }

    /// What a request counts in that arrives, by whom it is from.
    pub(crate) fn of<B>(&self, request: &Request<B>, principal: Option<&str>) -> Arc<Group> {
        let place = if self.names.is_empty() { 0 } else { self.place_of(host_of(request)) };
        match principal {
            None | Some("") => Arc::clone(&self.unproved.get_or_init(|| self.groups(&Workload::unknown()))[place]),
            Some(principal) => self.proved(principal, place),
        }
    }

    /// Where the group of a name stands.
    fn place_of(&self, host: &[u8]) -> usize {
        let is_meant = |name: &str| {
            let first = host.split_at_checked(name.len());
            first.is_some_and(|(first, rest)| {
                matches!(rest.first(), None | Some(b'.' | b':')) && first.eq_ignore_ascii_case(name.as_bytes())
            })
        };
        let place = self.names.iter().position(|(name, _)| is_meant(name));
        place.unwrap_or(self.names.len())
    }

    fn groups(&self, caller: &Workload) -> Groups {
        let called = self.names.iter().map(|(_, called)| called).chain([&self.canonical]);
        called.map(|called| self.metrics.from(caller.clone(), called.clone())).collect()
    }

    /// Only names of ours have groups of their own: whoever makes up others counts for the service that we are.
    fn proved(&self, principal: &str, place: usize) -> Arc<Group> {
        if let Some(groups) = self.by_caller.load().get(principal)
            && let Some(group) = groups.get(place)
        {
            return Arc::clone(group);
        }
        let groups = self.groups(&Workload::unknown().with_principal(principal));
        self.by_caller.rcu(|known| {
            let mut more = HashMap::clone(known);
            // Callers prove who they are, so there are only as many as the mesh has; but a table has to end somewhere.
            if more.len() >= super::MOST_SERIES {
                more.clear();
            }
            more.insert(principal.into(), Arc::clone(&groups));
            more
        });
        Arc::clone(&groups[place])
    }
}

fn host_of<B>(request: &Request<B>) -> &[u8] {
    let host = || request.headers().get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    request.uri().authority().map_or_else(host, |authority| authority.as_str().as_bytes())
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("names", &self.names).finish_non_exhaustive()
    }
}
