//! Weights that mean something else than they seem to.

use std::collections::HashMap;

use super::rules::{HttpRule, each_http_rule};
use super::{Analyzer, CLUSTER_DOMAIN, Context};
use crate::api::VirtualService;
use crate::api::destination_rule::TrafficPolicy;
use crate::api::virtual_service::HttpRouteDestination;
use crate::diagnostic::{Code, Diagnostic, FieldPath, Report};
use crate::locate::Tree;
use crate::resource::Object;
use crate::validate::{At, Checker};
use crate::value::host::resolve_short_name;

/// `MESH0302`: a single destination gets everything. `MESH0307`: a hash of the caller does not decide between weighted
/// destinations. `MESH0308`: weights are shares, and need not be percents.
pub(super) struct Weights;

impl Analyzer for Weights {
    fn name(&self) -> &'static str {
        "mesh.Weights"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::SINGLE_WEIGHT, Code::STICKY_WEIGHTS, Code::WEIGHT_SUM]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let mut hashed: HashMap<String, String> = HashMap::new();
        for rule in set.destination_rules() {
            let host = resolve_short_name(&rule.spec.host, &rule.meta.namespace, CLUSTER_DOMAIN);
            let policies = rule
                .spec
                .traffic_policy
                .iter()
                .chain(rule.spec.subsets.iter().filter_map(|s| s.traffic_policy.as_ref()));
            if policies.into_iter().any(has_hash) {
                hashed.entry(host).or_insert_with(|| rule.meta.namespaced_name().to_string());
            }
        }
        let mut text = Text::default();
        each_http_rule(set, out, |cx, at, rule| match rule.route.route.as_slice() {
            [] => {}
            [only] => check_single(cx, at, rule, only, &mut text),
            several => {
                check_sum(cx, at, several);
                check_hash(cx, at, rule, several, &hashed);
            }
        });
    }
}

fn has_hash(policy: &TrafficPolicy) -> bool {
    policy.load_balancer.as_ref().is_some_and(|balancer| balancer.consistent_hash.is_some())
}

fn check_single<'a>(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    rule: HttpRule<'a>,
    only: &HttpRouteDestination,
    text: &mut Text<'a>,
) {
    let at = at.field("route");
    let at = at.index(0);
    let at = at.field("weight");
    let is_odd = match only.weight {
        0 => text.says_zero(rule.service, &at.path()),
        weight => weight != 100,
    };
    if !is_odd {
        return;
    }
    let message =
        format!("weight {} has no effect: the rule has one destination, which gets every request", only.weight);
    let help = match only.weight {
        0 => "to send it nothing, leave the destination out and give another one".to_owned(),
        weight => format!("list the destination that is to get the other {}", (100 - i64::from(weight)).max(0)),
    };
    let host = only.destination.as_ref().map_or("", |to| to.host.as_str());
    let finding = Diagnostic::warning(Code::SINGLE_WEIGHT, message)
        .effect(format!("100 % of the rule's requests go to {host}"))
        .help(help);
    cx.push(&at, finding);
}

/// The text of the VirtualService that was asked about last, read once for all its rules.
#[derive(Default)]
struct Text<'a> {
    service: Option<&'a Object<VirtualService>>,
    /// None where the text has no weight of 0.
    tree: Option<Tree>,
}

impl<'a> Text<'a> {
    /// A weight of 0 and none at all read alike; only the text tells.
    fn says_zero(&mut self, service: &'a Object<VirtualService>, path: &FieldPath) -> bool {
        if !self.service.is_some_and(|known| std::ptr::eq(known, service)) {
            self.service = Some(service);
            self.tree = tree_with_zero(service);
        }
        self.tree.as_ref().is_some_and(|tree| tree.at(path).is_some())
    }
}

fn tree_with_zero(service: &Object<VirtualService>) -> Option<Tree> {
    let text = &service.origin.source()?.text;
    let is_zero =
        |(at, word): (usize, &str)| text[at + word.len()..].trim_start_matches(['"', '\'', ' ', ':']).starts_with('0');
    text.match_indices("weight").any(is_zero).then(|| Tree::parse(text).ok()).flatten()
}

fn check_sum(cx: &mut Checker<'_>, at: &At<'_>, several: &[HttpRouteDestination]) {
    let sum: i64 = several.iter().map(|to| i64::from(to.weight)).sum();
    // Small numbers are shares, and said to be so by being small.
    if sum == 100 || !(50..=200).contains(&sum) || several.iter().any(|to| to.weight < 0) {
        return;
    }
    let shares: Vec<_> = several
        .iter()
        .filter_map(|to| Some((to.destination.as_ref()?, i64::from(to.weight))))
        .map(|(to, weight)| {
            let tenths = (weight * 1000 + sum / 2) / sum;
            let name = if to.subset.is_empty() { to.host.clone() } else { format!("{} {}", to.host, to.subset) };
            format!("{name} {}.{} %", tenths / 10, tenths % 10)
        })
        .collect();
    let finding = Diagnostic::info(Code::WEIGHT_SUM, format!("the weights add up to {sum}; they are shares of that"))
        .effect(shares.join(", "))
        .help("let them add up to 100 if they are percents");
    cx.push(&at.field("route"), finding);
}

fn check_hash(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    rule: HttpRule<'_>,
    several: &[HttpRouteDestination],
    hashed: &HashMap<String, String>,
) {
    let namespace = &rule.service.meta.namespace;
    let chosen = several.iter().filter(|to| to.weight > 0).filter_map(|to| to.destination.as_ref());
    let hosts: Vec<_> = chosen.map(|to| resolve_short_name(&to.host, namespace, CLUSTER_DOMAIN)).collect();
    let Some(found) = hosts.iter().find_map(|host| hashed.get(host)).filter(|_| hosts.len() > 1) else { return };
    let message = format!(
        "consistentHash of DestinationRule {found} does not keep a caller with one destination: the weights are drawn for \
         each request"
    );
    let finding = Diagnostic::info(Code::STICKY_WEIGHTS, message)
        .effect("the same header or cookie is answered by each of the destinations in turn; within one it is always the same endpoint")
        .help("to keep callers with a version, match a header or cookie in rules of their own");
    cx.push(&at.field("route"), finding);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places, rules};
    use super::*;

    const NONE: [&str; 0] = [];

    fn routing(destinations: &[(&str, &str)]) -> String {
        let list: Vec<_> = destinations
            .iter()
            .map(|(subset, weight)| format!("{{destination: {{host: r, subset: {subset}}}{weight}}}"))
            .collect();
        rules(&format!("{{route: [{}]}}", list.join(", ")))
    }

    #[test]
    fn a_single_destination_gets_everything_whatever_its_weight() {
        for weight in [", weight: 0", ", weight: 20", ", \"weight\": 0"] {
            let found = places(&Weights, &routing(&[("v1", weight)]));
            assert_eq!(found, ["MESH0302 warning spec.http[0].route[0].weight"], "{weight}");
        }
        for weight in ["", ", weight: 100"] {
            assert_eq!(places(&Weights, &routing(&[("v1", weight)])), NONE, "{weight}");
        }
    }

    #[test]
    fn sums_near_a_hundred_are_worth_knowing() {
        let sum =
            |one: &str, two: &str| routing(&[("v1", &format!(", weight: {one}")), ("v2", &format!(", weight: {two}"))]);
        let finding = only(&Weights, &sum("80", "10"));
        assert_eq!(finding.effect.as_deref(), Some("r v1 88.9 %, r v2 11.1 %"));
        for (one, two) in [("90", "10"), ("9", "1"), ("1", "1"), ("900", "100")] {
            assert_eq!(places(&Weights, &sum(one, two)), NONE, "{one} {two}");
        }
    }

    #[test]
    fn a_hash_does_not_make_weights_sticky() {
        let rule = object(
            "DestinationRule",
            "r",
            "{host: r, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x}}}, subsets: [{name: v1}, {name: v2}]}",
        );
        let split = routing(&[("v1", ", weight: 50"), ("v2", ", weight: 50")]);
        assert_eq!(places(&Weights, &format!("{split}{rule}")), ["MESH0307 info spec.http[0].route"]);
        assert_eq!(places(&Weights, &split), NONE);
        let whole = routing(&[("v1", ", weight: 100"), ("v2", ", weight: 0")]);
        assert_eq!(places(&Weights, &format!("{whole}{rule}")), NONE);
    }
}
