//! Delegates: VirtualServices without hosts, whose rules act through a rule of another one.
//!
//! A rule with a `delegate` (the root) stands for the rules of the VirtualService it names, each
//! narrowed by the root's match blocks ([`merge_matches`]) and completed with the root's fields
//! ([`merge_rule`]). That goes one level deep. What cannot be put in is left out and reported:
//! a delegate that does not exist or is not exported to the root's namespace, and a rule of it
//! that does not fit the root.

mod conflict;
mod merge;

use std::borrow::Cow;
use std::collections::HashMap;

use mesh_config::api::virtual_service::{Delegate, Destination, HttpRoute};
use mesh_config::api::{MeshConfig, VirtualService};
use mesh_config::value::host;
use mesh_config::{ConfigSet, Object, Report};

use super::findings::{self, Findings};
use super::registry::fqdn_as_written;
use super::visibility::Export;
use crate::Site;
use crate::route::RuleOrigin;

pub use conflict::conflicts;
pub use merge::{merge_matches, merge_rule, merge_rules};

/// A rule that acts, and where it is written.
#[derive(Clone, Debug)]
pub(crate) struct Rule<'a> {
    pub(crate) spec: Cow<'a, HttpRoute>,
    /// The object that the rule stands in: the delegate, where it comes from one.
    pub(crate) object: &'a Object<VirtualService>,
    pub(crate) index: usize,
    pub(crate) origin: RuleOrigin,
}

impl<'a> Rule<'a> {
    fn own(object: &'a Object<VirtualService>, index: usize, spec: &'a HttpRoute) -> Self {
        Self { spec: Cow::Borrowed(spec), object, index, origin: origin_of(object, index) }
    }
}

/// The rules of VirtualServices after their delegates were put in.
#[derive(Debug, Default)]
pub(crate) struct Delegates<'a> {
    /// Of those that delegate, by namespace and name.
    merged: HashMap<(&'a str, &'a str), Vec<Rule<'a>>>,
}

impl<'a> Delegates<'a> {
    pub(crate) fn build(set: &'a ConfigSet, mesh: &MeshConfig, site: &Site, findings: &mut Findings) -> Self {
        let by_name: ByName<'a> = set.virtual_services().map(|object| (key(object), object)).collect();
        let roots = set.virtual_services().filter(|object| is_root(object));
        let mut merger = Merger { by_name: &by_name, mesh, site, findings };
        Self { merged: roots.map(|object| (key(object), merger.rules(object))).collect() }
    }

    /// The rules of a VirtualService that act, in order.
    pub(crate) fn rules_of(&self, object: &'a Object<VirtualService>) -> Cow<'_, [Rule<'a>]> {
        match self.merged.get(&key(object)) {
            Some(merged) => Cow::Borrowed(merged),
            None => {
                let rules = object.spec.http.iter().enumerate();
                Cow::Owned(rules.map(|(index, spec)| Rule::own(object, index, spec)).collect())
            }
        }
    }
}

type ByName<'a> = HashMap<(&'a str, &'a str), &'a Object<VirtualService>>;

fn key(object: &Object<VirtualService>) -> (&str, &str) {
    (&object.meta.namespace, &object.meta.name)
}

fn is_root(object: &Object<VirtualService>) -> bool {
    !object.spec.hosts.is_empty() && object.spec.http.iter().any(|rule| rule.delegate.is_some())
}

fn origin_of(object: &Object<VirtualService>, index: usize) -> RuleOrigin {
    RuleOrigin::virtual_service(&object.meta.namespace, &object.meta.name, index)
}

/// Puts delegates in.
struct Merger<'a, 'm> {
    by_name: &'m ByName<'a>,
    mesh: &'m MeshConfig,
    site: &'m Site,
    findings: &'m mut Findings,
}

impl<'a> Merger<'a, '_> {
    fn rules(&mut self, root: &'a Object<VirtualService>) -> Vec<Rule<'a>> {
        let mut rules = Vec::new();
        for (index, spec) in root.spec.http.iter().enumerate() {
            match &spec.delegate {
                None => rules.push(Rule::own(root, index, spec)),
                Some(delegate) => match self.find(root, delegate) {
                    Ok(object) => self.put_in(root, index, object, &mut rules),
                    Err(why) => self.findings.add(findings::delegate_missing(root, index, &why)),
                },
            }
        }
        rules
    }

    /// The delegate that a root names, or why it is none.
    fn find(&self, root: &Object<VirtualService>, named: &Delegate) -> Result<&'a Object<VirtualService>, String> {
        let home = root.meta.namespace.as_str();
        let namespace = if named.namespace.is_empty() { home } else { named.namespace.as_str() };
        let name = format!("{namespace}/{}", named.name);
        let found = self.by_name.get(&(namespace, named.name.as_str()));
        let Some(object) = found else { return Err(format!("delegate VirtualService {name} does not exist")) };
        if !object.spec.hosts.is_empty() {
            return Err(format!("VirtualService {name} has hosts and so is no delegate"));
        }
        let default = &self.mesh.default_virtual_service_export_to;
        if !Export::of(&object.spec.export_to, default, &object.meta.namespace).is_visible_to(home) {
            return Err(format!("delegate VirtualService {name} is not exported to namespace {home}"));
        }
        Ok(*object)
    }

    fn put_in(
        &mut self,
        root: &'a Object<VirtualService>,
        root_index: usize,
        delegate: &'a Object<VirtualService>,
        rules: &mut Vec<Rule<'a>>,
    ) {
        let root_rule = self.with_full_names(&root.spec.http[root_index], &root.meta.namespace);
        for (index, spec) in delegate.spec.http.iter().enumerate() {
            if spec.delegate.is_some() {
                self.findings.add(findings::delegate_of_delegate(delegate, index, root));
                continue;
            }
            let spec = self.with_full_names(spec, &delegate.meta.namespace);
            match merge_rule(&root_rule, &spec) {
                Some(merged) => rules.push(Rule {
                    spec: Cow::Owned(merged),
                    object: delegate,
                    index,
                    origin: origin_of(delegate, index).delegated_by(origin_of(root, root_index)),
                }),
                None => self.findings.add(findings::delegate_conflict(delegate, index, root, root_index)),
            }
        }
    }

    /// The rule with names that mean the same in every namespace: what is merged may come from two.
    fn with_full_names(&self, rule: &HttpRoute, namespace: &str) -> HttpRoute {
        let mut rule = rule.clone();
        let complete = |destination: &mut Destination| {
            destination.host = fqdn_as_written(&destination.host, namespace, self.site);
        };
        rule.route.iter_mut().filter_map(|route| route.destination.as_mut()).for_each(complete);
        rule.mirror.iter_mut().for_each(complete);
        rule.mirrors.iter_mut().filter_map(|mirror| mirror.destination.as_mut()).for_each(complete);
        for gateway in rule.matches.iter_mut().flat_map(|block| &mut block.gateways) {
            *gateway = host::resolve_gateway_name(gateway, namespace);
        }
        rule
    }
}

/// The VirtualServices that act, with the rules of their delegates in place of those that delegate;
/// and what was left out.
pub fn expand(set: &ConfigSet, mesh: &MeshConfig, site: &Site) -> (Vec<Object<VirtualService>>, Report) {
    let mut findings = Findings::default();
    let delegates = Delegates::build(set, mesh, site, &mut findings);
    let acting = set.virtual_services().filter(|object| !object.spec.hosts.is_empty());
    let expanded = acting.map(|object| {
        let mut expanded = object.clone();
        expanded.spec.http = delegates.rules_of(object).iter().map(|rule| rule.spec.clone().into_owned()).collect();
        expanded
    });
    (expanded.collect(), findings.into_report())
}

#[cfg(test)]
mod tests;
