//! What the set holds about identity and access, and that it does not act yet.

use std::collections::BTreeMap;

use mesh_config::api::MeshConfig;
use mesh_config::value::labels;
use mesh_config::{Code, ConfigSet, Diagnostic, Object, Typed};

use super::findings::{self, Findings};
use crate::Site;

const EFFECT: &str = "nothing is enforced: every caller is let in, and traffic is plaintext";

/// Names every security object that would apply to this workload, and refuses a workload that no
/// selector could ever find.
pub(crate) fn check(set: &ConfigSet, mesh: &MeshConfig, site: &Site, findings: &mut Findings) {
    let mut scope = Scope { root: mesh.root_namespace(), site, findings };
    for policy in set.peer_authentications() {
        scope.selectable(policy, policy.spec.selector.as_ref().map(|s| &s.match_labels));
    }
    for policy in set.request_authentications() {
        scope.visit(policy, policy.spec.selector.as_ref().map(|s| &s.match_labels));
    }
    for policy in set.authorization_policies() {
        scope.visit(policy, policy.spec.selector.as_ref().map(|s| &s.match_labels));
    }
}

struct Scope<'a> {
    root: &'a str,
    site: &'a Site,
    findings: &'a mut Findings,
}

impl Scope<'_> {
    /// Of a policy that acts: whether it could.
    fn selectable<T: Typed>(&mut self, policy: &Object<T>, selector: Option<&BTreeMap<String, String>>) {
        let concerns = policy.meta.namespace == self.site.namespace || policy.meta.namespace == self.root;
        if concerns && self.site.labels.is_empty() && selector.is_some_and(|labels| !labels.is_empty()) {
            self.findings.add(unselectable(policy));
        }
    }

    fn visit<T: Typed>(&mut self, policy: &Object<T>, selector: Option<&BTreeMap<String, String>>) {
        let namespace = policy.meta.namespace.as_str();
        if namespace != self.site.namespace && namespace != self.root {
            return;
        }
        let selector = selector.filter(|labels| !labels.is_empty());
        match selector {
            Some(_) if self.site.labels.is_empty() => self.findings.add(unselectable(policy)),
            Some(wanted) if !labels::subset_of(wanted, &self.site.labels) => {}
            _ => self.findings.add(findings::not_enforced(
                policy,
                "spec",
                &format!("{} is read and checked, but not enforced yet", policy.id()),
                EFFECT,
            )),
        }
    }
}

/// A policy that silently does not apply is an open door: a workload has to say which labels it has.
fn unselectable<T: Typed>(policy: &Object<T>) -> Diagnostic {
    Diagnostic::error(
        Code::WORKLOAD_WITHOUT_LABELS,
        format!("{} selects workloads by label, but this workload was given none", policy.id()),
    )
    .at(&policy.origin)
    .resource(policy.id())
    .path("spec.selector")
    .effect("the policy could never apply to this workload, without anybody being told")
    .help("give the workload its labels, such as `.label(\"app\", \"reviews\")`")
}
