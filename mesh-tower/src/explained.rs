//! Why a request of this process goes where it goes: the explanation of the rules, with the endpoints as they are now.

use std::sync::Arc;

use http::Request;
use mesh_config::ConfigSet;
use mesh_config::api::MeshConfig;
use mesh_core::Site;
#[cfg(feature = "admin")]
use mesh_core::cluster::{ClusterId, ClusterKey};
use mesh_core::explain::{Destination, Endpoint, Explainer, Explanation, PolicyLine, Question};
use mesh_core::snapshot::GatewayServer;

use crate::Body;
use crate::cluster::ClusterHandle;
use crate::gauges::Refused;
use crate::live::Live;
use crate::outbound::Listener;

/// What a snapshot was compiled from; explanations name its lines.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) set: ConfigSet,
    pub(crate) mesh: MeshConfig,
    pub(crate) site: Site,
}

/// The events of this target have the whole explanation of a request.
const TARGET: &str = "mesh::explain";

impl Live {
    /// Explains a request by this version.
    pub(crate) fn explain(&self, question: &Question) -> Explanation {
        let Some(compiled) = self.compiled() else { return Explanation::default() };
        let Compiled { set, mesh, site } = compiled;
        let mut explanation = Explainer::new(set, mesh, site, self.snapshot()).explain(question);
        self.say_health(&mut explanation);
        explanation
    }

    /// What the clusters of a host come to, with their endpoints as they are now.
    #[cfg(feature = "admin")]
    pub(crate) fn destinations(&self, host: &str) -> Vec<(ClusterKey, Destination)> {
        let Some(Compiled { set, mesh, site }) = self.compiled() else { return Vec::new() };
        let explainer = Explainer::new(set, mesh, site, self.snapshot());
        let of_host = |cluster: &ClusterHandle| matches!(&cluster.spec().key, ClusterKey::Outbound { host: known, .. } if **known == *host);
        let ids = (0..).map(ClusterId).zip(self.clusters()).filter(|(_, cluster)| of_host(cluster));
        let told = ids.map(|(id, cluster)| {
            let mut destination = explainer.cluster(id);
            self.say_health_of(&mut destination);
            (cluster.spec().key.clone(), destination)
        });
        told.collect()
    }

    fn say_health(&self, explanation: &mut Explanation) {
        if let Some(destination) = &mut explanation.destination {
            self.say_health_of(destination);
        }
    }

    /// The endpoints that are known at this moment, those that names were looked up to among them, and which are out.
    fn say_health_of(&self, destination: &mut Destination) {
        let cluster = self.clusters().iter().find(|cluster| *cluster.spec().name == *destination.cluster);
        if let Some(cluster) = cluster {
            say_refusals(&mut destination.policy, cluster);
        }
        let states = cluster.map(|cluster| cluster.endpoints_now()).unwrap_or_default();
        if states.is_empty() {
            return;
        }
        let of = |state: &Arc<mesh_core::cluster::endpoint::EndpointState>| {
            let mut endpoint = Endpoint::default();
            endpoint.address = state.address().to_string();
            endpoint.weight = state.spec().weight;
            endpoint.locality = state.spec().locality.to_string();
            if state.is_ejected() {
                "ejected by outlier detection".clone_into(&mut endpoint.unusable);
            }
            endpoint
        };
        destination.endpoints = states.iter().map(of).collect();
    }
}

/// Says how often the limits and the retry budget were in the way; and that there is a budget where nobody asked for one.
fn say_refusals(policy: &mut Vec<PolicyLine>, cluster: &ClusterHandle) {
    let Refused { connections, pending_requests, requests, retries } = cluster.gauges().refused;
    let (by_limit, by_budget) = if cluster.budget().is_limited() { (0, retries) } else { (retries, 0) };
    let counts = [
        (connections, "connections"),
        (pending_requests, "waiting requests"),
        (requests, "requests"),
        (by_limit, "retries"),
    ];
    if let Some(limits) = policy.iter_mut().find(|line| line.name == "limits") {
        limits.value.push_str(&so_far(&counts));
    }
    if !cluster.budget().is_limited() {
        return;
    }
    let known = policy.iter().position(|line| line.name == RETRY_BUDGET).unwrap_or_else(|| {
        let mut line = PolicyLine::default();
        RETRY_BUDGET.clone_into(&mut line.name);
        line.value = cluster.budget().to_string();
        "default".clone_into(&mut line.place.object);
        policy.push(line);
        policy.len() - 1
    });
    policy[known].value.push_str(&so_far(&[(by_budget, "retries")]));
}

const RETRY_BUDGET: &str = "retry budget";

/// Counts of refusals in words; empty if there are none.
fn so_far(counts: &[(u64, &str)]) -> String {
    let said: Vec<_> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if said.is_empty() { String::new() } else { format!(" (refused so far: {})", said.join(", ")) }
}

/// Tells the explanation of a routed request to who listens for it. It costs more than the request itself, and nothing
/// where nobody listens.
pub(crate) fn trace(live: &Live, listener: Listener, request: &Request<Body>, port: u16, draw: u64) {
    if tracing::enabled!(target: TARGET, tracing::Level::TRACE)
        && let Some(question) = question(live, listener, request, port, draw)
    {
        tracing::trace!(target: TARGET, "{}", live.explain(&question));
    }
}

fn question(live: &Live, listener: Listener, request: &Request<Body>, port: u16, draw: u64) -> Option<Question> {
    let mut question = Question::new(request.method().as_str(), &request.uri().to_string()).ok()?;
    for (name, value) in request.headers() {
        // What is no text decides nothing that an explanation could show.
        let Ok(value) = value.to_str() else { continue };
        question = question.header(name.as_str(), value).ok()?;
    }
    let question = question.on_port(port).with_roll(draw);
    Some(match listener {
        Listener::Mesh { .. } => question,
        Listener::Gateway { table, .. } => {
            let serves = |server: &&GatewayServer| {
                Some(server.table) == table || server.tls.iter().any(|server| Some(server.table) == table)
            };
            let bind = live.snapshot().gateway_servers().iter().find(serves).and_then(|server| server.bind);
            question.through_gateway().at_address(bind)
        }
    })
}
