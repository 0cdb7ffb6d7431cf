//! Subsets that rules refer to and no DestinationRule defines.

use std::collections::{BTreeSet, HashMap};

use super::destinations::{self, Role};
use super::{Analyzer, CLUSTER_DOMAIN, Context};
use crate::api::virtual_service::Destination;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::set::ConfigSet;
use crate::validate::{At, Checker};
use crate::value::host::{is_wildcard, resolve_short_name, subset_of};

/// `IST0101` for subsets. DestinationRules of every namespace count, wherever a request would look for them.
pub(super) struct DestinationSubsets;

impl Analyzer for DestinationSubsets {
    fn name(&self) -> &'static str {
        "virtualservice.DestinationRuleAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::REFERENCE_NOT_FOUND]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let subsets = Subsets::of(context.set);
        for service in context.set.virtual_services() {
            let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
            let namespace = &service.meta.namespace;
            destinations::each(&service.spec, |at, to, role| {
                if let Some(to) = to.filter(|to| !to.subset.is_empty()) {
                    check(cx, &subsets, namespace, at, to, role);
                }
            });
        }
    }
}

/// The subsets that DestinationRules define, by completed host.
struct Subsets<'a> {
    by_host: HashMap<String, BTreeSet<&'a str>>,
    wildcards: Vec<(String, BTreeSet<&'a str>)>,
}

impl<'a> Subsets<'a> {
    fn of(set: &'a ConfigSet) -> Self {
        let mut by_host: HashMap<String, BTreeSet<&str>> = HashMap::new();
        for rule in set.destination_rules().filter(|rule| !rule.spec.subsets.is_empty()) {
            let host = resolve_short_name(&rule.spec.host, &rule.meta.namespace, CLUSTER_DOMAIN);
            by_host.entry(host).or_default().extend(rule.spec.subsets.iter().map(|subset| subset.name.as_str()));
        }
        let mut wildcards: Vec<_> = Vec::new();
        by_host.retain(|host, names| {
            if is_wildcard(host) {
                wildcards.push((host.clone(), std::mem::take(names)));
            }
            !is_wildcard(host)
        });
        wildcards.sort();
        Self { by_host, wildcards }
    }

    /// The subsets of a host, and those of the wildcards that cover it.
    fn for_host(&self, host: &str) -> impl Iterator<Item = &BTreeSet<&'a str>> {
        let covering = self.wildcards.iter().filter(move |(of, _)| subset_of(host, of));
        self.by_host.get(host).into_iter().chain(covering.map(|(_, names)| names))
    }
}

/// How many of the subsets that there are a finding names.
const SHOWN: usize = 5;

fn check(cx: &mut Checker<'_>, subsets: &Subsets<'_>, namespace: &str, at: &At<'_>, to: &Destination, role: Role) {
    let host = resolve_short_name(&to.host, namespace, CLUSTER_DOMAIN);
    if subsets.for_host(&host).any(|names| names.contains(to.subset.as_str())) {
        return;
    }
    let kind = role.reference("host+subset in destinationrule", "mirror+subset in destinationrule");
    let message = format!("Referenced {kind} not found: {:?}", format!("{}+{}", to.host, to.subset));
    let known: usize = subsets.for_host(&host).map(BTreeSet::len).sum();
    // Not all, as each of very many rules may refer to one that is missing.
    let shown: Vec<&str> = subsets.for_host(&host).flatten().copied().take(SHOWN).collect();
    let help = match known - shown.len() {
        _ if known == 0 => format!("no DestinationRule defines subsets of `{host}`"),
        0 => format!("the DestinationRules for `{host}` define: {}", shown.join(", ")),
        more => format!("the DestinationRules for `{host}` define: {}, and {more} more", shown.join(", ")),
    };
    let finding = Diagnostic::error(Code::REFERENCE_NOT_FOUND, message);
    cx.push(&at.field("subset"), finding.effect(role.effect("503 NC")).help(help));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn rules(route: &str) -> String {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: r, namespace: a}}, \
             spec: {{hosts: [r], http: [{{{route}}}]}}}}\n"
        )
    }

    fn rule(namespace: &str, host: &str) -> String {
        format!(
            "---\n{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: r, namespace: {namespace}}}, \
             spec: {{host: '{host}', subsets: [{{name: v1}}]}}}}\n"
        )
    }

    #[test]
    fn a_subset_has_to_be_defined_for_the_host_in_whatever_namespace() {
        let rules = rules("route: [{destination: {host: r, subset: v1}}]");
        let missing = ["IST0101 VirtualService a/r spec.http[0].route[0].destination.subset"];
        assert_eq!(found(&DestinationSubsets, &rules), missing);
        assert_eq!(found(&DestinationSubsets, &(rules.clone() + &rule("a", "r"))), [""; 0]);
        assert_eq!(found(&DestinationSubsets, &(rules.clone() + &rule("b", "r"))), missing);
        assert_eq!(found(&DestinationSubsets, &(rules.clone() + &rule("b", "r.a.svc.cluster.local"))), [""; 0]);
        assert_eq!(found(&DestinationSubsets, &(rules + &rule("b", "*.cluster.local"))), [""; 0]);
    }

    #[test]
    fn mirrors_have_subsets_too() {
        let mirrored = "mirror: {host: r, subset: v3}, mirrors: [{destination: {host: r, subset: v2}}], route: [{destination: {host: r}}]";
        assert_eq!(
            found(&DestinationSubsets, &(rules(mirrored) + &rule("a", "r"))),
            [
                "IST0101 VirtualService a/r spec.http[0].mirror.subset",
                "IST0101 VirtualService a/r spec.http[0].mirrors[0].destination.subset"
            ]
        );
    }
}
