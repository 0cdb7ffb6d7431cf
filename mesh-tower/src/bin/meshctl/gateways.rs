//! Gateways, asked as the workloads that they select.
//!
//! A Gateway acts in the workloads that its selector takes, and a test of its rules has none of them at hand. So it is
//! asked as one: a client with the selector's labels beside its own. Of servers with TLS the one is asked that a handshake
//! for the host of the authority leads to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use mesh_config::value::host::{by_specificity, resolve_gateway_name, subset_of};
use mesh_config::{ConfigSet, Kind, ResourceId, parse};
use mesh_core::compile::gateway_servers::Serving;
use mesh_core::explain::Question;
use mesh_core::{Scheme, Site};

use super::world::World;

/// The label of the workload that serves the Gateways that nobody defines.
const MISSING: &str = "meshctl/missing-gateway";

/// A server of a Gateway that takes HTTP, as the workload that it selects opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    /// `namespace/name`.
    pub(crate) gateway: String,
    pub(crate) port: u16,
    pub(crate) scheme: Scheme,
    namespace: String,
    name: String,
    labels: BTreeMap<String, String>,
    /// Without the namespaces whose rules may bind.
    hosts: Vec<String>,
}

/// All servers of all Gateways.
#[derive(Debug)]
pub(crate) struct Gateways {
    /// With a Gateway for each one that a VirtualService names and nobody defines.
    set: ConfigSet,
    doors: Vec<Door>,
    worlds: HashMap<String, World>,
}

impl Gateways {
    pub(crate) fn of(set: &ConfigSet) -> Self {
        let set = with_missing(set.clone());
        let mut doors: Vec<_> = set
            .gateways()
            .flat_map(|gateway| {
                let (namespace, name) = (&gateway.meta.namespace, &gateway.meta.name);
                let labels = &gateway.spec.selector;
                gateway.spec.servers.iter().filter_map(move |server| {
                    let port = server.port.as_ref().and_then(|port| u16::try_from(port.number).ok())?;
                    let scheme = match Serving::of(server) {
                        Serving::Http => Scheme::Http,
                        Serving::Https => Scheme::Https,
                        _ => return None,
                    };
                    let host_of = |host: &String| host.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
                    Some(Door {
                        gateway: format!("{namespace}/{name}"),
                        port,
                        scheme,
                        namespace: namespace.clone(),
                        name: name.clone(),
                        labels: labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
                        hosts: server.hosts.iter().map(host_of).collect(),
                    })
                })
            })
            .collect();
        // What a client most likely means comes first: no TLS, the ports that need no mention.
        doors.sort_by_key(|door| (door.scheme == Scheme::Https, door.port != door.scheme.default_port(), door.port));
        Self { set, doors, worlds: HashMap::new() }
    }

    /// All servers, the likeliest first.
    pub(crate) fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// The configuration as the workload of a server has it.
    pub(crate) fn world(&mut self, door: &Door, like: &Like) -> &World {
        let labels = door.labels_of(like);
        let namespace = like.namespace.clone().unwrap_or_else(|| door.namespace.clone());
        let site = Site { namespace, service_account: like.account.clone(), labels, ..Site::default() };
        let set = &self.set;
        self.worlds.entry(format!("{site:?}")).or_insert_with(|| World::of(set.clone(), site))
    }

    /// The question as it is put at a server, and the configuration to put it to. Nothing, where the handshake leads to
    /// another server.
    pub(crate) fn at(&mut self, door: &Door, question: Question, like: &Like) -> Option<(&World, Question)> {
        let labels = door.labels_of(like);
        if door.scheme == Scheme::Https && !self.is_by_handshake(door, &labels, question.authority()) {
            return None;
        }
        let world = self.world(door, like);
        Some((world, question.on_port(door.port).through_gateway()))
    }

    /// The server on the port of a question that has a rule for it, or else the first that takes its host. `name` is
    /// that of a Gateway; empty for any.
    pub(crate) fn answering(&mut self, name: &str, question: &Question, like: &Like) -> Result<Door, String> {
        let doors: Vec<_> = self.doors.iter().filter(|door| name.is_empty() || door.is_of(name)).cloned().collect();
        let is_open = |door: &&Door| door.port == question.port() && door.scheme == question.scheme();
        let mut open: Vec<_> = doors.iter().filter(is_open).collect();
        open.sort_by_key(|door| !door.takes(question.authority()));
        let mut first = None;
        for door in open {
            let Some((world, question)) = self.at(door, question.clone(), like) else { continue };
            if world.explainer().explain(&question).rule.is_some() {
                return Ok(door.clone());
            }
            first = first.or(Some(door));
        }
        first.cloned().ok_or_else(|| {
            let (scheme, port) = (question.scheme().as_str(), question.port());
            let known: Vec<_> = doors.iter().map(ToString::to_string).collect();
            let known = if known.is_empty() { "none with HTTP".to_owned() } else { known.join(", ") };
            format!(
                "no server of a Gateway takes {} by {scheme} on port {port}; there are: {known}",
                question.authority()
            )
        })
    }

    /// Whether of the servers with TLS of the port and of the workload, this one has the most specific host.
    fn is_by_handshake(&self, door: &Door, labels: &BTreeMap<String, String>, authority: &str) -> bool {
        let host = host_of(authority);
        let same_port = self.doors.iter().filter(|other| {
            let selects = other.labels.iter().all(|(key, value)| labels.get(key) == Some(value));
            other.port == door.port && other.scheme == Scheme::Https && selects
        });
        let hosts = same_port.flat_map(|door| door.hosts.iter().map(move |pattern| (pattern, door)));
        let fitting = hosts.filter(|(pattern, _)| subset_of(&host, pattern));
        fitting.min_by(|(a, _), (b, _)| by_specificity(a, b)).is_some_and(|(_, first)| first == door)
    }
}

/// What a gateway's workload is like, beside the labels that its Gateway selects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Like {
    /// None for that of the Gateway.
    pub(crate) namespace: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Door {
    /// The labels of the workload that serves it: those that are selected, beside its own.
    fn labels_of(&self, like: &Like) -> BTreeMap<String, String> {
        let selected = self.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
        like.labels.clone().into_iter().chain(selected).collect()
    }

    /// Whether the server has a host that covers that of an authority.
    pub(crate) fn takes(&self, authority: &str) -> bool {
        let host = host_of(authority);
        self.hosts.iter().any(|pattern| subset_of(&host, pattern))
    }

    /// What tells the workloads of two servers apart.
    pub(crate) fn workload(&self) -> String {
        format!("{:?} {}", self.labels, self.namespace)
    }

    /// Whether a name means the Gateway: `name`, `namespace/name`.
    pub(crate) fn is_of(&self, gateway: &str) -> bool {
        self.gateway == gateway || self.name == gateway
    }

    /// Whether the Gateway is one that nobody defines.
    pub(crate) fn is_missing(&self) -> bool {
        self.labels.contains_key(MISSING)
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} on port {}", self.gateway, self.scheme.as_str(), self.port)
    }
}

/// The host of an authority in lower case.
fn host_of(authority: &str) -> String {
    let host = authority.parse::<http::uri::Authority>().map(|authority| authority.host().to_ascii_lowercase());
    host.unwrap_or_else(|_| authority.to_ascii_lowercase())
}

/// The same with a Gateway for each one that a VirtualService names and nobody defines: it takes every host, without and
/// with TLS. So rules for a gateway can be tested without it.
fn with_missing(mut set: ConfigSet) -> ConfigSet {
    let named: BTreeSet<String> = set
        .virtual_services()
        .flat_map(|service| {
            let names = service.spec.gateways.iter().filter(|name| *name != "mesh");
            names.map(|name| resolve_gateway_name(name, &service.meta.namespace))
        })
        .collect();
    for (namespace, name) in named.iter().filter_map(|name| name.split_once('/')) {
        if set.get(&ResourceId::new(Kind::Gateway, namespace, name)).is_some() {
            continue;
        }
        let yaml = format!(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name:?}, namespace: {namespace:?}}}\n\
             spec:\n  selector: {{{MISSING}: {namespace:?}}}\n  servers:\n  \
             - {{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*/*']}}\n  \
             - {{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: ['*/*'], tls: {{mode: SIMPLE, credentialName: any}}}}\n"
        );
        for document in parse("gateway", &yaml).0 {
            set.upsert(document);
        }
    }
    set
}
