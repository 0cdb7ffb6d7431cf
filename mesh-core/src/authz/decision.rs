//! What a decision says.

use std::fmt;

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName {
    /// The policy's namespace.
    pub namespace: Box<str>,
    /// The policy's name.
    pub policy: Box<str>,
    /// The position of the rule in it, from 0.
    pub rule: usize,
}

/// As Envoy names it in its logs: `ns[default]-policy[deny]-rule[0]`.
impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ns[{}]-policy[{}]-rule[{}]", self.namespace, self.policy, self.rule)
    }
}

/// What becomes of an access, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The outcome.
    pub verdict: Verdict<'a>,
    /// A rule of an `AUDIT` policy that matches.
    pub audit: Option<&'a RuleName>,
    /// What policies on trial would have said.
    pub dry_run: DryRun<'a>,
}

impl Decision<'_> {
    /// Whether the access may go on.
    pub fn is_allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Allowed(_))
    }
}

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It may go on: by this rule of an `ALLOW` policy, or since no such policy selects the workload.
    Allowed(Option<&'a RuleName>),
    /// It may not: by this rule of a `DENY` policy, or since no rule of the `ALLOW` policies matches.
    Denied(Option<&'a RuleName>),
}

/// What policies with the annotation `istio.io/dry-run` would have said. `None`: there are none, or others had decided
/// before it was their turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DryRun<'a> {
    /// Of `DENY`: whether it would have gone on.
    pub deny: Option<Trial<'a>>,
    /// Of `ALLOW`: whether it would have gone on.
    pub allow: Option<Trial<'a>>,
}

/// The outcome of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial<'a> {
    /// Whether the access would have gone on.
    pub allowed: bool,
    /// The rule that matches.
    pub rule: Option<&'a RuleName>,
}
