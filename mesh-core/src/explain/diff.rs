//! Which requests two configurations decide differently.

use std::collections::HashSet;

use serde::Serialize;

use super::witness::witnesses;
use super::{Action, Explainer, Explanation, Question, Request};

/// A request that goes elsewhere, and how many others do so by the same two rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The request.
    pub request: Request,
    /// The listener port.
    pub port: u16,
    /// What happened before.
    pub old: Outcome,
    /// What happens now.
    pub new: Outcome,
    /// What differs, in words: `destination`, `timeout`.
    pub what: Vec<&'static str>,
    /// Other requests of the same kind that were tried.
    pub others: usize,
}

/// What becomes of a request, without the roll: shares instead of a draw.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The rule that decides, `VirtualService default/reviews spec.http[2] mesh/reviews.yaml:12`.
    pub rule: String,
    /// The name of the route.
    pub route: String,
    /// What is done.
    pub action: Action,
    /// Destinations with their shares, `95.0 % v1 of reviews.default.svc.cluster.local:9080`.
    pub destinations: Vec<String>,
    /// The status the mesh answers with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Where a redirect leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Authority and path that the destination sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_as: Option<String>,
    /// The headers that the destination sees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The limit for the whole exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<String>,
    /// Where copies go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// What is injected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// What counts for the destinations' clusters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<String>,
}

/// The differences between two configurations, over requests that are derived from the conditions of both.
///
/// What both decide alike for all of these may still differ for a request that none of the conditions hints at, such as
/// one that only a second alternative of a regular expression matches.
pub fn diff(old: &Explainer<'_>, new: &Explainer<'_>) -> Vec<Difference> {
    let mut asked = HashSet::new();
    let mut found: Vec<Difference> = Vec::new();
    for question in witnesses(old.snapshot).into_iter().chain(witnesses(new.snapshot)) {
        if !asked.insert(format!("{question:?}")) {
            continue;
        }
        let (before, after) = (outcome(old, &question), outcome(new, &question));
        let what = before.differs_from(&after);
        if what.is_empty() {
            continue;
        }
        let alike =
            |had: &&mut Difference| had.old.rule == before.rule && had.new.rule == after.rule && had.what == what;
        match found.iter_mut().find(alike) {
            Some(had) => had.others += 1,
            None => found.push(Difference {
                request: question.describe(),
                port: question.port(),
                old: before,
                new: after,
                what,
                others: 0,
            }),
        }
    }
    found
}

impl Outcome {
    /// What a caller or a destination would notice.
    fn differs_from(&self, other: &Self) -> Vec<&'static str> {
        // Where both answer that there is no destination, it does not matter which one.
        let is_refused = |outcome: &Self| outcome.action == Action::Route && outcome.status.is_some();
        if is_refused(self) && is_refused(other) && self.status == other.status {
            return Vec::new();
        }
        let checks = [
            ("action", self.action != other.action),
            ("destination", self.destinations != other.destinations),
            ("status", self.status != other.status),
            ("location", self.location != other.location),
            ("rewrite", self.sent_as != other.sent_as),
            ("headers", self.headers != other.headers),
            ("timeout", self.timeout != other.timeout),
            ("retries", self.retries != other.retries),
            ("mirrors", self.mirrors != other.mirrors),
            ("faults", self.faults != other.faults),
            ("policy", self.policy != other.policy),
        ];
        checks.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// Asks for every destination of the split: what holds for one of them only is part of the outcome.
fn outcome(explainer: &Explainer<'_>, question: &Question) -> Outcome {
    let explanation = explainer.decision(&question.clone().with_roll(0));
    let mut out = Outcome::of(&explanation);
    for entry in explanation.split.iter().skip(1) {
        let other = explainer.decision(&question.clone().with_roll(entry.rolls.0));
        out.policy.extend(policy_of(&other));
    }
    out
}

impl Outcome {
    fn of(explanation: &Explanation) -> Self {
        let destinations = explanation.split.iter().map(|entry| {
            let subset = if entry.subset.is_empty() { String::new() } else { format!("{} of ", entry.subset) };
            format!("{} % {subset}{}:{}", entry.share * 100.0, entry.host, entry.port)
        });
        let mut destinations: Vec<_> = destinations.collect();
        // In which order they are written matters to the roll only.
        destinations.sort_unstable();
        Self {
            rule: explanation.rule.as_ref().map(ToString::to_string).unwrap_or_default(),
            route: explanation.route.clone().unwrap_or_default(),
            action: explanation.action,
            destinations,
            status: explanation.status,
            location: explanation.location.clone(),
            sent_as: explanation.upstream.as_ref().map(|upstream| format!("{}{}", upstream.authority, upstream.path)),
            headers: explanation.upstream.as_ref().map(|upstream| upstream.headers.clone()).unwrap_or_default(),
            timeout: explanation.timeout.clone(),
            retries: explanation.retries.as_ref().map(ToString::to_string),
            mirrors: explanation
                .mirrors
                .iter()
                .map(|mirror| format!("{} % {}", mirror.percent, mirror.cluster))
                .collect(),
            faults: explanation.faults.clone(),
            policy: policy_of(explanation),
        }
    }
}

fn policy_of(explanation: &Explanation) -> Vec<String> {
    let Some(destination) = &explanation.destination else { return Vec::new() };
    let cluster = &destination.cluster;
    let endpoints = destination.endpoints.iter().map(|endpoint| format!("{cluster} at {}", endpoint.address));
    destination.policy.iter().map(|line| format!("{cluster} {}: {}", line.name, line.value)).chain(endpoints).collect()
}
