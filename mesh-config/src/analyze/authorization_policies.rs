//! Policies for workloads and namespaces that do not exist.

use super::{Analyzer, Context};
use crate::api::AuthorizationPolicy;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::Labels;
use crate::value::labels::to_line;

/// `IST0127`, and `IST0101` for namespaces.
pub(super) struct AuthorizationPolicies;

impl Analyzer for AuthorizationPolicies {
    fn name(&self) -> &'static str {
        "auth.AuthorizationPoliciesAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::REFERENCE_NOT_FOUND, Code::NO_MATCHING_WORKLOADS]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let namespaces: Vec<&str> = context.set.namespaces().map(|namespace| namespace.meta.name.as_str()).collect();
        for policy in context.set.authorization_policies() {
            let cx = &mut Checker::new(Kind::AuthorizationPolicy, &policy.meta, &policy.origin, out);
            check_workloads(cx, context, policy);
            check_namespaces(cx, &namespaces, &policy.spec);
        }
    }
}

fn check_workloads(cx: &mut Checker<'_>, context: &Context<'_>, policy: &Object<AuthorizationPolicy>) {
    let spec = &policy.spec;
    if spec.target_ref.is_some() || !spec.target_refs.is_empty() {
        return;
    }
    let namespace = policy.meta.namespace.as_str();
    let selector = spec.selector.as_ref().map(|selector| &selector.match_labels);
    let everything = Labels::new();
    let asked = selector.unwrap_or(&everything);
    let workloads = context.workloads();
    let is_mesh_wide = namespace == context.root_namespace();
    let applies = match is_mesh_wide {
        true => selector.is_none() || workloads.selected(asked).any(|workload| workload.is_in_mesh(context)),
        false => workloads.selected_in(namespace, asked).any(|workload| workload.is_in_mesh(context)),
    };
    if applies {
        return;
    }
    let message = format!("No matching workloads for this resource with the following labels: {}", to_line(asked));
    let scope = if is_mesh_wide { "the mesh".to_owned() } else { format!("the namespace `{namespace}`") };
    let finding = Diagnostic::warning(Code::NO_MATCHING_WORKLOADS, message)
        .effect("the policy protects nothing")
        .help(format!("no pod of {scope} with these labels has a proxy"));
    let spec = At::top("spec");
    match selector {
        Some(_) => cx.push(&spec.field("selector").field("matchLabels"), finding),
        None => cx.push(&At::top("metadata").field("namespace"), finding),
    }
}

fn check_namespaces(cx: &mut Checker<'_>, namespaces: &[&str], policy: &AuthorizationPolicy) {
    let spec = At::top("spec");
    for (rule_index, each) in policy.rules.iter().enumerate() {
        for (from, source) in each.from.iter().enumerate() {
            let Some(source) = &source.source else { continue };
            for (field, patterns) in [("namespaces", &source.namespaces), ("notNamespaces", &source.not_namespaces)] {
                for (index, pattern) in patterns.iter().enumerate().filter(|(_, pattern)| !is_known(namespaces, pattern)) {
                    let message = format!("Referenced namespace not found: {pattern:?}");
                    let finding = Diagnostic::error(Code::REFERENCE_NOT_FOUND, message)
                        .effect("no caller is in such a namespace");
                    let rule = spec.field("rules");
                    let rule = rule.index(rule_index);
                    cx.push(&rule.field("from").index(from).field("source").field(field).index(index), finding);
                }
            }
        }
    }
}

/// Whether a pattern means some namespace: a name, in any case, with a star in front or behind, or a star alone.
fn is_known(namespaces: &[&str], pattern: &str) -> bool {
    namespaces.iter().any(|namespace| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(ending), _) => namespace.ends_with(ending),
        (None, Some(beginning)) => namespace.starts_with(beginning),
        (None, None) => namespace.eq_ignore_ascii_case(pattern),
    })
}
