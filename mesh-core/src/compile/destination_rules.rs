//! Which DestinationRule counts for a host: the caller's namespace, the service's, the root's.

use std::collections::HashMap;

use mesh_config::api::MeshConfig;
use mesh_config::api::destination_rule::{DestinationRule, Subset, TrafficPolicy};
use mesh_config::value::{HostMap, labels};
use mesh_config::{ConfigSet, Object};

use super::findings::{self, Findings};
use super::registry::fqdn_as_written;
use super::visibility::Export;
use crate::Site;
use crate::cluster::notes;

/// The rules of one namespace for one host, merged: subsets concatenated, the first policy counts.
#[derive(Debug)]
pub(crate) struct MergedRule<'a> {
    host: String,
    export: Export,
    subsets: Vec<&'a Subset>,
    /// The rules that were merged.
    rules: Vec<&'a Object<DestinationRule>>,
    /// The policy that counts, with the rule it stands in.
    policy: Option<(&'a TrafficPolicy, &'a Object<DestinationRule>)>,
    has_selector: bool,
}

impl<'a> MergedRule<'a> {
    pub(crate) fn subset(&self, name: &str) -> Option<&'a Subset> {
        self.subsets.iter().copied().find(|subset| subset.name == name)
    }

    pub(crate) fn policy(&self) -> Option<&'a TrafficPolicy> {
        self.policy.map(|(policy, _)| policy)
    }

    /// The rule that defines a subset, and where in it.
    pub(crate) fn definition(&self, name: &str) -> Option<(&'a Object<DestinationRule>, usize)> {
        let subset = self.subset(name)?;
        let place = |rule: &&'a Object<DestinationRule>| {
            rule.spec.subsets.iter().position(|candidate| std::ptr::eq(candidate, subset))
        };
        self.rules.iter().find_map(|rule| Some((*rule, place(rule)?)))
    }

    pub(crate) fn policy_and_owner(&self) -> Option<(&'a TrafficPolicy, &'a Object<DestinationRule>)> {
        self.policy
    }
}

/// The rules of every namespace, by host.
#[derive(Debug, Default)]
pub(crate) struct DestinationRules<'a> {
    namespaces: HashMap<&'a str, NamespaceRules<'a>>,
    root: String,
    own: String,
}

/// Rules by host; several for one host differ in who sees them.
type NamespaceRules<'a> = HostMap<Vec<MergedRule<'a>>>;

impl<'a> DestinationRules<'a> {
    pub(crate) fn build(set: &'a ConfigSet, mesh: &MeshConfig, site: &Site, findings: &mut Findings) -> Self {
        let mut rules =
            Self { namespaces: HashMap::new(), root: mesh.root_namespace().to_owned(), own: site.namespace.clone() };
        // Rules with a selector come first; the order of age holds within each group.
        let all: Vec<_> = set.destination_rules().collect();
        let (selected, plain): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|rule| rule.spec.workload_selector.is_some());
        for rule in selected.into_iter().chain(plain) {
            if applies_here(rule, site) {
                note_without_effect(rule, findings);
                rules.add(rule, mesh, site, findings);
            }
        }
        rules
    }

    /// The same rules, for somebody who asks for nothing but them.
    pub(crate) fn quietly(set: &'a ConfigSet, mesh: &MeshConfig, site: &Site) -> Self {
        Self::build(set, mesh, site, &mut Findings::default())
    }

    /// The rule for a service as this workload sees it; the first of the three places that has one.
    pub(crate) fn find(&self, host: &str, service_namespace: &str) -> Option<&MergedRule<'a>> {
        self.own_namespace(host)
            .or_else(|| self.exported_from(service_namespace, host))
            .or_else(|| self.exported_from(&self.root, host))
    }

    fn own_namespace(&self, host: &str) -> Option<&MergedRule<'a>> {
        let in_root = self.own == self.root;
        best(self.namespaces.get(self.own.as_str())?, host, |rule| {
            // From inside the root namespace only its private rules are its own.
            rule.export.is_visible_to(&self.own) && (!in_root || rule.export.is_private_to(&self.own))
        })
    }

    fn exported_from(&self, namespace: &str, host: &str) -> Option<&MergedRule<'a>> {
        best(self.namespaces.get(namespace)?, host, |rule| rule.export.is_visible_to(&self.own))
    }

    fn add(&mut self, rule: &'a Object<DestinationRule>, mesh: &MeshConfig, site: &Site, findings: &mut Findings) {
        let namespace = rule.meta.namespace.as_str();
        let host = fqdn_as_written(&rule.spec.host, namespace, site);
        let has_selector = rule.spec.workload_selector.is_some();
        let export = if has_selector {
            Export::Namespaces(vec![namespace.to_owned()])
        } else {
            Export::of(&rule.spec.export_to, &mesh.default_destination_rule_export_to, namespace)
        };
        let known = self.namespaces.entry(namespace).or_default().insert_first(&host, Vec::new());
        if let Some(first) = known.iter_mut().find(|first| first.has_selector == has_selector && first.export == export)
        {
            return first.merge(rule, findings);
        }
        known.push(MergedRule {
            host,
            export,
            subsets: rule.spec.subsets.iter().collect(),
            rules: vec![rule],
            policy: rule.spec.traffic_policy.as_ref().map(|policy| (policy, rule)),
            has_selector,
        });
    }
}

impl<'a> MergedRule<'a> {
    fn merge(&mut self, rule: &'a Object<DestinationRule>, findings: &mut Findings) {
        if self.has_selector {
            // Of several rules with a selector the first one counts whole.
            return findings.add(findings::rule_lost(rule, &self.host, "an older rule with a selector"));
        }
        self.rules.push(rule);
        for subset in &rule.spec.subsets {
            if self.subset(&subset.name).is_none() {
                self.subsets.push(subset);
            } else {
                findings.add(findings::subset_lost(rule, &subset.name, &self.host));
            }
        }
        match (&self.policy, &rule.spec.traffic_policy) {
            (_, None) => {}
            (None, Some(policy)) => self.policy = Some((policy, rule)),
            (Some((_, winner)), Some(_)) => findings.add(findings::policy_lost(rule, winner, &self.host)),
        }
    }
}

/// The most specific rule for a host that is visible.
fn best<'r, 'a>(
    rules: &'r NamespaceRules<'a>,
    host: &str,
    sees: impl Fn(&MergedRule<'a>) -> bool,
) -> Option<&'r MergedRule<'a>> {
    let (_, found) = rules.most_specific(host)?;
    found.iter().find(|rule| sees(rule))
}

fn applies_here(rule: &Object<DestinationRule>, site: &Site) -> bool {
    rule.spec.workload_selector.as_ref().is_none_or(|selector| {
        rule.meta.namespace == site.namespace && labels::subset_of(&selector.match_labels, &site.labels)
    })
}

/// Names the fields of a rule that are read and checked, but do not act.
fn note_without_effect(rule: &Object<DestinationRule>, findings: &mut Findings) {
    let top = rule.spec.traffic_policy.as_ref().map(|policy| ("spec.trafficPolicy".to_owned(), policy));
    let subsets = rule.spec.subsets.iter().enumerate().filter_map(|(index, subset)| {
        Some((format!("spec.subsets[{index}].trafficPolicy"), subset.traffic_policy.as_ref()?))
    });
    for (policy_path, policy) in top.into_iter().chain(subsets) {
        for note in notes::without_effect(policy) {
            let path = format!("{policy_path}.{}", note.path);
            findings.add(findings::not_enforced(rule, &path, "the field does not act", note.message));
        }
    }
}
