//! The services that a destination may mean, by host and by who sees them.

use std::collections::HashMap;

use super::CLUSTER_DOMAIN;
use crate::api::kubernetes::Service;
use crate::api::service_entry::ServiceEntry;
use crate::resource::Object;
use crate::set::ConfigSet;
use crate::value::host::{HostMap, is_wildcard, matches, resolve_short_name};

/// Services by the namespace that sees them (`*` is all) and by host.
#[derive(Debug, Default)]
pub(super) struct Services<'a> {
    seen_by: HashMap<&'a str, HostMap<Vec<Known<'a>>>>,
}

/// A service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<'a> {
    Service(&'a Object<Service>),
    Entry(&'a Object<ServiceEntry>),
}

/// The name that stands for every namespace.
pub(super) const EVERYBODY: &str = "*";

impl<'a> Services<'a> {
    pub(super) fn of(set: &'a ConfigSet) -> Self {
        let mut services = Self::default();
        for entry in set.service_entries() {
            let scopes = scopes(entry.spec.export_to.iter().map(String::as_str), &entry.meta.namespace);
            for host in &entry.spec.hosts {
                services.add(&scopes, host, &entry.meta.namespace, Known::Entry(entry));
            }
        }
        for service in set.services() {
            let exported = service.meta.annotations.get("networking.istio.io/exportTo");
            let exported = exported.into_iter().flat_map(|to| to.split(',')).map(str::trim).filter(|to| !to.is_empty());
            let scopes = scopes(exported, &service.meta.namespace);
            services.add(&scopes, &service.meta.name, &service.meta.namespace, Known::Service(service));
        }
        services
    }

    fn add(&mut self, scopes: &[&'a str], host: &str, namespace: &str, known: Known<'a>) {
        let host = resolve_short_name(host, namespace, CLUSTER_DOMAIN);
        for scope in scopes {
            self.seen_by.entry(scope).or_default().insert_first(&host, Vec::new()).push(known);
        }
    }

    /// What a host means to an object of a namespace that is exported to others: the services of exactly that host, else
    /// those of the most specific wildcard that covers it.
    pub(super) fn find(&self, host: &str, namespace: &str, export_to: &[String]) -> &[Known<'a>] {
        let host = resolve_short_name(host, namespace, CLUSTER_DOMAIN);
        let seen_by = |scope: &str| self.seen_by.get(scope);
        let own = [namespace.to_owned()];
        let viewers = if export_to.is_empty() { &own } else { export_to };
        let viewers = viewers.iter().map(|viewer| if viewer == "." { namespace } else { viewer });
        let exact = std::iter::once(EVERYBODY).chain(viewers).find_map(|scope| seen_by(scope)?.get(&host));
        let wildcard = || {
            let found = [EVERYBODY, namespace].into_iter().filter_map(|scope| seen_by(scope)?.most_specific(&host));
            found.filter(|(covering, _)| is_wildcard(covering)).map(|(_, services)| services).next()
        };
        exact.or_else(wildcard).map_or(&[], Vec::as_slice)
    }

    /// Whether a wildcard means any service that the namespace sees.
    pub(super) fn has_any(&self, wildcard: &str, namespace: &str) -> bool {
        let seen = [EVERYBODY, namespace].into_iter().filter_map(|scope| self.seen_by.get(scope));
        is_wildcard(wildcard) && seen.flat_map(HostMap::iter).any(|(host, _)| matches(wildcard, host))
    }
}

/// The namespaces that see an object; `*` alone where all do.
pub(super) fn scopes<'a>(export_to: impl IntoIterator<Item = &'a str>, namespace: &'a str) -> Vec<&'a str> {
    let mut scopes: Vec<&str> =
        export_to.into_iter().map(|entry| if entry == "." { namespace } else { entry }).collect();
    if scopes.is_empty() || scopes.contains(&EVERYBODY) {
        return vec![EVERYBODY];
    }
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

impl Known<'_> {
    /// The numbers of its ports.
    pub(super) fn ports(&self) -> Vec<u32> {
        match self {
            Self::Service(service) => service.spec.ports.iter().map(|port| port.port).collect(),
            Self::Entry(entry) => entry.spec.ports.iter().map(|port| port.number).collect(),
        }
    }
}
