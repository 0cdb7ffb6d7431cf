//! Where a request of a case is asked, and what decides on it there.

use std::collections::HashMap;

use mesh_config::ConfigSet;
use mesh_core::explain::{Explanation, Question};
use mesh_core::route::RuleOrigin;
use mesh_core::{Scheme, Site};
use serde_json::Value;

use super::case::{Asked, Requests};
use crate::gateways::{Door, Gateways, Like};
use crate::world::{Asker, World, site};

/// A decision, with the rule of a VirtualService that made it.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) explanation: Explanation,
    /// The rule as it is written; none where no VirtualService decides.
    pub(super) rule: Option<Value>,
    /// The namespace of its VirtualService, else that of the client: short names mean hosts there.
    pub(super) namespace: String,
    /// The rule that delegates to it, if one does.
    pub(super) root: Option<Root>,
}

/// A rule that delegates.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) object: String,
    pub(super) field: String,
    pub(super) namespace: String,
    /// The name of the VirtualService that it delegates to.
    pub(super) delegate: String,
    written: Option<Value>,
}

impl Decided {
    fn by(world: &World, question: &Question) -> Self {
        let explanation = world.explainer().explain(question);
        let origin = world.origin(&explanation).filter(|origin| origin.kind == "VirtualService");
        let namespace = origin.map_or(world.site.namespace.as_str(), |origin| &*origin.namespace).to_owned();
        let root = origin.and_then(|origin| Some((origin, origin.delegated_by.as_deref()?)));
        let root = root.map(|(origin, root)| Root::of(world, origin, root));
        Self { rule: origin.and_then(|origin| world.rule_as_written(origin)), namespace, root, explanation }
    }

    /// A part of the rule, or of the one that delegates to it, whose parts count where the rule has none.
    pub(super) fn part(&self, name: &str) -> &Value {
        let root = self.root.as_ref().and_then(|root| root.written.as_ref());
        let rules = self.rule.iter().chain(root);
        rules.filter_map(|rule| rule.get(name)).find(|part| !part.is_null()).unwrap_or(&Value::Null)
    }

    /// Whether a VirtualService decides, else whether the host is known.
    fn rank(&self) -> (bool, bool) {
        (self.rule.is_some(), self.explanation.vhost.is_some())
    }
}

impl Root {
    fn of(world: &World, child: &RuleOrigin, root: &RuleOrigin) -> Self {
        Self {
            object: format!("{} {}/{}", root.kind, root.namespace, root.name),
            field: root.rule.map(|rule| format!("spec.http[{rule}]")).unwrap_or_default(),
            namespace: root.namespace.to_string(),
            delegate: child.name.to_string(),
            written: world.rule_as_written(root),
        }
    }
}

/// The configuration as each client and each Gateway sees it.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) set: ConfigSet,
    /// Whether a mesh would refuse the configuration.
    pub(super) refused: bool,
    site: Site,
    like: Like,
    worlds: HashMap<String, World>,
    gateways: Gateways,
}

impl Places {
    pub(super) fn new(asker: &Asker) -> Result<Self, String> {
        let world = asker.load()?;
        let (set, site) = (world.set.clone(), world.site.clone());
        let gateways = Gateways::of(&set);
        let refused = world.refused;
        Ok(Self {
            set,
            refused,
            like: asker.like(),
            worlds: HashMap::from([(format!("{site:?}"), world)]),
            site,
            gateways,
        })
    }

    /// What becomes of a request: in the mesh if a rule takes it there, else at the first server of a Gateway that has a
    /// rule for it. A case that names a Gateway, or `mesh`, is asked there only; one that names neither scheme nor port
    /// is asked at servers of any.
    pub(super) fn decide(&mut self, requests: &Requests, asked: &Asked<'_>) -> Result<Decided, String> {
        let (site, like) = self.client(requests);
        let gateway = requests.gateway.as_deref();
        let mut best = None;
        if matches!(gateway, None | Some("mesh")) {
            let set = &self.set;
            let world = self.worlds.entry(format!("{site:?}")).or_insert_with(|| World::of(set.clone(), site));
            let decided = Decided::by(world, &asked.question(Scheme::Http)?);
            if gateway.is_some() || decided.rule.is_some() {
                return Ok(decided);
            }
            best = Some(decided);
        }
        for door in self.doors(gateway, asked) {
            let question = asked.question(door.scheme)?;
            let Some((world, question)) = self.gateways.at(&door, question, &like) else { continue };
            let decided = Decided::by(world, &question);
            if best.as_ref().is_none_or(|best| decided.rank() > best.rank()) {
                best = Some(decided);
            }
        }
        best.ok_or_else(|| {
            let doors = self.gateways.doors().iter().filter(|door| gateway.is_some_and(|name| door.is_of(name)));
            let known: Vec<_> = doors.map(ToString::to_string).collect();
            let known = if known.is_empty() {
                "no such Gateway serves HTTP".to_owned()
            } else {
                format!("there is {}", known.join(", "))
            };
            format!("the request cannot be asked at the gateway `{}`: {known}", gateway.unwrap_or_default())
        })
    }

    /// The servers that a request may be asked at. A Gateway that is named is asked for hosts that it does not take, too.
    fn doors(&self, gateway: Option<&str>, asked: &Asked<'_>) -> Vec<Door> {
        // As in a URL, a scheme without a port means its own.
        let port = asked.port.or(asked.scheme.map(Scheme::default_port));
        let doors = self.gateways.doors().iter().filter(|door| {
            gateway.map_or_else(|| door.takes(asked.authority), |name| door.is_of(name))
                && asked.scheme.is_none_or(|scheme| scheme == door.scheme)
                && port.is_none_or(|port| port == door.port)
        });
        doors.cloned().collect()
    }

    /// The client of a case, and what a gateway's workload is like for it.
    fn client(&self, requests: &Requests) -> (Site, Like) {
        let (mut own, mut like) = (self.site.clone(), self.like.clone());
        if let Some(from) = &requests.from {
            own = site(from, own.labels);
            (like.namespace, like.account) = (Some(own.namespace.clone()), own.service_account.clone());
        }
        if let Some(labels) = &requests.labels {
            own.labels.clone_from(labels);
            like.labels.clone_from(labels);
        }
        (own, like)
    }
}
