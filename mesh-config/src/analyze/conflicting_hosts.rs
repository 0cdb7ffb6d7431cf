//! Hosts that several VirtualServices of the mesh own.

use std::collections::HashMap;

use super::{Analyzer, CLUSTER_DOMAIN, MESH};
use crate::api::VirtualService;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::set::ConfigSet;
use crate::validate::{At, Checker};
use crate::value::host::{self, is_wildcard, resolve_short_name};

/// `IST0109`: at a sidecar the rules of two VirtualServices are not merged, the first one takes the host.
pub(super) struct ConflictingHosts;

impl Analyzer for ConflictingHosts {
    fn codes(&self) -> &'static [Code] {
        &[Code::CONFLICTING_HOSTS]
    }

    fn analyze(&self, set: &ConfigSet, out: &mut Report) {
        let claims = claims(set);
        let mut by_host: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, claim) in claims.iter().enumerate() {
            by_host.entry(&claim.host).or_default().push(index);
        }
        let wildcards: Vec<usize> = (0..claims.len()).filter(|index| is_wildcard(&claims[*index].host)).collect();
        for claim in &claims {
            let candidates = match is_wildcard(&claim.host) {
                true => &wildcards,
                false => &by_host[claim.host.as_str()],
            };
            let rivals: Vec<_> =
                candidates.iter().map(|index| &claims[*index]).filter(|other| claim.conflicts(other)).collect();
            report(out, claim, &rivals);
        }
    }
}

/// A host that a VirtualService of the mesh names.
struct Claim<'a> {
    service: &'a Object<VirtualService>,
    /// Where among its hosts it stands.
    index: usize,
    /// The name in full.
    host: String,
    /// The namespaces that see it; `*` is all.
    scope: Vec<&'a str>,
}

fn claims(set: &ConfigSet) -> Vec<Claim<'_>> {
    let mut claims: Vec<Claim<'_>> = Vec::new();
    for service in set.virtual_services().filter(|service| is_bound_to_mesh(&service.spec)) {
        let first = claims.len();
        for (index, host) in service.spec.hosts.iter().enumerate() {
            let host = resolve_short_name(host, &service.meta.namespace, CLUSTER_DOMAIN);
            // A host that one of them names twice is its own affair.
            if claims[first..].iter().all(|claim| claim.host != host) {
                claims.push(Claim { service, index, host, scope: scope(service) });
            }
        }
    }
    claims
}

fn is_bound_to_mesh(service: &VirtualService) -> bool {
    service.gateways.is_empty() || service.gateways.iter().any(|gateway| gateway == MESH)
}

fn scope(service: &Object<VirtualService>) -> Vec<&str> {
    let namespace = service.meta.namespace.as_str();
    match service.spec.export_to.as_slice() {
        [] => vec!["*"],
        entries => entries.iter().map(|entry| if entry == "." { namespace } else { entry.as_str() }).collect(),
    }
}

impl Claim<'_> {
    fn is_public(&self) -> bool {
        self.scope.contains(&"*")
    }

    /// Whether some client sees both claims, and they are for one host. Between a rule for everybody and one for a few
    /// namespaces Istio's analyzer minds wildcards that overlap, too.
    fn conflicts(&self, other: &Claim<'_>) -> bool {
        if std::ptr::eq(self.service, other.service) {
            return false;
        }
        if self.is_public() != other.is_public() {
            return self.host == other.host || (is_wildcard(&self.host) && host::matches(&self.host, &other.host));
        }
        let meets = self.is_public() || self.scope.iter().any(|namespace| other.scope.contains(namespace));
        meets && self.host == other.host
    }
}

fn report(out: &mut Report, claim: &Claim<'_>, rivals: &[&Claim<'_>]) {
    // An exact host of everybody's is reported at those who see less.
    let is_theirs = claim.is_public() && !is_wildcard(&claim.host) && rivals.iter().all(|rival| !rival.is_public());
    if rivals.is_empty() || is_theirs {
        return;
    }
    let mut services: Vec<_> = rivals.iter().map(|rival| rival.service).chain([claim.service]).collect();
    services.sort_by_key(|service| service.meta.order());
    let names: Vec<_> = services.iter().map(|service| service.meta.namespaced_name().to_string()).collect();
    let message = format!(
        "The VirtualServices {} associated with mesh gateway define the same host {} which can lead to undefined behavior. \
         This can be fixed by merging the conflicting VirtualServices into a single resource.",
        names.join(","),
        claim.host
    );
    let finding = Diagnostic::error(Code::CONFLICTING_HOSTS, message);
    let finding = match std::ptr::eq(services[0], claim.service) {
        true => finding.effect("the rules of this one are used; those of the others for this host are not"),
        false => finding.effect(format!("the rules of this one for this host are not used; those of {} are", names[0])),
    };
    let cx = &mut Checker::new(Kind::VirtualService, &claim.service.meta, &claim.service.origin, out);
    cx.push(&At::top("spec").field("hosts").index(claim.index), finding);
}
