//! Subsets whose labels no endpoint has.

use std::collections::BTreeMap;

use super::endpoints::{Endpoints, Group};
use super::{Analyzer, CLUSTER_DOMAIN, Context};
use crate::api::destination_rule::Subset;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::set::ConfigSet;
use crate::validate::{At, Checker};
use crate::value::host::{is_wildcard, resolve_short_name};
use crate::value::labels;

/// `MESH0102`, for hosts whose endpoints stand in ServiceEntries and WorkloadEntries. For Services and Pods Istio's own
/// `IST0173` says it.
pub(super) struct EmptySubset;

impl Analyzer for EmptySubset {
    fn name(&self) -> &'static str {
        "mesh.EmptySubset"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::SUBSET_WITHOUT_ENDPOINTS]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        // Of a whole cluster Istio's own analyzer says it, of every kind of endpoint.
        if context.is_whole_cluster() {
            return;
        }
        let endpoints = Endpoints::of_service_entries(set);
        for rule in set.destination_rules().filter(|rule| !rule.spec.subsets.is_empty()) {
            let host = resolve_short_name(&rule.spec.host, &rule.meta.namespace, CLUSTER_DOMAIN);
            let groups = endpoints.groups(&host);
            if is_wildcard(&host) || groups.is_empty() || groups.iter().any(|group| group.is_empty()) {
                continue;
            }
            let cx = &mut Checker::new(Kind::DestinationRule, &rule.meta, &rule.origin, out);
            for (index, subset) in rule.spec.subsets.iter().enumerate() {
                let has = |group: &&Group<'_>| group.iter().any(|own| labels::subset_of(&subset.labels, own));
                if !groups.iter().any(has) && !registers_itself(set, &rule.meta.namespace, subset) {
                    let spec = At::top("spec");
                    let subsets = spec.field("subsets");
                    cx.push(&subsets.index(index).field("labels"), finding(subset, &host, groups[0]));
                }
            }
        }
    }
}

/// Whether workloads of a group join at run time that would be in the subset.
fn registers_itself(set: &ConfigSet, namespace: &str, subset: &Subset) -> bool {
    set.workload_groups().filter(|group| group.meta.namespace == namespace).any(|group| {
        let mut all = group.spec.metadata.as_ref().map(|metadata| metadata.labels.clone()).unwrap_or_default();
        all.extend(group.spec.template.as_ref().map(|template| template.labels.clone()).unwrap_or_default());
        labels::subset_of(&subset.labels, &all)
    })
}

fn finding(subset: &Subset, host: &str, endpoints: &Group<'_>) -> Diagnostic {
    let total = endpoints.len();
    let name = &subset.name;
    let asked = labels::to_line(&subset.labels);
    let message = format!("subset {name:?} selects no endpoint of {host}: none of the {total} has the labels {asked}");
    let differences: Vec<_> =
        subset.labels.iter().filter_map(|(key, value)| difference(key, value, endpoints)).collect();
    Diagnostic::warning(Code::SUBSET_WITHOUT_ENDPOINTS, message)
        .effect("requests to the subset are answered 503 UH (no healthy upstream)")
        .help(match differences.as_slice() {
            [] => "no endpoint has all of these labels together".to_owned(),
            all => all.join("; "),
        })
}

/// How the endpoints differ from the subset in one label.
fn difference(key: &str, value: &str, endpoints: &Group<'_>) -> Option<String> {
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for own in endpoints {
        *counts.entry(own.get(key).map(String::as_str)).or_default() += 1;
    }
    if counts.contains_key(&Some(value)) {
        return None;
    }
    let total = endpoints.len();
    let found = counts.iter().take(5).map(|(found, count)| match found {
        Some(found) => format!("{found:?} ({count} of {total})"),
        None => format!("no such label ({count} of {total})"),
    });
    Some(format!("{key} is {value:?} here, and at the endpoints {}", found.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places};
    use super::*;

    const NONE: [&str; 0] = [];

    fn rule(version: &str) -> String {
        object("DestinationRule", "r", &format!("{{host: r, subsets: [{{name: v2, labels: {{version: {version}}}}}]}}"))
    }

    fn entry(endpoints: &str) -> String {
        object(
            "ServiceEntry",
            "r",
            &format!(
                "{{hosts: [r.a.svc.cluster.local], resolution: STATIC, ports: [{{number: 80, name: http}}], {endpoints}}}"
            ),
        )
    }

    const TWO: &str = "endpoints: [{address: 10.0.0.1, labels: {version: '2'}}, {address: 10.0.0.2}]";

    #[test]
    fn a_subset_whose_labels_differ_is_named_with_the_difference() {
        let finding = only(&EmptySubset, &format!("{}{}", rule("v2"), entry(TWO)));
        assert_eq!(finding.path.to_string(), "spec.subsets[0].labels");
        assert_eq!(
            finding.help.as_deref(),
            Some("version is \"v2\" here, and at the endpoints no such label (1 of 2), \"2\" (1 of 2)")
        );
        assert_eq!(places(&EmptySubset, &format!("{}{}", rule("'2'"), entry(TWO))), NONE);
    }

    #[test]
    fn a_host_without_known_endpoints_is_not_judged() {
        assert_eq!(places(&EmptySubset, &rule("v2")), NONE);
        assert_eq!(places(&EmptySubset, &format!("{}{}", rule("v2"), entry("endpoints: []"))), NONE);
        let selecting = entry("workloadSelector: {labels: {app: r}}");
        assert_eq!(places(&EmptySubset, &format!("{}{selecting}", rule("v2"))), NONE);
    }

    #[test]
    fn workload_entries_count_and_so_do_groups_that_register_themselves() {
        let selecting = entry("workloadSelector: {labels: {app: r}}");
        let workload = object("WorkloadEntry", "w", "{address: 10.0.0.1, labels: {app: r, version: v1}}");
        let yaml = format!("{}{selecting}{workload}", rule("v2"));
        assert_eq!(places(&EmptySubset, &yaml), ["MESH0102 warning spec.subsets[0].labels"]);
        let group = "{metadata: {labels: {app: r, version: v2}}, template: {serviceAccount: r}}";
        assert_eq!(places(&EmptySubset, &format!("{yaml}{}", object("WorkloadGroup", "g", group))), NONE);
    }
}
