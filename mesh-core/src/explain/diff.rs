//! Which requests two configurations decide differently.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::alike::alike;
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

/// What was found to differ, and how far that goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Differences {
    /// The differences.
    pub differences: Vec<Difference>,
    /// How many requests were tried.
    pub requests: usize,
    /// How many routes the newer configuration has.
    pub routes: usize,
    /// Routes of either configuration for which no request was found that they take: what they do was not compared.
    pub not_reached: Vec<String>,
}

/// How many requests are compared in full for the same two rules.
const COMPARED_PER_PAIR: usize = 64;

/// The differences between two configurations in the mesh, over requests that are derived from the conditions of both.
///
/// For each route these are a request that it takes, requests that fail one of its conditions, or fulfil it in another
/// way, and for each two routes of a virtual host one that both would take. What both configurations decide alike for
/// all of these may still differ for a request that none of the conditions hints at, such as one that fits a regular
/// expression in an unusual way.
pub fn diff(old: &Explainer<'_>, new: &Explainer<'_>) -> Differences {
    Comparison::new(old, new).of(witness::of_mesh)
}

/// As [`diff`], at the gateway servers that the two explainers' sites open.
pub fn diff_at_gateways(old: &Explainer<'_>, new: &Explainer<'_>) -> Differences {
    Comparison::new(old, new).of(witness::of_gateways)
}

impl Differences {
    /// Takes in what was found elsewhere; the same difference counts once.
    pub fn extend(&mut self, other: Self) {
        self.requests += other.requests;
        self.routes += other.routes;
        self.not_reached.extend(other.not_reached);
        self.not_reached.sort_unstable();
        self.not_reached.dedup();
        for difference in other.differences {
            if !self.differences.contains(&difference) {
                self.differences.push(difference);
            }
        }
    }
}

struct Comparison<'c, 'a> {
    old: &'c Explainer<'a>,
    new: &'c Explainer<'a>,
    found: Vec<Difference>,
    /// The place in `found` by the rules on both sides and what differs.
    kinds: HashMap<(String, String, Vec<&'static str>), usize>,
    /// How many requests were compared in full for two routes; `None`, where the two do the same to all.
    compared: HashMap<(Option<RouteId>, Option<RouteId>), Option<usize>>,
    same_paths: bool,
    requests: usize,
}

impl<'c, 'a> Comparison<'c, 'a> {
    fn new(old: &'c Explainer<'a>, new: &'c Explainer<'a>) -> Self {
        Self {
            old,
            new,
            found: Vec::new(),
            kinds: HashMap::new(),
            compared: HashMap::new(),
            same_paths: old.snapshot.path_normalization() == new.snapshot.path_normalization(),
            requests: 0,
        }
    }

    fn of(mut self, witnesses: impl Fn(&Explainer<'a>) -> Witnesses) -> Differences {
        let mut asked = HashSet::new();
        let [before, after] = [witnesses(self.old), witnesses(self.new)];
        let mut fresh = |question: &Question| asked.insert(question.key());
        for question in before.always.into_iter().chain(after.always).filter(&mut fresh) {
            self.compare(&question, usize::MAX);
        }
        for question in before.of_routes.into_iter().chain(after.of_routes).filter(&mut fresh) {
            self.compare(&question, COMPARED_PER_PAIR);
        }
        // That two routes overlap matters only where other ones decide than before.
        for question in before.of_pairs.into_iter().chain(after.of_pairs) {
            self.compare(&question, 1);
        }
        let mut not_reached = before.not_reached;
        not_reached.extend(after.not_reached);
        not_reached.sort_unstable();
        not_reached.dedup();
        Differences { differences: self.found, requests: self.requests, routes: after.routes, not_reached }
    }

    fn compare(&mut self, question: &Question, at_most: usize) {
        self.requests += 1;
        let pair = (self.old.chosen(question), self.new.chosen(question));
        let (old, new, same_paths) = (self.old.snapshot, self.new.snapshot, self.same_paths);
        let compared = self.compared.entry(pair).or_insert_with(|| match pair {
            (Some(was), Some(is)) if same_paths && alike((old, old.rule(was)), (new, new.rule(is))) => None,
            _ => Some(0),
        });
        match compared {
            Some(count) if *count < at_most => *count += 1,
            _ => return,
        }
        let (before, after) = (Outcome::of(self.old, question, pair.0), Outcome::of(self.new, question, pair.1));
        let what = before.differs_from(&after);
        if what.is_empty() {
            return;
        }
        match self.kinds.entry((before.rule.clone(), after.rule.clone(), what.clone())) {
            Entry::Occupied(known) => self.found[*known.get()].others += 1,
            Entry::Vacant(kind) => {
                kind.insert(self.found.len());
                self.found.push(Difference {
                    request: question.describe(),
                    port: question.port(),
                    gateway: question.at_gateway(),
                    old: before,
                    new: after,
                    what,
                    others: 0,
                });
            }
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
    fn of(explainer: &Explainer<'_>, question: &Question, chosen: Option<RouteId>) -> Self {
        let first = explainer.decision(&question.clone().with_roll(0));
        let rolls = first.split.iter().filter(|entry| entry.rolls.0 < entry.rolls.1 && !entry.drawn);
        let others: Vec<_> =
            rolls.map(|entry| explainer.decision(&question.clone().with_roll(entry.rolls.0))).collect();
        let all: Vec<_> = std::iter::once(&first).chain(&others).collect();
        Self {
            rule: first.rule.as_ref().map(ToString::to_string).unwrap_or_default(),
            route: first.route.clone().unwrap_or_default(),
            action: first.action,
            aspects: aspects(&first, &all, mirrors(explainer, chosen)),
        }
    }
}

/// All aspects, each time in the same order. `all` has an explanation for each destination of the split.
fn aspects(first: &Explanation, all: &[&Explanation], mirrors: Vec<String>) -> Vec<Aspect> {
    let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
    // What the mesh answers because of a destination stands with the destination, and because of a fault with that.
    let status = first.status.filter(|_| first.action != Action::Route);
    let retries = first.retries.as_ref().map(|retries| {
        let elsewhere = if retries.elsewhere { "elsewhere" } else { "also where it was tried before" };
        let remote = if retries.remote { ", in other localities too" } else { "" };
        format!("{retries}, {elsewhere}{remote}, after pauses of {}", retries.pauses)
    });
    // Nobody notices what would be done to a request that goes nowhere.
    let sent: Vec<_> = all.iter().copied().filter(|one| !one.aborted && refused(one).is_none()).collect();
    let if_sent = |value: Option<String>| value.filter(|_| !sent.is_empty());
    let list = [
        ("action", vec![format!("{:?}", first.action).to_lowercase()]),
        ("status", one(status.map(|status| format!("{status} {}", first.flags).trim_end().to_owned()))),
        ("location", one(first.location.clone())),
        ("body", one(first.body.clone())),
        ("destination", destinations(all)),
        ("rewrite", per_destination(&sent, rewrite)),
        ("request headers", per_destination(&sent, |explanation| explanation.request_headers.clone())),
        ("response headers", per_destination(all, |explanation| explanation.response_headers.clone())),
        ("hash", per_destination(&sent, |explanation| explanation.hashed_by.clone())),
        ("cors", first.cors.clone()),
        ("timeout", one(if_sent(first.timeout.clone()))),
        ("retries", one(if_sent(retries))),
        ("mirrors", if sent.is_empty() { Vec::new() } else { mirrors }),
        ("faults", first.faults.clone()),
        (
            "policy",
            per_destination(&sent, |explanation| explanation.destination.as_ref().map(policy_of).unwrap_or_default()),
        ),
    ];
    list.into_iter().map(|(name, lines)| Aspect { name, lines }).collect()
}

/// Shares by destination, whatever the order they are written in, which matters to the roll only. Where requests are
/// answered since there is nowhere to send them, it does not matter where they do not go.
fn destinations(all: &[&Explanation]) -> Vec<String> {
    let mut shares: Vec<(String, f64)> = Vec::new();
    for explanation in all.iter().filter(|explanation| !explanation.aborted) {
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
    let name = |explanation: &Explanation| explanation.split.iter().find(|entry| entry.drawn).map(name_of);
    let mut named: Vec<_> = all.iter().map(|explanation| name(explanation).unwrap_or_default()).zip(each).collect();
    // In which order they are written matters to the roll only.
    named.sort();
    let lines = named.into_iter().map(|(name, lines)| lines.into_iter().map(move |line| format!("to {name}: {line}")));
    lines.flatten().collect()
}

/// Authority and path that a destination gets, and the expression behind it, which other paths may fit.
fn rewrite(explanation: &Explanation) -> Vec<String> {
    let upstream = explanation.upstream.as_ref();
    let target = upstream.map(|upstream| format!("{}{}", upstream.authority, upstream.path));
    let by = explanation.rewrite_by.as_ref().map(|by| format!("what matches {by}"));
    target.into_iter().chain(by).collect()
}

fn policy_of(destination: &Destination) -> Vec<String> {
    let endpoints = destination
        .endpoints
        .iter()
        .map(|endpoint| format!("endpoint {}, weight {}", endpoint.address, endpoint.weight));
    let lines = destination.policy.iter().map(|line| format!("{}: {}", line.name, line.value));
    let source = std::iter::once(format!("endpoints: {}", destination.source));
    lines.chain(source).chain(sorted(endpoints.collect())).collect()
}

/// Where copies go, and what counts there; their order means nothing.
fn mirrors(explainer: &Explainer<'_>, chosen: Option<RouteId>) -> Vec<String> {
    let Some(route) = chosen else { return Vec::new() };
    let mirrors = explainer.snapshot.rule(route).mirrors.iter().filter(|mirror| mirror.cluster.id.is_some());
    let lines = mirrors.map(|mirror| {
        let destination = explainer.destination(&mirror.cluster);
        let percent = mirror.share.as_percent();
        format!("{percent} % {} ({})", mirror.cluster.name, policy_of(&destination).join("; "))
    });
    sorted(lines.collect())
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}
