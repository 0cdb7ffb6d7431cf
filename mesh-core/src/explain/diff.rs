//! Which requests two configurations decide differently.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::witness::{self, Witnesses};
use super::{Action, Destination, Explainer, Explanation, Question, Request};
use crate::Failure;
use crate::route::RouteId;

/// A request that goes elsewhere, and how many others do so by the same two rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The request.
    pub request: Request,
    /// The listener port.
    pub port: u16,
    /// Whether it is asked at a gateway.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gateway: bool,
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
    /// All that a caller or a destination could notice.
    pub aspects: Vec<Aspect>,
}

/// One side of an outcome.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Aspect {
    /// What it is about: `destination`, `timeout`, `response headers`.
    pub name: &'static str,
    /// What holds, a line for each part; empty where nothing does.
    pub lines: Vec<String>,
}

/// How many requests are compared in full for the same two rules.
const COMPARED_PER_PAIR: usize = 64;

/// The differences between two configurations, over requests that are derived from the conditions of both: those for
/// the mesh and those for the gateways that the two explainers' sites serve.
///
/// For each route these are a request that it takes, requests that fail one of its conditions, or fulfil it in another
/// way, and for each two routes of a virtual host one that both would take. What both configurations decide alike for
/// all of these may still differ for a request that none of the conditions hints at, such as one that fits a regular
/// expression in an unusual way.
pub fn diff(old: &Explainer<'_>, new: &Explainer<'_>) -> Vec<Difference> {
    Comparison::new(old, new).of(|explainer| witness::of_mesh(explainer.snapshot).join(gateways(explainer)))
}

/// As [`diff`], for gateways only.
pub fn diff_at_gateways(old: &Explainer<'_>, new: &Explainer<'_>) -> Vec<Difference> {
    Comparison::new(old, new).of(gateways)
}

fn gateways(explainer: &Explainer<'_>) -> Witnesses {
    witness::of_gateways(explainer.snapshot)
}

struct Comparison<'c, 'a> {
    old: &'c Explainer<'a>,
    new: &'c Explainer<'a>,
    found: Vec<Difference>,
    /// How many requests were compared in full for two routes.
    compared: HashMap<(Option<RouteId>, Option<RouteId>), usize>,
}

impl<'c, 'a> Comparison<'c, 'a> {
    fn new(old: &'c Explainer<'a>, new: &'c Explainer<'a>) -> Self {
        Self { old, new, found: Vec::new(), compared: HashMap::new() }
    }

    fn of(mut self, witnesses: impl Fn(&Explainer<'a>) -> Witnesses) -> Vec<Difference> {
        let mut asked = HashSet::new();
        let [before, after] = [witnesses(self.old), witnesses(self.new)];
        for question in before.of_routes.into_iter().chain(after.of_routes) {
            if asked.insert(format!("{question:?}")) {
                self.compare(&question, COMPARED_PER_PAIR);
            }
        }
        // That two routes overlap matters only where other ones decide than before.
        for question in before.of_pairs.into_iter().chain(after.of_pairs) {
            self.compare(&question, 1);
        }
        self.found
    }

    fn compare(&mut self, question: &Question, at_most: usize) {
        let pair = (self.old.chosen(question), self.new.chosen(question));
        let compared = self.compared.entry(pair).or_default();
        if *compared >= at_most {
            return;
        }
        *compared += 1;
        let (before, after) = (Outcome::of(self.old, question), Outcome::of(self.new, question));
        let what = before.differs_from(&after);
        if what.is_empty() {
            return;
        }
        let alike =
            |had: &&mut Difference| had.old.rule == before.rule && had.new.rule == after.rule && had.what == what;
        match self.found.iter_mut().find(alike) {
            Some(had) => had.others += 1,
            None => self.found.push(Difference {
                request: question.describe(),
                port: question.port(),
                gateway: question.at_gateway(),
                old: before,
                new: after,
                what,
                others: 0,
            }),
        }
    }
}

impl Outcome {
    /// The lines of an aspect.
    pub fn lines(&self, name: &str) -> &[String] {
        self.aspects.iter().find(|aspect| aspect.name == name).map_or(&[], |aspect| &aspect.lines)
    }

    /// What a caller or a destination would notice.
    fn differs_from(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.aspects.iter().zip(&other.aspects);
        pairs.filter(|(own, others)| own.lines != others.lines).map(|(own, _)| own.name).collect()
    }

    /// Asks for every destination of the split: what holds for one of them only is part of the outcome.
    fn of(explainer: &Explainer<'_>, question: &Question) -> Self {
        let first = explainer.decision(&question.clone().with_roll(0));
        let rolls = first.split.iter().filter(|entry| entry.rolls.0 < entry.rolls.1 && !entry.drawn);
        let others: Vec<_> =
            rolls.map(|entry| explainer.decision(&question.clone().with_roll(entry.rolls.0))).collect();
        let all: Vec<_> = std::iter::once(&first).chain(&others).collect();
        Self {
            rule: first.rule.as_ref().map(ToString::to_string).unwrap_or_default(),
            route: first.route.clone().unwrap_or_default(),
            action: first.action,
            aspects: aspects(&first, &all),
        }
    }
}

/// All aspects, each time in the same order. `all` has an explanation for each destination of the split.
fn aspects(first: &Explanation, all: &[&Explanation]) -> Vec<Aspect> {
    let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
    // What the mesh answers because of a destination stands with the destination, and because of a fault with that.
    let status = first.status.filter(|_| first.action != Action::Route);
    let retries = first.retries.as_ref().map(|retries| {
        let elsewhere = if retries.elsewhere { "elsewhere" } else { "also where it was tried before" };
        format!("{retries}, {elsewhere}, after pauses of {}", retries.pauses)
    });
    // Nobody notices what would be done to a request that goes nowhere.
    let sent: Vec<_> = all.iter().copied().filter(|explanation| refused(explanation).is_none()).collect();
    let if_sent = |value: Option<String>| value.filter(|_| !sent.is_empty());
    let mirrors = first.mirrors.iter().map(|mirror| format!("{} % {}", mirror.percent, mirror.cluster));
    let list = [
        ("action", vec![format!("{:?}", first.action).to_lowercase()]),
        ("status", one(status.map(|status| format!("{status} {}", first.flags).trim_end().to_owned()))),
        ("location", one(first.location.clone())),
        ("body", one(first.body.clone())),
        ("destination", destinations(all)),
        ("rewrite", per_destination(&sent, rewrite)),
        ("request headers", per_destination(&sent, |explanation| explanation.request_headers.clone())),
        ("response headers", per_destination(all, |explanation| explanation.response_headers.clone())),
        ("cors", first.cors.clone()),
        ("timeout", one(if_sent(first.timeout.clone()))),
        ("retries", one(if_sent(retries))),
        ("mirrors", mirrors.collect()),
        ("faults", first.faults.clone()),
        ("policy", sorted(sent.iter().flat_map(|explanation| policy_of(explanation)).collect())),
    ];
    list.into_iter().map(|(name, lines)| Aspect { name, lines }).collect()
}

/// Shares by destination, whatever the order they are written in, which matters to the roll only. Where requests are
/// answered since there is nowhere to send them, it does not matter where they do not go.
fn destinations(all: &[&Explanation]) -> Vec<String> {
    let mut shares: Vec<(String, f64)> = Vec::new();
    for explanation in all {
        let Some(entry) = explanation.split.iter().find(|entry| entry.drawn) else { continue };
        let name = match refused(explanation) {
            Some(failure) => format!("answered with {} {}", failure.http_status().as_u16(), failure.flags()),
            None => name_of(entry),
        };
        match shares.iter_mut().find(|(known, _)| *known == name) {
            Some((_, share)) => *share += entry.share,
            None => shares.push((name, entry.share)),
        }
    }
    sorted(shares.into_iter().map(|(name, share)| format!("{} % {name}", rounded(share * 100.0))).collect())
}

/// What every request to a destination is answered with, where there is nowhere to send it.
fn refused(explanation: &Explanation) -> Option<Failure> {
    explanation.destination.as_ref().and_then(Destination::failure)
}

/// Sums of shares come out as 30.000000000000004.
fn rounded(percent: f64) -> f64 {
    (percent * 1e6).round() / 1e6
}

fn name_of(entry: &super::SplitEntry) -> String {
    let subset = if entry.subset.is_empty() { String::new() } else { format!("{} of ", entry.subset) };
    format!("{subset}{}:{}", entry.host, entry.port)
}

/// Lines that hold for all destinations alike, else each with its destination.
fn per_destination(all: &[&Explanation], lines: impl Fn(&Explanation) -> Vec<String>) -> Vec<String> {
    let each: Vec<_> = all.iter().map(|explanation| lines(explanation)).collect();
    if each.windows(2).all(|pair| pair[0] == pair[1]) {
        return each.into_iter().next().unwrap_or_default();
    }
    let mut out = Vec::new();
    for (explanation, lines) in all.iter().zip(each) {
        let entry = explanation.split.iter().find(|entry| entry.drawn);
        let name = entry.map(name_of).unwrap_or_default();
        out.extend(lines.into_iter().map(|line| format!("to {name}: {line}")));
    }
    out
}

/// Authority and path that a destination gets, and the expression behind it, which other paths may fit.
fn rewrite(explanation: &Explanation) -> Vec<String> {
    let upstream = explanation.upstream.as_ref();
    let target = upstream.map(|upstream| format!("{}{}", upstream.authority, upstream.path));
    let by = explanation.rewrite_by.as_ref().map(|by| format!("what matches {by}"));
    target.into_iter().chain(by).collect()
}

fn policy_of(explanation: &Explanation) -> Vec<String> {
    let Some(destination) = &explanation.destination else { return Vec::new() };
    let cluster = &destination.cluster;
    let endpoints = destination
        .endpoints
        .iter()
        .map(|endpoint| format!("{cluster} at {}, weight {}", endpoint.address, endpoint.weight));
    let lines = destination.policy.iter().map(|line| format!("{cluster} {}: {}", line.name, line.value));
    lines.chain(endpoints).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}
