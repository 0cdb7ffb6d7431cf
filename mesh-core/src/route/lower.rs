//! Lowering: a rule of a VirtualService becomes routes.

use std::fmt;

use mesh_config::api::virtual_service::{Destination, HttpMatchRequest, HttpRetry, HttpRoute};

use super::action::Action;
use super::condition::Condition;
use super::condition::path::{Matched, PathCondition};
use super::cors::Cors;
use super::fault::Fault;
use super::hash::HashPolicy;
use super::header_ops::HeaderLevel;
use super::mirror::Mirror;
use super::selector::{self, MatchSite};
use super::{ClusterRef, Route, RuleOrigin};
use crate::retry::RetryPolicy;

/// A rule that cannot be turned into routes.
///
/// Validation refuses nearly all of them earlier; what is left is what Istio accepts and Envoy then
/// refuses, or what HTTP cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LowerError {
    /// The field below the rule, such as `match[0].uri.regex`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl LowerError {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// The same error, seen from the field that contains the one it names.
    pub(crate) fn within(mut self, field: &str) -> Self {
        self.path = if self.path.is_empty() { field.to_owned() } else { format!("{field}.{}", self.path) };
        self
    }
}

impl fmt::Display for LowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for LowerError {}

/// What lowering has to know besides the rule.
pub struct RuleContext<'a> {
    /// For whom and where the routes are made.
    pub site: MatchSite<'a>,
    /// Finds the cluster of a destination or mirror.
    pub resolve: &'a mut dyn FnMut(&Destination) -> ClusterRef,
    /// The mesh's `defaultHttpRetryPolicy`, for a rule without `retries`.
    pub default_retry: Option<&'a HttpRetry>,
    /// What each destination of the rule is hashed by.
    pub hashes: &'a [Option<HashPolicy>],
    /// The rule, for the routes to remember.
    pub origin: RuleOrigin,
}

impl fmt::Debug for RuleContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleContext").field("site", &self.site).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Turns a rule into routes: one for each match block that applies at the site, one for a rule
/// without match. None if every block is meant for other callers.
///
/// # Errors
/// The first thing in the rule that cannot be expressed.
pub fn lower_rule(rule: &HttpRoute, ctx: &mut RuleContext<'_>) -> Result<Vec<Route>, LowerError> {
    if rule.matches.is_empty() {
        return Ok(vec![lower_block(rule, &HttpMatchRequest::default(), ctx)?]);
    }
    let mut routes = Vec::new();
    for (index, block) in rule.matches.iter().enumerate() {
        if selector::applies(block, &ctx.site) {
            let route = lower_block(rule, block, ctx).map_err(|error| match error.path.strip_prefix(BLOCK) {
                Some(path) => LowerError { path: format!("match[{index}].{path}"), ..error },
                None => error,
            })?;
            routes.push(route);
        }
    }
    Ok(routes)
}

/// Stands for the match block in the path of an error until its index is known.
const BLOCK: &str = "match.";

fn lower_block(rule: &HttpRoute, block: &HttpMatchRequest, ctx: &mut RuleContext<'_>) -> Result<Route, LowerError> {
    let conditions = Condition::lower_all(block).map_err(|error| error.within("match"))?;
    let matched = matched(&conditions);
    // With a single destination its header operations and the rule's are one level.
    let only = match &*rule.route {
        [only] => only.headers.as_ref(),
        _ => None,
    };
    let headers = HeaderLevel::lower(rule.headers.as_ref(), only)?;
    let action = Action::lower(rule, matched, headers.authority, ctx)?;
    let forwards = matches!(action, Action::Forward(_));
    let hash = if forwards { hash_policies(rule, ctx) } else { Box::default() };
    let single_hash = rule.route.len() == 1 && !hash.is_empty();
    Ok(Route {
        name: route_name(&rule.name, &block.name),
        conditions,
        action,
        timeout: rule.timeout.map(|timeout| timeout.to_std()).filter(|timeout| !timeout.is_zero()),
        retry: if forwards { RetryPolicy::lower(rule.retries.as_ref(), ctx.default_retry, single_hash) } else { None },
        hash,
        fault: rule.fault.as_ref().map(Fault::lower).transpose()?.flatten(),
        cors: rule.cors_policy.as_ref().filter(|_| forwards).map(Cors::lower).transpose()?.map(Box::new),
        mirrors: if forwards { Mirror::lower_all(rule, ctx)? } else { Box::default() },
        request_headers: headers.request,
        response_headers: headers.response,
        carried: false,
        origin: ctx.origin.clone(),
    })
}

/// Those of all destinations that get requests, in listed order.
fn hash_policies(rule: &HttpRoute, ctx: &RuleContext<'_>) -> Box<[HashPolicy]> {
    let single = rule.route.len() == 1;
    let destinations = rule.route.iter().zip(ctx.hashes).filter(|(route, _)| single || route.weight != 0);
    destinations.filter_map(|(_, hash)| hash.clone()).collect()
}

fn matched(conditions: &[Condition]) -> Matched {
    conditions
        .iter()
        .find_map(|condition| match condition {
            Condition::Path(path) => Some(path.matched()),
            _ => None,
        })
        .unwrap_or_else(|| PathCondition::any().matched())
}

fn route_name(rule: &str, block: &str) -> Box<str> {
    if block.is_empty() { rule.into() } else { format!("{rule}.{block}").into() }
}
