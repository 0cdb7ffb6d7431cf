//! Policies that ask for an identity where callers need not have one.

use std::collections::HashMap;

use super::peer_mode::{Mode, PeerModes};
use super::rules::each_policy_rule;
use super::{Analyzer, Context};
use crate::api::AuthorizationPolicy;
use crate::api::authorization_policy::{AuthorizationAction, Rule, Source};
use crate::api::peer_authentication::MutualTlsMode;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Object;
use crate::set::ConfigSet;
use crate::validate::At;
use crate::value::{Labels, labels};

/// `MESH0708`: a caller has an identity only by its certificate. Under `DISABLE` nobody shows one; under `PERMISSIVE` a
/// caller may choose not to, and a denial of its identity then does not act.
pub(super) struct IdentityWithoutMtls;

impl Analyzer for IdentityWithoutMtls {
    fn name(&self) -> &'static str {
        "mesh.IdentityWithoutMtls"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::IDENTITY_WITHOUT_MTLS]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let modes = PeerModes::of(context);
        let guards = Guards::of(set);
        each_policy_rule(set, out, |cx, at, policy, rule| {
            let Some((field, index, negated)) = identity(rule) else { return };
            let Some(mode) = mode_of(set, &modes, policy) else { return };
            let action = policy.spec.action;
            let finding = match mode.mode {
                MutualTlsMode::Disable => nobody(&mode, field, negated, action),
                MutualTlsMode::Permissive if action == AuthorizationAction::Deny && !negated => {
                    if guards.refuse_plain_text(policy) {
                        return;
                    }
                    walked_around(&mode, field)
                }
                _ => return,
            };
            let at = match field.starts_with("source.") {
                true => at.field("when"),
                false => at.field("from"),
            };
            let at = at.index(index);
            if field.starts_with("source.") {
                cx.push(&at.field("key"), finding);
            } else {
                let source: At<'_> = at.field("source");
                cx.push(&source.field(field), finding);
            }
        });
    }
}

/// The first field of a rule that asks for an identity, the element of `from` or `when` it stands in, and whether it asks
/// for none of those it lists.
fn identity(rule: &Rule) -> Option<(&'static str, usize, bool)> {
    for (index, from) in rule.from.iter().enumerate() {
        let Some(source) = &from.source else { continue };
        if let Some((field, negated)) = of_source(source) {
            return Some((field, index, negated));
        }
    }
    rule.when.iter().enumerate().find_map(|(index, condition)| {
        let key = ["source.principal", "source.namespace", "source.serviceAccount", "source.trustDomain"]
            .into_iter()
            .find(|key| *key == condition.key)?;
        Some((key, index, condition.values.is_empty()))
    })
}

fn of_source(source: &Source) -> Option<(&'static str, bool)> {
    [
        ("principals", &source.principals, false),
        ("namespaces", &source.namespaces, false),
        ("serviceAccounts", &source.service_accounts, false),
        ("trustDomains", &source.trust_domains, false),
        ("notPrincipals", &source.not_principals, true),
        ("notNamespaces", &source.not_namespaces, true),
        ("notServiceAccounts", &source.not_service_accounts, true),
        ("notTrustDomains", &source.not_trust_domains, true),
    ]
    .into_iter()
    .find(|(_, values, _)| !values.is_empty())
    .map(|(field, _, negated)| (field, negated))
}

/// The mode of the workloads that a policy is for; nothing for gateways, whose callers are not of the mesh.
fn mode_of<'a>(set: &ConfigSet, modes: &PeerModes<'a>, policy: &Object<AuthorizationPolicy>) -> Option<Mode<'a>> {
    if policy.spec.target_ref.is_some() || !policy.spec.target_refs.is_empty() {
        return None;
    }
    let nothing = Labels::new();
    let known = policy.spec.selector.as_ref().map_or(&nothing, |selector| &selector.match_labels);
    if set.gateways().any(|gateway| labels::selects(known, &gateway.spec.selector)) {
        return None;
    }
    match modes.is_root(&policy.meta.namespace) {
        true => modes.of_all(),
        false => modes.of_workloads(&policy.meta.namespace, known),
    }
}

/// What the policies of a namespace with one selector do about callers without identity.
#[derive(Clone, Copy, Default)]
struct Guard {
    refuses: bool,
    allows: bool,
    allows_without_identity: bool,
}

/// All policies by namespace and selector, so that they are not gone through for each other one.
struct Guards<'a>(HashMap<(&'a str, Option<&'a Labels>), Guard>);

impl<'a> Guards<'a> {
    fn of(set: &'a ConfigSet) -> Self {
        let mut guards: HashMap<_, Guard> = HashMap::new();
        for policy in set.authorization_policies() {
            let guard = guards.entry((policy.meta.namespace.as_str(), selector(policy))).or_default();
            match policy.spec.action {
                AuthorizationAction::Deny => guard.refuses |= policy.spec.rules.iter().any(refuses_plain_text),
                AuthorizationAction::Allow => {
                    guard.allows = true;
                    guard.allows_without_identity |= !policy.spec.rules.iter().all(needs_identity);
                }
                _ => {}
            }
        }
        Self(guards)
    }

    /// Whether another policy already refuses callers without identity.
    fn refuse_plain_text(&self, policy: &Object<AuthorizationPolicy>) -> bool {
        let of = |selector| self.0.get(&(policy.meta.namespace.as_str(), selector)).copied().unwrap_or_default();
        let (all, same) = (of(None), of(selector(policy)));
        all.refuses
            || same.refuses
            || ((all.allows || same.allows) && !all.allows_without_identity && !same.allows_without_identity)
    }
}

fn selector(policy: &Object<AuthorizationPolicy>) -> Option<&Labels> {
    policy.spec.selector.as_ref().map(|selector| &selector.match_labels)
}

fn refuses_plain_text(rule: &Rule) -> bool {
    rule.to.is_empty()
        && rule.when.is_empty()
        && rule.from.iter().filter_map(|from| from.source.as_ref()).any(|source| source.not_principals == ["*"])
}

fn needs_identity(rule: &Rule) -> bool {
    let asks = |source: &Source| of_source(source).is_some_and(|(_, negated)| !negated);
    !rule.from.is_empty() && rule.from.iter().all(|from| from.source.as_ref().is_some_and(asks))
}

fn nobody(mode: &Mode<'_>, field: &str, negated: bool, action: AuthorizationAction) -> Diagnostic {
    let message = format!("{field} asks for an identity and no caller has one: {}", mode.text());
    let effect = match (action, negated) {
        (AuthorizationAction::Allow, false) => "the rule allows nobody: 403",
        (AuthorizationAction::Deny, false) => "the rule denies nobody",
        (AuthorizationAction::Allow, true) => "the rule leaves nobody out: all callers are allowed",
        (AuthorizationAction::Deny, true) => "the rule leaves nobody out: all callers are denied, 403",
        _ => "the rule is about nobody, or about everybody where it is a `not`",
    };
    Diagnostic::warning(Code::IDENTITY_WITHOUT_MTLS, message).effect(effect).help("mtls.mode: STRICT")
}

fn walked_around(mode: &Mode<'_>, field: &str) -> Diagnostic {
    let message = format!("the denial by {field} can be walked around in plain text: {}", mode.text());
    let finding = match mode.by {
        Some(_) => Diagnostic::warning(Code::IDENTITY_WITHOUT_MTLS, message),
        None => Diagnostic::info(Code::IDENTITY_WITHOUT_MTLS, message),
    };
    finding
        .effect("a caller that sends plain text has no identity, so that the rule does not match it and it is let through")
        .help("mtls.mode: STRICT, or a second DENY rule with `notPrincipals: [\"*\"]`, which refuses callers without identity")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places};
    use super::*;

    const NONE: [&str; 0] = [];

    fn policy(action: &str, source: &str) -> String {
        let spec = format!("{{action: {action}, rules: [{{from: [{{source: {{{source}}}}}]}}]}}");
        object("AuthorizationPolicy", "p", &spec)
    }

    fn mode(mode: &str) -> String {
        object("PeerAuthentication", "m", &format!("{{mtls: {{mode: {mode}}}}}"))
    }

    #[test]
    fn a_denial_by_identity_needs_strict() {
        let deny = policy("DENY", "namespaces: [b]");
        let path = "spec.rules[0].from[0].source.namespaces";
        let found = |mode: &str| places(&IdentityWithoutMtls, &format!("{deny}{mode}"));
        assert_eq!(found(&mode("PERMISSIVE")), [format!("MESH0708 warning {path}")]);
        assert_eq!(found(""), [format!("MESH0708 info {path}")]);
        assert_eq!(found(&mode("STRICT")), NONE);
        let finding = only(&IdentityWithoutMtls, &format!("{deny}{}", mode("PERMISSIVE")));
        assert_eq!(
            finding.message,
            "the denial by namespaces can be walked around in plain text: PeerAuthentication a/m says PERMISSIVE"
        );
    }

    #[test]
    fn under_disable_nobody_has_an_identity() {
        for (action, source, effect) in [
            ("ALLOW", "principals: [td/ns/a/sa/b]", "the rule allows nobody: 403"),
            ("DENY", "principals: [td/ns/a/sa/b]", "the rule denies nobody"),
            ("DENY", "notNamespaces: [a]", "the rule leaves nobody out: all callers are denied, 403"),
        ] {
            let finding = only(&IdentityWithoutMtls, &format!("{}{}", policy(action, source), mode("DISABLE")));
            assert_eq!(finding.effect.as_deref(), Some(effect));
        }
    }

    #[test]
    fn an_allowance_under_permissive_fails_closed() {
        let yaml = format!("{}{}", policy("ALLOW", "namespaces: [b]"), mode("PERMISSIVE"));
        assert_eq!(places(&IdentityWithoutMtls, &yaml), NONE);
        let without = format!("{}{}", policy("DENY", "ipBlocks: [10.0.0.0/8]"), mode("DISABLE"));
        assert_eq!(places(&IdentityWithoutMtls, &without), NONE);
    }

    #[test]
    fn plain_text_may_be_refused_by_another_policy() {
        let deny = format!("{}{}", policy("DENY", "namespaces: [b]"), mode("PERMISSIVE"));
        let plain = policy("DENY", "notPrincipals: ['*']").replace("name: p", "name: q");
        assert_eq!(places(&IdentityWithoutMtls, &format!("{deny}{plain}")), NONE);
        let allow = policy("ALLOW", "namespaces: [c]").replace("name: p", "name: q");
        assert_eq!(places(&IdentityWithoutMtls, &format!("{deny}{allow}")), NONE);
    }
}
