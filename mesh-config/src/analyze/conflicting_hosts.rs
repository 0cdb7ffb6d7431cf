//! Hosts that several VirtualServices of the mesh own.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::services::{EVERYBODY, scopes};
use super::{Analyzer, CLUSTER_DOMAIN, Context, MESH};
use crate::api::VirtualService;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::set::ConfigSet;
use crate::validate::{At, Checker};
use crate::value::host::{is_wildcard, resolve_short_name};

/// `IST0109`: at a sidecar the rules of two VirtualServices are not merged, the first one takes the host.
///
/// Rules for the same host conflict where some namespace sees both. Between rules for everybody and rules for some
/// namespaces, wildcards that overlap count as the same host, too. Each VirtualService is reported once.
pub(super) struct ConflictingHosts;

impl Analyzer for ConflictingHosts {
    fn name(&self) -> &'static str {
        "virtualservice.ConflictingMeshGatewayHostsAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::CONFLICTING_HOSTS]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let claims = claims(context.set);
        let mut groups: HashMap<(&str, &str), Vec<&Claim<'_>>> = HashMap::new();
        for claim in &claims {
            for scope in &claim.scopes {
                groups.entry((*scope, claim.host.as_str())).or_default().push(claim);
            }
        }
        let public = groups.keys().filter(|(scope, host)| *scope == EVERYBODY && is_wildcard(host));
        let public = Wildcards::of(public.map(|(_, host)| *host));
        let mut keys: Vec<_> = groups.keys().copied().collect();
        keys.sort_unstable();
        let mut reported = HashSet::new();
        for (scope, host) in keys {
            let mut group = groups[&(scope, host)].clone();
            if scope != EVERYBODY {
                let alike = if is_wildcard(host) { public.overlapping(host) } else { vec![host] };
                group.extend(alike.into_iter().filter_map(|public| groups.get(&(EVERYBODY, public))).flatten());
            }
            report(out, scope, host, group, &mut reported);
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
    scopes: Vec<&'a str>,
}

fn claims(set: &ConfigSet) -> Vec<Claim<'_>> {
    let mut claims: Vec<Claim<'_>> = Vec::new();
    for service in set.virtual_services().filter(|service| is_bound_to_mesh(&service.spec)) {
        let mut own = HashSet::new();
        for (index, host) in service.spec.hosts.iter().enumerate() {
            let host = resolve_short_name(host, &service.meta.namespace, CLUSTER_DOMAIN);
            // A host that one of them names twice is its own affair.
            if own.insert(host.clone()) {
                let exported = service.spec.export_to.iter().map(String::as_str);
                claims.push(Claim { service, index, host, scopes: scopes(exported, &service.meta.namespace) });
            }
        }
    }
    claims
}

fn is_bound_to_mesh(service: &VirtualService) -> bool {
    service.gateways.is_empty() || service.gateways.iter().any(|gateway| gateway == MESH)
}

/// Wildcards by what they end with, read backwards.
struct Wildcards<'a>(BTreeMap<String, &'a str>);

impl<'a> Wildcards<'a> {
    fn of(hosts: impl Iterator<Item = &'a str>) -> Self {
        Self(hosts.map(|host| (backwards(host), host)).collect())
    }

    /// Those that have names in common with a wildcard: that are a part of it, or that it is a part of.
    fn overlapping(&self, wildcard: &str) -> Vec<&'a str> {
        let ending = backwards(wildcard);
        let narrower = self.0.range(ending.clone()..).take_while(|(other, _)| other.starts_with(&ending));
        let wider = ending.char_indices().filter_map(|(at, _)| self.0.get(&ending[..at]));
        narrower.map(|(_, host)| *host).chain(wider.copied()).collect()
    }
}

fn backwards(wildcard: &str) -> String {
    wildcard.trim_start_matches('*').chars().rev().collect()
}

/// How many names a message lists.
const SHOWN: usize = 20;

/// The VirtualServices that are reported already, by where they are in memory.
type Reported = HashSet<*const Object<VirtualService>>;

fn report(out: &mut Report, scope: &str, host: &str, mut group: Vec<&Claim<'_>>, reported: &mut Reported) {
    group.sort_by_cached_key(|claim| claim.service.meta.order());
    group.dedup_by(|a, b| std::ptr::eq(a.service, b.service));
    let [first, _, ..] = group.as_slice() else { return };
    let name = |claim: &Claim<'_>| claim.service.meta.namespaced_name().to_string();
    // Where very many are in conflict, a message with all the names would say less.
    let names: Vec<String> = group.iter().take(SHOWN).map(|claim| name(claim)).collect();
    let more = if group.len() > SHOWN { format!(" and {} more", group.len() - SHOWN) } else { String::new() };
    let message = format!(
        "The VirtualServices {}{more} associated with mesh gateway define the same host {scope}/{host} which can lead to \
         undefined behavior. This can be fixed by merging the conflicting VirtualServices into a single resource.",
        names.join(",")
    );
    for claim in &group {
        let service = claim.service;
        if !reported.insert(std::ptr::from_ref(service)) {
            continue;
        }
        let finding = Diagnostic::error(Code::CONFLICTING_HOSTS, message.clone());
        let finding = match std::ptr::eq(*claim, *first) {
            true => finding.effect("the rules of this one are used; those of the others for this host are not"),
            false => finding
                .effect(format!("the rules of this one for this host are not used; those of {} are", name(first))),
        };
        let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
        cx.push(&At::top("spec").field("hosts").index(claim.index), finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn rules(namespace: &str, name: &str, host: &str, rest: &str) -> String {
        format!(
            "---\n{{apiVersion: networking.istio.io/v1, kind: VirtualService, \
             metadata: {{name: {name}, namespace: {namespace}}}, spec: {{hosts: ['{host}'] {rest}}}}}\n"
        )
    }

    fn conflict(one: &str, two: &str) -> bool {
        let found = found(&ConflictingHosts, &format!("{one}{two}"));
        assert!(found.is_empty() || found.len() == 2, "{found:?}");
        !found.is_empty()
    }

    #[test]
    fn both_of_two_rules_for_one_host_are_reported() {
        assert_eq!(
            found(&ConflictingHosts, &(rules("a", "one", "r", "") + &rules("b", "two", "r.a.svc.cluster.local", ""))),
            ["IST0109 VirtualService a/one spec.hosts[0]", "IST0109 VirtualService b/two spec.hosts[0]"]
        );
        assert!(!conflict(&rules("a", "one", "r", ""), &rules("b", "two", "r", "")));
        assert!(!conflict(&rules("a", "one", "r", ""), &rules("a", "two", "r", ", gateways: [edge]")));
        assert!(conflict(&rules("a", "one", "r", ""), &rules("a", "two", "r", ", gateways: [edge, mesh]")));
    }

    #[test]
    fn rules_that_no_namespace_sees_together_do_not_conflict() {
        let one = rules("a", "one", "r.com", ", exportTo: ['.']");
        for (scope, expected) in [("['.']", false), ("[c]", false), ("[c, a]", true), ("['*']", true)] {
            assert_eq!(
                conflict(&one, &rules("b", "two", "r.com", &format!(", exportTo: {scope}"))),
                expected,
                "{scope}"
            );
        }
    }

    #[test]
    fn of_rules_for_everybody_and_for_some_wildcards_that_overlap_conflict() {
        for (public, hidden, expected) in [
            ("*.d", "*.r.d", true),
            ("*.r.d", "*.d", true),
            ("*", "*.d", true),
            ("*.d", "*.e", false),
            ("*.d", "r.d", false),
        ] {
            let hidden = rules("a", "hidden", hidden, ", exportTo: ['.']");
            assert_eq!(conflict(&rules("b", "public", public, ""), &hidden), expected, "{public}");
        }
        assert!(!conflict(&rules("a", "one", "*.d", ""), &rules("a", "two", "*.r.d", "")));
    }

    #[test]
    fn a_host_that_one_of_them_names_twice_is_no_conflict() {
        assert_eq!(found(&ConflictingHosts, &rules("a", "one", "r', r.a.svc.cluster.local, 'r", "")), [""; 0]);
    }
}
