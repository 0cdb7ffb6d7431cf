//! What requests count in that this workload takes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::Request;
use http::header::HOST;
use http::uri::Authority;
use mesh_core::identity::SpiffeId;
use mesh_core::route::reply::is_grpc;
use mesh_core::telemetry::Workload;
use mesh_core::telemetry::standard::{Called, Security};

use super::{Begun, Group, Measured, Metrics};
use crate::identity::Peer;
use crate::inbound::PeerIdentity;

/// Groups by who calls and which of our names he asks for: found without a lock once they have been there.
pub(crate) struct Arrivals {
    metrics: Arc<Metrics>,
    /// Our service by each of the names that it may be asked for, and what it is called otherwise.
    names: Vec<(Box<str>, Called)>,
    canonical: Called,
    by_caller: ArcSwap<HashMap<Box<str>, Groups>>,
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
        let names = [&own.app, &own.name].map(|name| (name.to_ascii_lowercase().into(), called(name))).into();
        Self {
            canonical: called(&own.canonical_service),
            names,
            metrics: Arc::clone(metrics),
            by_caller: ArcSwap::default(),
        }
    }

    /// A request that arrives.
    pub(crate) fn begin<B: http_body::Body>(&self, request: &Request<B>) -> Measured {
        let extensions = request.extensions();
        let proved = extensions.get::<PeerIdentity>().map(PeerIdentity::principal);
        let principal = proved.or_else(|| extensions.get::<Peer>()?.id().map(SpiffeId::as_str));
        let security = if principal.is_some() { Security::MutualTls } else { Security::None };
        let group = self.group(principal.unwrap_or_default(), host_of(request));
        let body = request.body().size_hint().exact().unwrap_or_default();
        Begun::new(group, request, body).measured(crate::clock::now(), is_grpc(request.headers()), security)
    }

    /// Only names of ours have groups of their own: whoever makes up others counts for the service that we are.
    fn group(&self, principal: &str, host: &str) -> Arc<Group> {
        let first = host.split(['.', ':']).next().unwrap_or_default();
        let place = self.names.iter().position(|(name, _)| name.eq_ignore_ascii_case(first));
        let place = place.unwrap_or(self.names.len());
        if let Some(groups) = self.by_caller.load().get(principal)
            && let Some(group) = groups.get(place)
        {
            return Arc::clone(group);
        }
        let caller = || match principal {
            "" => Workload::unknown(),
            principal => Workload::unknown().with_principal(principal),
        };
        let called = self.names.iter().map(|(_, called)| called).chain([&self.canonical]);
        let groups: Groups = called.map(|called| self.metrics.from(caller(), called.clone())).collect();
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

fn host_of<B>(request: &Request<B>) -> &str {
    let host = || request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    request.uri().authority().map_or_else(host, Authority::as_str)
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("names", &self.names).finish_non_exhaustive()
    }
}
