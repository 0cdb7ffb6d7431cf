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
                for (index, pattern) in
                    patterns.iter().enumerate().filter(|(_, pattern)| !is_known(namespaces, pattern))
                {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    const CLUSTER: &str = "
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-injection: enabled}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: bare}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: out, namespace: shop, labels: {app: out, sidecar.istio.io/inject: 'false'}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: api, namespace: bare, labels: {app: api}}, spec: {containers: [{name: istio-proxy, image: p}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: job, namespace: bare, labels: {app: job}}}
";

    fn policy(namespace: &str, spec: &str) -> Vec<String> {
        let policy = format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: {namespace}}}, \
             spec: {{{spec}}}}}\n"
        );
        found(&AuthorizationPolicies, &(policy + CLUSTER))
    }

    #[test]
    fn a_policy_has_to_be_for_some_workload_of_the_mesh() {
        let by_app = |app: &str| format!("selector: {{matchLabels: {{app: {app}}}}}");
        for (namespace, spec) in [
            ("shop", String::new()),
            ("shop", by_app("web")),
            ("bare", by_app("api")),
            ("istio-system", String::new()),
            ("istio-system", by_app("web")),
            ("empty", "targetRefs: [{kind: Gateway, name: g}]".to_owned()),
        ] {
            assert_eq!(policy(namespace, &spec), [""; 0], "{spec} in {namespace}");
        }
        for (namespace, spec) in
            [("shop", by_app("out")), ("shop", by_app("api")), ("bare", by_app("job")), ("istio-system", by_app("job"))]
        {
            let expected = format!("IST0127 AuthorizationPolicy {namespace}/p spec.selector.matchLabels");
            assert_eq!(policy(namespace, &spec), [expected], "{spec} in {namespace}");
        }
        assert_eq!(policy("empty", ""), ["IST0127 AuthorizationPolicy empty/p metadata.namespace"]);
    }

    #[test]
    fn the_root_namespace_may_be_another_one() {
        let text =
            "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: root}}";
        let (set, _) = crate::ConfigSet::from_documents(crate::parse("f", text).0);
        let options = crate::analyze::Options::default().inventory(crate::analyze::Inventory::Cluster);
        let options = options.only([AuthorizationPolicies.name()]);
        assert_eq!(set.analyze_with(&options).len(), 1);
        assert!(set.analyze_with(&options.clone().root_namespace("root")).is_empty());
        let mesh = crate::api::MeshConfig { root_namespace: Some("root".to_owned()), ..Default::default() };
        assert!(set.analyze_with(&options.mesh_config(mesh)).is_empty());
    }

    #[test]
    fn namespaces_of_callers_have_to_exist() {
        let from = |field: &str, names: &str| {
            policy("shop", &format!("rules: [{{from: [{{source: {{{field}: [{names}]}}}}]}}]"))
        };
        for known in ["shop", "SHOP", "'sh*'", "'*re'", "'*'"] {
            assert_eq!(from("namespaces", known), [""; 0], "{known}");
        }
        assert_eq!(
            from("notNamespaces", "shop, gone, 'go*'"),
            [
                "IST0101 AuthorizationPolicy shop/p spec.rules[0].from[0].source.notNamespaces[1]",
                "IST0101 AuthorizationPolicy shop/p spec.rules[0].from[0].source.notNamespaces[2]"
            ]
        );
    }
}
