//! Services by host, each host once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::compile::registry::{Service, ServiceKind};

/// The services that somebody sees. Of several declarations of a host the first counts, unless
/// Kubernetes has it; those of one namespace that are of one kind are one service with all their ports.
#[derive(Clone, Debug, Default)]
pub struct Services {
    in_order: Vec<Arc<Service>>,
    by_host: HashMap<String, usize>,
    /// Those that only stand for another one, by host, with that one.
    concrete: HashMap<String, usize>,
}

impl Services {
    /// Adds a declaration.
    pub(crate) fn add(&mut self, service: &Arc<Service>) {
        let Some(place) = self.by_host.get(&service.host) else {
            self.by_host.insert(service.host.clone(), self.in_order.len());
            self.in_order.push(Arc::clone(service));
            return;
        };
        let known = &mut self.in_order[*place];
        match (known.kind, service.kind) {
            // Nobody takes the host of a Kubernetes Service by declaring it, be it earlier or later.
            (ServiceKind::Kubernetes, ServiceKind::ServiceEntry) => {}
            (ServiceKind::ServiceEntry, ServiceKind::Kubernetes) => *known = Arc::clone(service),
            _ if are_one(known, service) => unite(known, service),
            _ => {}
        }
    }

    /// The service of a host.
    pub fn get(&self, host: &str) -> Option<&Arc<Service>> {
        self.by_host.get(host).map(|place| &self.in_order[*place])
    }

    /// As [`get`](Self::get); one that only stands for another one gives that one.
    pub(crate) fn concrete(&self, host: &str) -> Option<&Arc<Service>> {
        match self.concrete.get(host) {
            Some(place) => Some(&self.in_order[*place]),
            None => self.get(host),
        }
    }

    /// Whether the service of a host only stands for another one.
    pub(crate) fn is_alias(&self, host: &str) -> bool {
        self.concrete.contains_key(host)
    }

    /// Finds those that stand for another one by their external name, once all are there.
    pub(crate) fn resolve_aliases(&mut self) {
        let next = |place: usize| self.by_host.get(self.in_order[place].external_name.as_ref()?).copied();
        let target = |alias: usize| {
            // A circle of names ends nowhere; a longer way than there are services is one.
            let way: Vec<_> =
                std::iter::successors(next(alias), |at| next(*at)).take(self.in_order.len() + 1).collect();
            let last = *way.last()?;
            (way.len() <= self.in_order.len() && self.in_order[last].external_name.is_none()).then_some(last)
        };
        let found: Vec<_> = (0..self.in_order.len()).filter_map(|alias| Some((alias, target(alias)?))).collect();
        for (alias, target) in found {
            let host = self.in_order[alias].host.clone();
            Arc::make_mut(&mut self.in_order[target]).aliases.push(host.clone());
            self.concrete.insert(host, target);
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.in_order.iter()
    }
}

/// Whether two declarations of a host make one service.
pub(super) fn are_one(a: &Service, b: &Service) -> bool {
    a.kind == b.kind
        && a.namespace == b.namespace
        && a.resolution == b.resolution
        && a.export == b.export
        && a.labels == b.labels
        && a.selector == b.selector
}

fn unite(known: &mut Arc<Service>, more: &Service) {
    let new: Vec<_> = more.ports.iter().filter(|port| known.port(port.number).is_none()).cloned().collect();
    if !new.is_empty() {
        Arc::make_mut(known).ports.extend(new);
    }
}
