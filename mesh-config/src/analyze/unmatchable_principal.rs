//! Identities that no caller has.

use super::pattern::has_plain_star;
use super::rules::each_policy_rule;
use super::unmatchable::never_met;
use super::{Analyzer, Context};
use crate::api::MeshConfig;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::validate::{At, Checker};

/// `MESH0703`: an identity is `trust-domain/ns/namespace/sa/account`, without `spiffe://`, compared byte for byte.
pub(super) struct UnmatchablePrincipal;

impl Analyzer for UnmatchablePrincipal {
    fn name(&self) -> &'static str {
        "mesh.UnmatchablePrincipal"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::UNMATCHABLE_PRINCIPAL]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let mesh = context.mesh_config();
        each_policy_rule(set, out, |cx, at, policy, rule| {
            let mut check = |at: &At<'_>, negated: bool, values: &[String], kind: Kind| {
                let effect = never_met(policy.spec.action, negated, values.len());
                check_values(cx, at, values, kind, mesh, effect);
            };
            for (index, from) in rule.from.iter().enumerate() {
                let Some(source) = &from.source else { continue };
                let at = at.field("from");
                let at = at.index(index);
                let at = at.field("source");
                check(&at.field("principals"), false, &source.principals, Kind::Principal);
                check(&at.field("notPrincipals"), true, &source.not_principals, Kind::Principal);
                check(&at.field("namespaces"), false, &source.namespaces, Kind::Namespace);
                check(&at.field("notNamespaces"), true, &source.not_namespaces, Kind::Namespace);
            }
            for (index, condition) in rule.when.iter().enumerate() {
                let kind = match condition.key.as_str() {
                    "source.principal" => Kind::Principal,
                    "source.namespace" => Kind::Namespace,
                    _ => continue,
                };
                let at = at.field("when");
                let at = at.index(index);
                check(&at.field("values"), false, &condition.values, kind);
                check(&at.field("notValues"), true, &condition.not_values, kind);
            }
        });
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Principal,
    Namespace,
}

fn check_values(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    values: &[String],
    kind: Kind,
    mesh: Option<&MeshConfig>,
    effect: &str,
) {
    for (index, value) in values.iter().enumerate() {
        let found = match kind {
            Kind::Principal => principal(value, mesh),
            Kind::Namespace => namespace(value),
        };
        if let Some((why, help)) = found {
            let message = format!("`{value}` is nobody's identity: {why}");
            let finding =
                Diagnostic::warning(Code::UNMATCHABLE_PRINCIPAL, message).effect(effect.to_owned()).help(help);
            cx.push(&at.index(index), finding);
        }
    }
}

/// Why no identity matches, and what to write.
type Wrong = (String, String);

fn principal(value: &str, mesh: Option<&MeshConfig>) -> Option<Wrong> {
    let wrong = |why: &str, help: &str| Some((why.to_owned(), help.to_owned()));
    if let Some(rest) = value.strip_prefix("spiffe://") {
        return wrong("`spiffe://` is left out", &format!("`{rest}`"));
    }
    if value.contains(char::is_whitespace) {
        let joined: String = value.split_whitespace().collect();
        return wrong("no identity holds white space", &format!("`{joined}`"));
    }
    if has_plain_star(value) {
        let help = "a `*` stands at the beginning or the end; for the accounts of a namespace use `namespaces`";
        return wrong("a `*` that is neither first nor last is plain text", help);
    }
    if let Some(account) = value.strip_prefix("system:serviceaccount:") {
        let help = format!("`{}/ns/{}", trust_domain(mesh), account.replacen(':', "/sa/", 1));
        return wrong("this is Kubernetes' name of an account", &format!("{help}`"));
    }
    if !value.contains('*') && !is_identity(value) {
        let domain = trust_domain(mesh);
        let help = match value.split('/').collect::<Vec<_>>().as_slice() {
            ["ns", _, "sa", _] => format!("`{domain}/{value}`"),
            [namespace, account] if !namespace.contains('.') => format!("`{domain}/ns/{namespace}/sa/{account}`"),
            [account] => format!("`{domain}/ns/NAMESPACE/sa/{account}`"),
            _ => format!("`{domain}/ns/NAMESPACE/sa/ACCOUNT`"),
        };
        return wrong("an identity is TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT", &help);
    }
    foreign(value, mesh?)
}

fn trust_domain(mesh: Option<&MeshConfig>) -> &str {
    mesh.map_or("cluster.local", MeshConfig::trust_domain)
}

/// Identities of other forms do not come from Istio; those of gateways' clients may have any.
fn is_identity(value: &str) -> bool {
    let parts: Vec<_> = value.split('/').collect();
    match parts.as_slice() {
        [domain, "ns", namespace, "sa", account] => [domain, namespace, account].iter().all(|part| !part.is_empty()),
        [domain, _, ..] if domain.contains('.') => !parts.contains(&"ns") && !parts.contains(&"sa"),
        _ => false,
    }
}

/// `cluster.local` always stands for the mesh's own trust domain.
fn foreign(value: &str, mesh: &MeshConfig) -> Option<Wrong> {
    let (domain, rest) = value.split_once('/')?;
    let is_known = domain == "cluster.local"
        || domain == mesh.trust_domain()
        || domain.contains('*')
        || mesh.trust_domain_aliases.iter().any(|alias| alias == domain);
    if is_known || !rest.starts_with("ns/") {
        return None;
    }
    let own = mesh.trust_domain();
    let why = format!("{domain} is neither the trust domain of the mesh ({own}) nor an alias of it");
    let help = format!("`{own}/{rest}`, or trustDomainAliases: [{domain}] in the MeshConfig");
    Some((why, help))
}

fn namespace(value: &str) -> Option<Wrong> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'*';
    if value.is_empty() || value.bytes().all(is_name) {
        return None;
    }
    let why = "a namespace is one name of lower-case letters, digits and `-`".to_owned();
    let help = match value.split('/').collect::<Vec<_>>().as_slice() {
        [_, "ns", name, ..] | ["ns", name, ..] | [name, _, ..] => format!("`{name}`"),
        _ => format!("`{}`", value.split('.').next().unwrap_or(value).trim().to_ascii_lowercase()),
    };
    Some((why, help))
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

    fn help(principal: &str) -> Option<String> {
        let mut found = super::super::testing::run(
            &UnmatchablePrincipal,
            &policy("ALLOW", &format!("principals: ['{principal}']")),
        );
        found.pop().and_then(|finding| finding.help)
    }

    #[test]
    fn an_identity_has_five_parts_and_no_scheme() {
        for good in [
            "cluster.local/ns/a/sa/b",
            "td/ns/a/sa/b",
            "*",
            "*/ns/a/sa/b",
            "cluster.local/ns/a/*",
            "example.org/client",
        ] {
            assert_eq!(help(good), None, "{good}");
        }
        for (bad, mended) in [
            ("spiffe://cluster.local/ns/a/sa/b", "`cluster.local/ns/a/sa/b`"),
            ("ns/a/sa/b", "`cluster.local/ns/a/sa/b`"),
            ("a/b", "`cluster.local/ns/a/sa/b`"),
            ("b", "`cluster.local/ns/NAMESPACE/sa/b`"),
            ("system:serviceaccount:a:b", "`cluster.local/ns/a/sa/b`"),
            ("cluster.local/ns/a/sa/b ", "`cluster.local/ns/a/sa/b`"),
            ("cluster.local/sa/b", "`cluster.local/ns/NAMESPACE/sa/ACCOUNT`"),
        ] {
            assert_eq!(help(bad).as_deref(), Some(mended), "{bad}");
        }
        assert!(help("cluster.local/ns/*/sa/b").is_some());
    }

    #[test]
    fn the_effect_depends_on_action_and_sign() {
        let allow = only(&UnmatchablePrincipal, &policy("ALLOW", "principals: [b]"));
        assert_eq!(allow.effect.as_deref(), Some("the rule allows nothing: what was meant by it is answered 403"));
        let deny = only(&UnmatchablePrincipal, &policy("DENY", "notPrincipals: [b]"));
        assert_eq!(deny.path.to_string(), "spec.rules[0].from[0].source.notPrincipals[0]");
        assert!(deny.effect.unwrap().starts_with("nothing is left out"));
    }

    #[test]
    fn a_trust_domain_is_judged_where_the_mesh_names_its_own() {
        let yaml = policy("ALLOW", "principals: [other/ns/a/sa/b]");
        assert_eq!(places(&UnmatchablePrincipal, &yaml), NONE);
        let place = ["MESH0703 warning spec.rules[0].from[0].source.principals[0]"];
        assert_eq!(places(&UnmatchablePrincipal, &format!("{yaml}---\ntrustDomain: own\n")), place);
        for good in ["trustDomain: other", "trustDomain: own\ntrustDomainAliases: [other]"] {
            assert_eq!(places(&UnmatchablePrincipal, &format!("{yaml}---\n{good}\n")), NONE, "{good}");
        }
        let default = policy("ALLOW", "principals: [cluster.local/ns/a/sa/b]");
        assert_eq!(places(&UnmatchablePrincipal, &format!("{default}---\ntrustDomain: own\n")), NONE);
    }

    #[test]
    fn a_namespace_is_one_name() {
        for bad in ["a/b", "cluster.local/ns/a", "a.svc", "Prod", " a"] {
            let found = places(&UnmatchablePrincipal, &policy("DENY", &format!("namespaces: ['{bad}']")));
            assert_eq!(found, ["MESH0703 warning spec.rules[0].from[0].source.namespaces[0]"], "{bad}");
        }
        for good in ["a", "*", "a-*", "*-b", "a*b"] {
            assert_eq!(
                places(&UnmatchablePrincipal, &policy("DENY", &format!("namespaces: ['{good}']"))),
                NONE,
                "{good}"
            );
        }
    }

    #[test]
    fn conditions_are_looked_at_too() {
        let spec = "{rules: [{when: [{key: source.principal, values: [spiffe://a/ns/b/sa/c]}, {key: source.ip, values: [10.0.0.1]}]}]}";
        let found = places(&UnmatchablePrincipal, &object("AuthorizationPolicy", "p", spec));
        assert_eq!(found, ["MESH0703 warning spec.rules[0].when[0].values[0]"]);
    }
}
