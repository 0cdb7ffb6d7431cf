//! Rules: from a policy's words to conditions, and what they match.

use mesh_config::api::authorization_policy::{Operation, Rule as Written, Source};

use super::access::Access;
use super::condition::{Attribute, Condition, LooksAt};
use super::header::Lines;
use crate::identity::TrustDomains;

/// Matches an access if one of `from`, one of `to` and all of `when` do. What is empty matches everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    pub(super) from: Box<[AllOf]>,
    pub(super) to: Box<[AllOf]>,
    pub(super) when: AllOf,
}

pub(super) type AllOf = Box<[Condition]>;

impl Rule {
    /// Whether the rule matches.
    pub(super) fn matches(&self, access: &Access<'_>) -> bool {
        let one_of = |list: &[AllOf]| list.is_empty() || list.iter().any(|all| holds(all, access));
        // What asks for the operation is cheaper to see than who asks.
        one_of(&self.to) && holds(&self.when, access) && one_of(&self.from)
    }

    /// What it looks at beside the request and the caller's identity.
    pub(super) fn looks_at(&self) -> LooksAt {
        let mut all = LooksAt::default();
        let conditions = self.from.iter().chain(&self.to).chain([&self.when]).flatten();
        conditions.for_each(|condition| all.add(condition.check.looks_at()));
        all
    }
}

fn holds(conditions: &[Condition], access: &Access<'_>) -> bool {
    conditions.iter().all(|condition| condition.holds(access))
}

/// What rules are compiled for.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleContext<'a> {
    /// The namespace of the policy.
    pub(super) namespace: &'a str,
    /// Trust domains that stand for each other.
    pub(super) trust_domains: &'a TrustDomains,
    /// Whether there are requests to look at.
    pub(super) protocol: Protocol,
    /// Whether a rule that matches lets in; all others keep out, or only watch.
    pub(super) lets_in: bool,
    /// Whether several lines of a header are judged more strictly than by Envoy.
    pub(super) strict_lines: bool,
}

/// What a port carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Requests.
    #[default]
    Http,
    /// Connections that nobody looks into.
    Tcp,
}

impl RuleContext<'_> {
    /// Compiles a rule. `None` for one that lets in but cannot be judged here: it never matches. Of one that keeps out
    /// the conditions that can be judged count, so that it keeps out more and not less.
    pub(super) fn compile(&self, rule: &Written) -> Option<Rule> {
        let mut when = Vec::new();
        for condition in &rule.when {
            match Attribute::parse(&condition.key) {
                Some(attribute) => self.add(&mut when, &attribute, &condition.values, &condition.not_values)?,
                None if self.lets_in => return None,
                None => {}
            }
        }
        let sources =
            rule.from.iter().map(|from| from.source.as_ref().map_or(Some(AllOf::default()), |s| self.source(s)));
        let operations =
            rule.to.iter().map(|to| to.operation.as_ref().map_or(Some(AllOf::default()), |o| self.operation(o)));
        Some(Rule { from: sources.collect::<Option<_>>()?, to: operations.collect::<Option<_>>()?, when: when.into() })
    }

    fn source(&self, source: &Source) -> Option<AllOf> {
        let mut all = Vec::new();
        for (attribute, values, not_values) in [
            (Attribute::SourceIp, &source.ip_blocks, &source.not_ip_blocks),
            (Attribute::RemoteIp, &source.remote_ip_blocks, &source.not_remote_ip_blocks),
            (Attribute::SourcePrincipal, &source.principals, &source.not_principals),
            (Attribute::SourceNamespace, &source.namespaces, &source.not_namespaces),
            (Attribute::SourceServiceAccount, &source.service_accounts, &source.not_service_accounts),
            (Attribute::SourceTrustDomain, &source.trust_domains, &source.not_trust_domains),
            (Attribute::RequestPrincipal, &source.request_principals, &source.not_request_principals),
        ] {
            self.add(&mut all, &attribute, values, not_values)?;
        }
        Some(all.into())
    }

    fn operation(&self, operation: &Operation) -> Option<AllOf> {
        let mut all = Vec::new();
        for (attribute, values, not_values) in [
            (Attribute::DestinationPort, &operation.ports, &operation.not_ports),
            (Attribute::Method, &operation.methods, &operation.not_methods),
            (Attribute::Path, &operation.paths, &operation.not_paths),
            (Attribute::Host, &operation.hosts, &operation.not_hosts),
        ] {
            self.add(&mut all, &attribute, values, not_values)?;
        }
        Some(all.into())
    }

    /// Adds what an attribute has to be and what it must not be. `None` if the whole rule cannot be judged.
    fn add(
        &self,
        to: &mut Vec<Condition>,
        attribute: &Attribute<'_>,
        values: &[String],
        not_values: &[String],
    ) -> Option<()> {
        for (values, negated) in [(values, false), (not_values, true)] {
            if values.is_empty() {
                continue;
            }
            match self.condition(attribute, values, negated) {
                Some(condition) => to.push(condition),
                None if self.lets_in => return None,
                None => {}
            }
        }
        Some(())
    }

    fn condition(&self, attribute: &Attribute<'_>, values: &[String], negated: bool) -> Option<Condition> {
        if self.protocol == Protocol::Tcp && attribute.is_of_requests() {
            return None;
        }
        let expanded = self.in_all_trust_domains(attribute, values);
        let check = attribute.check(expanded.as_deref().unwrap_or(values), self.namespace, self.lines(negated))?;
        Some(Condition { check, negated, lets_in: self.lets_in })
    }

    fn in_all_trust_domains(&self, attribute: &Attribute<'_>, values: &[String]) -> Option<Vec<String>> {
        let domains = self.trust_domains;
        match attribute {
            Attribute::SourcePrincipal => {
                Some(values.iter().flat_map(|value| domains.expand_principal(value)).collect())
            }
            Attribute::SourceTrustDomain => {
                let expanded = values.iter().flat_map(|value| domains.expand_domain(value));
                Some(expanded.map(str::to_owned).collect())
            }
            _ => None,
        }
    }

    /// A match that opens has to hold for every line, one that closes for any.
    fn lines(&self, negated: bool) -> Lines {
        match (self.strict_lines, self.lets_in == negated) {
            (false, _) => Lines::Any,
            (true, true) => Lines::AnyOrJoined,
            (true, false) => Lines::Every,
        }
    }
}
