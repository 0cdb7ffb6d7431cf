use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::Request;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{EndpointAddress, EndpointSpec};
use mesh_core::lb::{Cursors, HostSet, LbSpec, Pick};
use mesh_core::request::RequestView;
use mesh_core::route::{HashPolicy, RequestHash};
use mesh_core::{PeerView, Scheme};
use tower_layer::Layer;

use super::Balance;
use crate::chance::Chance;

/// Chooses an endpoint for each request. Copies share the endpoints.
#[derive(Clone, Debug)]
pub struct BalanceLayer {
    endpoints: Arc<Endpoints>,
    hash_by: Arc<[HashPolicy]>,
    chance: Arc<Chance>,
}

#[derive(Debug)]
struct Endpoints {
    lb: LbSpec,
    /// Where the rounds stand; they go on when endpoints change.
    cursors: Cursors,
    hosts: ArcSwap<HostSet>,
}

impl Endpoints {
    fn set_of(lb: LbSpec, states: Vec<Arc<EndpointState>>, cursors: &Cursors) -> HostSet {
        HostSet::new(&lb.into(), states, cursors, crate::clock::now())
    }
}

impl BalanceLayer {
    /// By this algorithm, over endpoints of equal weight.
    pub fn new(lb: LbSpec, endpoints: impl IntoIterator<Item = SocketAddr>) -> Self {
        let at = |address| EndpointSpec::at(EndpointAddress::Socket(address));
        Self::weighted(lb, endpoints.into_iter().map(at))
    }

    /// The same over endpoints that have weights.
    pub fn weighted(lb: LbSpec, endpoints: impl IntoIterator<Item = EndpointSpec>) -> Self {
        let cursors = Cursors::beginning_with(fastrand::u32(..));
        let states = endpoints.into_iter().map(|endpoint| Arc::new(EndpointState::new(endpoint))).collect();
        let hosts = ArcSwap::from_pointee(Endpoints::set_of(lb, states, &cursors));
        let endpoints = Arc::new(Endpoints { lb, cursors, hosts });
        Self { endpoints, hash_by: Arc::new([]), chance: Arc::default() }
    }

    /// What of a request decides where it goes, for the algorithms that go by a hash. Where nothing of it is there, any
    /// endpoint serves. A cookie that is missing is not made.
    #[must_use]
    pub fn hash_by(self, policies: impl IntoIterator<Item = HashPolicy>) -> Self {
        Self { hash_by: policies.into_iter().collect(), ..self }
    }

    /// Makes the choices reproducible, for tests.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        let Endpoints { lb, hosts, .. } = &*self.endpoints;
        let (lb, cursors) = (*lb, Cursors::default());
        let hosts = ArcSwap::from_pointee(Endpoints::set_of(lb, hosts.load().iter().cloned().collect(), &cursors));
        let endpoints = Arc::new(Endpoints { lb, cursors, hosts });
        Self { endpoints, chance: Arc::new(Chance::new(Some(seed))), ..self }
    }

    /// Other endpoints from now on. Those that stay keep their count; requests that are under way are left alone.
    pub fn set_endpoints(&self, endpoints: impl IntoIterator<Item = EndpointSpec>) {
        let Endpoints { lb, cursors, hosts } = &*self.endpoints;
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        hosts.rcu(|current| {
            let known: HashMap<_, _> = current.iter().map(|state| (state.address(), state)).collect();
            let state = |endpoint: &EndpointSpec| match known.get(&endpoint.address) {
                Some(state) => Arc::new(state.successor(endpoint.clone())),
                None => Arc::new(EndpointState::new(endpoint.clone())),
            };
            Endpoints::set_of(*lb, endpoints.iter().map(state).collect(), cursors)
        });
    }

    /// The endpoints, and how many requests each of them has under way.
    pub fn active(&self) -> Vec<(EndpointAddress, u32)> {
        let hosts = self.endpoints.hosts.load();
        hosts.iter().map(|state| (state.address().clone(), state.active())).collect()
    }

    /// Where a request goes; `None` if there is nobody.
    pub(super) fn choose<B>(&self, request: &Request<B>) -> Option<Arc<EndpointState>> {
        let hosts = self.endpoints.hosts.load();
        let pick = Pick { hash: self.hash_of(request), ..Pick::first(crate::clock::now()) };
        let index = self.chance.with(|rng| hosts.pick(&pick, rng))?;
        hosts.host(index).cloned()
    }

    fn hash_of<B>(&self, request: &Request<B>) -> Option<u64> {
        if self.hash_by.is_empty() || !self.endpoints.lb.is_by_hash() {
            return None;
        }
        let uri = request.uri();
        let scheme = if uri.scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http };
        let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
        let view = RequestView {
            method: request.method(),
            scheme,
            authority: uri.authority().map(http::uri::Authority::as_str).or(host).unwrap_or_default(),
            path: uri.path(),
            query: uri.query(),
            headers: request.headers(),
            peer: PeerView::default(),
            port: uri.port_u16().unwrap_or(scheme.default_port()),
        };
        RequestHash::of(&self.hash_by, &view, &mut || 0).hash
    }
}

impl<S> Layer<S> for BalanceLayer {
    type Service = Balance<S>;

    fn layer(&self, inner: S) -> Balance<S> {
        Balance::new(inner, self.clone())
    }
}
