//! Which policy has decided about a request: for logs and spans, and never for its caller.

use std::fmt;
use std::sync::Arc;

use mesh_core::Failure;
use mesh_core::authz::RuleName;

/// The rule that has decided: an extension of a request that was let in, until its record takes it, and of the answer to one
/// that was not, of which it is no part that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecidedBy(Arc<str>);

impl DecidedBy {
    /// `None` is that no rule of the `ALLOW` policies matches.
    pub(super) fn rule(rule: Option<&RuleName>) -> Self {
        Self(rule.map_or_else(|| "none".into(), |rule| rule.to_string().into()))
    }

    /// As Envoy names it: `ns[default]-policy[deny]-rule[0]`, or `none`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether anybody would be told. For a request that is let in it is not worth a name otherwise.
    pub(super) fn is_wanted() -> bool {
        tracing::enabled!(target: super::guard::TARGET, tracing::Level::DEBUG)
            || tracing::Span::current().field(FIELD).is_some()
    }

    /// Tells it to the span around, where that has a field `policy`.
    pub(super) fn tell_span(&self) {
        tracing::Span::current().record(FIELD, self.as_str());
    }
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The field of a span that it is told to.
const FIELD: &str = "policy";

/// A policy keeps a request out.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) failure: Failure,
    pub(super) by: DecidedBy,
}

impl Denied {
    pub(super) fn by(rule: Option<&RuleName>) -> Self {
        Self { failure: Failure::AccessDenied, by: DecidedBy::rule(rule) }
    }
}
