//! Who may do what at this workload: `AuthorizationPolicy`.
//!
//! [`Authorization`] holds the policies that select a workload, and decides as Istio does: if a rule of a `CUSTOM`
//! policy matches, its provider is asked first ([`questions`](Authorization::questions)); then, with the caller's token
//! verified, a rule of a `DENY` policy that matches denies; then, where there are `ALLOW` policies, one of their rules
//! has to match. `AUDIT` marks and never denies. A policy on trial (`istio.io/dry-run`) is judged and does not act.
//!
//! A rule that lets in but cannot be judged never matches; one that keeps out is judged by what is left of it, so that
//! nobody gets in by an error. That is what happens on a port that carries no HTTP to what only requests have.
//!
//! Where many rules could match, they are told apart by what they ask to be equal (`search/`), so that a thousand policies
//! cost about what ten do.
//!
//! A decision allocates nothing, except for conditions on the path with its query (`:path` as a header), and for those
//! that keep out by a header, where a request has several lines of it: these are also judged joined.

mod access;
mod condition;
mod decision;
pub mod grpc_check;
mod header;
mod http_provider;
mod identity;
mod path;
mod provider;
mod question;
mod rule;
mod search;
mod text;
mod token;
mod trust;

#[cfg(test)]
mod tests;

use mesh_config::Object;
use mesh_config::api::AuthorizationPolicy;
use mesh_config::api::authorization_policy::AuthorizationAction;
use mesh_config::value::dry_run;

pub use self::access::{Access, Remote};
pub use self::condition::{LooksAt, name_in_brackets, names_in_brackets, port};
pub use self::decision::{Decision, DryRun, RuleName, Trial, Verdict};
pub use self::http_provider::{HttpProvider, ProviderAnswer};
pub use self::identity::{AccountMatch, DomainMatch, NamespaceMatch, PrincipalMatch};
pub use self::path::PathMatch;
pub use self::provider::{Asked, BodyInCheck, OnError, Provider, service_of};
pub use self::question::{AccessAnswer, AccessQuestion};
pub use self::rule::Protocol;
pub use self::text::TextMatch;
pub use self::token::RequestPrincipalMatch;
pub use self::trust::domain_of;

use self::rule::{Rule, RuleContext};
use self::search::Search;
use crate::Profile;
use crate::identity::TrustDomains;

/// The policies of a workload.
#[derive(Clone, Debug, Default)]
pub struct Authorization {
    custom: Vec<Custom>,
    audit: RuleSet,
    deny: RuleSet,
    /// `None` if no such policy is enforced: everything may go on.
    allow: Option<RuleSet>,
    trial_deny: Option<RuleSet>,
    trial_allow: Option<RuleSet>,
    looks_at: LooksAt,
}

/// What policies are compiled for.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Trust domains that stand for each other.
    pub trust_domains: &'a TrustDomains,
    /// Whether there are requests to look at.
    pub protocol: Protocol,
    /// [`Profile::Safe`] judges several lines of one header more strictly than Envoy: a condition that lets in has to
    /// hold for every line, one that keeps out for any, or for all joined by commas.
    pub profile: Profile,
}

impl Authorization {
    /// Compiles the policies that select a workload.
    pub fn new<'a>(policies: impl IntoIterator<Item = &'a Object<AuthorizationPolicy>>, setting: Setting<'_>) -> Self {
        let mut all = Self::default();
        for policy in policies {
            all.add(policy, setting);
        }
        let sets = [&mut all.audit, &mut all.deny].into_iter();
        let optional = [&mut all.allow, &mut all.trial_deny, &mut all.trial_allow].into_iter().flatten();
        let custom = all.custom.iter_mut().map(|provider| &mut provider.rules);
        sets.chain(optional).chain(custom).for_each(RuleSet::finish);
        all
    }

    fn add(&mut self, policy: &Object<AuthorizationPolicy>, setting: Setting<'_>) {
        let spec = &policy.spec;
        let on_trial = is_on_trial(policy);
        let set = match spec.action {
            AuthorizationAction::Audit => &mut self.audit,
            AuthorizationAction::Deny if on_trial => self.trial_deny.get_or_insert_default(),
            AuthorizationAction::Deny => &mut self.deny,
            AuthorizationAction::Allow if on_trial => self.trial_allow.get_or_insert_default(),
            // Also without a rule that could match.
            AuthorizationAction::Allow => self.allow.get_or_insert_default(),
            AuthorizationAction::Custom => {
                let name = spec.provider.as_ref().map_or("", |provider| provider.name.as_str());
                let known = self.custom.iter().position(|provider| *provider.name == *name);
                let at = known.unwrap_or_else(|| {
                    self.custom.push(Custom { name: name.into(), rules: RuleSet::default() });
                    self.custom.len() - 1
                });
                &mut self.custom[at].rules
            }
        };
        let context = RuleContext {
            namespace: &policy.meta.namespace,
            trust_domains: setting.trust_domains,
            protocol: setting.protocol,
            lets_in: spec.action == AuthorizationAction::Allow,
            strict_lines: setting.profile != Profile::Istio,
        };
        for (index, rule) in spec.rules.iter().enumerate() {
            if let Some(rule) = context.compile(rule) {
                self.looks_at.add(rule.looks_at());
                let name = RuleName {
                    namespace: policy.meta.namespace.as_str().into(),
                    policy: policy.meta.name.as_str().into(),
                    rule: index,
                };
                set.rules.push((name, rule));
            }
        }
    }

    /// Whether everything may go on, unseen.
    pub fn is_empty(&self) -> bool {
        self.custom.is_empty()
            && self.audit.rules.is_empty()
            && self.deny.rules.is_empty()
            && self.allow.is_none()
            && self.trial_deny.is_none()
            && self.trial_allow.is_none()
    }

    /// What their rules look at beside the request and the caller's identity.
    pub const fn looks_at(&self) -> LooksAt {
        self.looks_at
    }

    /// The providers that have to be asked about an access, before all else, each with the rule that says so. The name
    /// of a provider is that of an extension provider of the mesh.
    pub fn questions<'a>(&'a self, access: &'a Access<'a>) -> impl Iterator<Item = (&'a str, &'a RuleName)> {
        self.custom.iter().filter_map(|provider| Some((&*provider.name, provider.rules.first_match(access)?)))
    }

    /// The providers that could be asked.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.custom.iter().map(|provider| &*provider.name)
    }

    /// The first rule that matches, whatever its policy does; of a single policy that by which it acts.
    pub fn any_match(&self, access: &Access<'_>) -> Option<&RuleName> {
        let optional = [&self.allow, &self.trial_deny, &self.trial_allow].into_iter().flatten();
        let sets = self.custom.iter().map(|provider| &provider.rules).chain([&self.audit, &self.deny]).chain(optional);
        sets.into_iter().find_map(|set| set.first_match(access))
    }

    /// Decides about an access whose providers have let it go on.
    pub fn decide<'a>(&'a self, access: &Access<'_>) -> Decision<'a> {
        let audit = self.audit.first_match(access);
        let deny = self.trial_deny.as_ref().map(|set| {
            let rule = set.first_match(access);
            Trial { allowed: rule.is_none(), rule }
        });
        let mut dry_run = DryRun { deny, allow: None };
        if let Some(rule) = self.deny.first_match(access) {
            return Decision { verdict: Verdict::Denied(Some(rule)), audit, dry_run };
        }
        dry_run.allow = self.trial_allow.as_ref().map(|set| {
            let rule = set.first_match(access);
            Trial { allowed: rule.is_some(), rule }
        });
        let verdict = match &self.allow {
            None => Verdict::Allowed(None),
            Some(allow) => match allow.first_match(access) {
                None => Verdict::Denied(None),
                found => Verdict::Allowed(found),
            },
        };
        Decision { verdict, audit, dry_run }
    }
}

/// Who is asked about what the rules match.
#[derive(Clone, Debug)]
struct Custom {
    name: Box<str>,
    rules: RuleSet,
}

/// Rules of which one has to match, in the order of their names, as Envoy looks at them.
#[derive(Clone, Debug, Default)]
struct RuleSet {
    rules: Vec<(RuleName, Rule)>,
    /// Where they are many.
    search: Option<Box<Search>>,
}

impl RuleSet {
    fn finish(&mut self) {
        self.rules.sort_by_cached_key(|(name, _)| name.to_string());
        self.search = Search::build(&self.rules).map(Box::new);
    }

    fn first_match(&self, access: &Access<'_>) -> Option<&RuleName> {
        let found = match &self.search {
            Some(search) => search.first_match(&self.rules, access).and_then(|index| self.rules.get(index)),
            None => self.rules.iter().find(|(_, rule)| rule.matches(access)),
        };
        found.map(|(name, _)| name)
    }
}

fn is_on_trial(policy: &Object<AuthorizationPolicy>) -> bool {
    policy.meta.annotations.get(dry_run::ANNOTATION).and_then(|value| dry_run::parse(value)) == Some(true)
}
