//! Policies that deny everything, or allow more than they seem to.

use std::collections::HashSet;

use super::{Analyzer, Context, rules::each_policy_rule};
use crate::api::AuthorizationPolicy;
use crate::api::authorization_policy::{AuthorizationAction, Rule, RuleTo};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::dry_run;

/// `MESH0701`: ALLOW without rules matches no request, and what no ALLOW policy matches is denied. `MESH0702`: two items of
/// `rules` are alternatives, where one item with both was meant.
pub(super) struct OpenPolicy;

impl Analyzer for OpenPolicy {
    fn name(&self) -> &'static str {
        "mesh.OpenPolicy"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::ALLOWS_NOTHING, Code::SPLIT_RULE]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let opened = opened_namespaces(context);
        let root = context.root_namespace();
        for policy in set.authorization_policies().filter(|policy| allows_nothing(policy)) {
            let namespace = policy.meta.namespace.as_str();
            let is_ground = match namespace == root {
                true => !opened.is_empty(),
                false => opened.contains(namespace) || opened.contains(root),
            };
            if is_meant(policy) || is_ground {
                continue;
            }
            let cx = &mut Checker::new(Kind::AuthorizationPolicy, &policy.meta, &policy.origin, out);
            let message = "an ALLOW policy without rules denies every request";
            let finding = Diagnostic::warning(Code::ALLOWS_NOTHING, message)
                .effect("every request to the workloads is answered 403 (RBAC: access denied)")
                .help(
                    "`rules: [{}]` allows everything; where denying is meant, a name such as `allow-nothing` or `deny-all` says so",
                );
            cx.push(&At::top("spec"), finding);
        }
        each_policy_rule(set, out, |cx, at, policy, rule| {
            if policy.spec.rules.len() == 2 && std::ptr::eq(rule, &raw const policy.spec.rules[1]) {
                check_split(cx, at, policy);
            }
        });
    }
}

fn allows_nothing(policy: &Object<AuthorizationPolicy>) -> bool {
    policy.spec.action == AuthorizationAction::Allow
        && policy.spec.rules.is_empty()
        && !policy.meta.annotations.contains_key(dry_run::ANNOTATION)
}

/// Whether its name says that it denies.
fn is_meant(policy: &Object<AuthorizationPolicy>) -> bool {
    let name = policy.meta.name.to_ascii_lowercase();
    ["deny", "denied", "nothing", "none", "block", "lock", "zero"].iter().any(|word| name.contains(word))
}

/// Where policies allow something, for which one that allows nothing is the ground.
fn opened_namespaces<'a>(context: &Context<'a>) -> HashSet<&'a str> {
    let opens = |policy: &&Object<AuthorizationPolicy>| {
        policy.spec.action == AuthorizationAction::Allow && !policy.spec.rules.is_empty()
    };
    context.set.authorization_policies().filter(opens).map(|policy| policy.meta.namespace.as_str()).collect()
}

/// Whether an operation is one that is open to everybody as a rule: probes, preflights, what anonymous callers need.
fn is_for_all(to: &RuleTo) -> bool {
    const OPEN: &[&str] = &[
        "health",
        "ready",
        "live",
        "ping",
        "metrics",
        "well-known",
        "public",
        "static",
        "login",
        "favicon",
        "docs",
        "status",
    ];
    let Some(operation) = &to.operation else { return true };
    let is_open = |path: &String| OPEN.iter().any(|word| path.to_ascii_lowercase().contains(word));
    (!operation.paths.is_empty() && operation.paths.iter().all(is_open)) || operation.methods == ["OPTIONS"]
}

/// The same in other words: one rule with both says less.
fn check_split(cx: &mut Checker<'_>, at: &At<'_>, policy: &Object<AuthorizationPolicy>) {
    let has_from = |rule: &Rule| !rule.from.is_empty() && rule.to.is_empty() && rule.when.is_empty();
    let has_to = |rule: &Rule| rule.from.is_empty() && rule.when.is_empty() && rule.to.iter().any(|to| !is_for_all(to));
    let [first, second] = policy.spec.rules.as_slice() else { return };
    let (severity, message) = if has_from(first) && has_to(second) {
        (Diagnostic::warning as fn(Code, String) -> Diagnostic, "`from` and `to` are two rules: either is enough")
    } else if has_to(first) && has_from(second) {
        (Diagnostic::info as fn(Code, String) -> Diagnostic, "`to` and `from` are two rules: either is enough")
    } else {
        return;
    };
    let effect = match policy.spec.action {
        AuthorizationAction::Allow => "anybody may do what `to` names, and whoever `from` names may do everything",
        AuthorizationAction::Deny => "nobody may do what `to` names, and whoever `from` names may do nothing: 403",
        _ => "the policy acts on what either of them names",
    };
    cx.push(
        at,
        severity(Code::SPLIT_RULE, message.to_owned())
            .effect(effect)
            .help("if both are to hold, leave out the second dash, so that they are one rule"),
    );
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places};
    use super::*;

    const NONE: [&str; 0] = [];

    fn policy(name: &str, spec: &str) -> String {
        object("AuthorizationPolicy", name, spec)
    }

    #[test]
    fn an_allow_policy_without_rules_denies_everything() {
        for spec in ["{}", "{action: ALLOW}", "{selector: {matchLabels: {app: r}}, rules: []}"] {
            assert_eq!(places(&OpenPolicy, &policy("p", spec)), ["MESH0701 warning spec"], "{spec}");
        }
        assert_eq!(places(&OpenPolicy, &policy("p", "{rules: [{}]}")), NONE);
    }

    #[test]
    fn who_means_to_deny_is_left_alone() {
        for name in ["allow-nothing", "default-deny", "deny-all"] {
            assert_eq!(places(&OpenPolicy, &policy(name, "{}")), NONE, "{name}");
        }
        let base = format!("{}{}", policy("p", "{}"), policy("q", "{rules: [{to: [{operation: {methods: [GET]}}]}]}"));
        assert_eq!(places(&OpenPolicy, &base), NONE);
    }

    const FROM: &str = "{from: [{source: {namespaces: [b]}}]}";
    const TO: &str = "{to: [{operation: {methods: [GET]}}]}";

    #[test]
    fn from_and_to_as_two_rules_are_alternatives() {
        let finding = only(&OpenPolicy, &policy("p", &format!("{{rules: [{FROM}, {TO}]}}")));
        assert_eq!((finding.path.to_string(), finding.severity.as_str()), ("spec.rules[1]".to_owned(), "warning"));
        let other_way = places(&OpenPolicy, &policy("p", &format!("{{rules: [{TO}, {FROM}]}}")));
        assert_eq!(other_way, ["MESH0702 info spec.rules[1]"]);
        for to in ["methods: [OPTIONS]", "paths: [/healthz, /ready]"] {
            let open = format!("{{rules: [{FROM}, {{to: [{{operation: {{{to}}}}}]}}]}}");
            assert_eq!(places(&OpenPolicy, &policy("p", &open)), NONE, "{to}");
        }
        for rules in [format!("[{FROM}, {FROM}]"), format!("[{FROM}, {TO}, {TO}]"), format!("[{FROM}]")] {
            assert_eq!(places(&OpenPolicy, &policy("p", &format!("{{rules: {rules}}}"))), NONE, "{rules}");
        }
    }
}
