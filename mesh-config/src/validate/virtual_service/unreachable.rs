//! Rules and matches that an earlier one leaves nothing for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::super::checker::{At, Checker};
use crate::api::VirtualService;
use crate::api::virtual_service::{HttpMatchRequest, HttpRoute, TcpRoute, TlsRoute};
use crate::diagnostic::{Code, Diagnostic};
use crate::value::StringMatch;

pub(super) fn check(cx: &mut Checker<'_>, spec: &At<'_>, service: &VirtualService) {
    let http: Vec<_> = service.http.iter().map(Rule::of_http).collect();
    check_rules(cx, &spec.field("http"), &http);
    check_prefixes(cx, &spec.field("http"), &service.http);
    let tls: Vec<_> = service.tls.iter().map(Rule::of_tls).collect();
    check_rules(cx, &spec.field("tls"), &tls);
    let tcp: Vec<_> = service.tcp.iter().map(Rule::of_tcp).collect();
    check_rules(cx, &spec.field("tcp"), &tcp);
}

/// A rule as far as it matters here: its name and, for each match, a name and a text that equal matches share.
struct Rule<'a> {
    name: &'a str,
    matches: Vec<(&'a str, String)>,
}

impl<'a> Rule<'a> {
    fn of_http(route: &'a HttpRoute) -> Self {
        let matches = route.matches.iter().map(|matches| (matches.name.as_str(), text_without_name(matches)));
        Self { name: &route.name, matches: matches.collect() }
    }

    fn of_tls(route: &'a TlsRoute) -> Self {
        Self { name: "", matches: route.matches.iter().map(|matches| ("", text_of(matches))).collect() }
    }

    fn of_tcp(route: &'a TcpRoute) -> Self {
        Self { name: "", matches: route.matches.iter().map(|matches| ("", text_of(matches))).collect() }
    }
}

fn text_without_name(matches: &HttpMatchRequest) -> String {
    text_of(&HttpMatchRequest { name: String::new(), ..matches.clone() })
}

fn text_of(matches: &impl Serialize) -> String {
    serde_json::to_string(matches).unwrap_or_default()
}

fn title(name: &str, index: usize) -> String {
    if name.is_empty() { format!("#{index}") } else { format!("{name:?}") }
}

fn check_rules(cx: &mut Checker<'_>, at: &At<'_>, rules: &[Rule<'_>]) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut has_catch_all = false;
    for (index, rule) in rules.iter().enumerate() {
        let mut unused = |reason: &str| {
            let message = format!("virtualService rule {} not used ({reason})", title(rule.name, index));
            cx.push(&at.index(index), Diagnostic::warning(Code::UNREACHABLE_RULE, message));
        };
        if rule.matches.is_empty() {
            if has_catch_all {
                unused("only the last rule can have no matches");
            }
            has_catch_all = true;
            continue;
        }
        if has_catch_all {
            unused("route without matches defined before");
            continue;
        }
        let mut repeated = 0;
        for (m, (name, text)) in rule.matches.iter().enumerate() {
            if let Some(earlier) = seen.get(text.as_str()) {
                repeated += 1;
                let (rule, matches) = (title(rule.name, index), title(name, m));
                let earlier = title(rules[*earlier].name, *earlier);
                let message = format!(
                    "virtualService rule {rule} match {matches} is not used (duplicate/overlapping match in rule {earlier})"
                );
                let finding = Diagnostic::info(Code::INEFFECTIVE_MATCH, message);
                cx.push(&at.index(index).field("match").index(m), finding);
            } else {
                seen.insert(text, index);
            }
        }
        if repeated == rule.matches.len() {
            let message =
                format!("virtualService rule {} not used (all matches used by prior rules)", title(rule.name, index));
            cx.push(&at.index(index), Diagnostic::warning(Code::UNREACHABLE_RULE, message));
        }
    }
}

/// Matches on a prefix that earlier, shorter prefixes take whole: a finding for each pair, as Istio has it.
fn check_prefixes(cx: &mut Checker<'_>, at: &At<'_>, routes: &[HttpRoute]) {
    let mut earlier: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    // How long they are, so that of a very long prefix few parts are looked up.
    let mut lengths: BTreeSet<usize> = BTreeSet::new();
    let mut seen: HashSet<String> = HashSet::new();
    let mut findings = 0;
    // What stands behind a rule that takes everything has a finding of its own.
    let reached = routes.iter().position(|route| route.matches.is_empty()).unwrap_or(routes.len());
    for (r, route) in routes[..reached].iter().enumerate() {
        for (m, matches) in route.matches.iter().enumerate() {
            let Some(StringMatch::Prefix(prefix)) = &matches.uri else { continue };
            // The empty prefix is left out by Istio, and equal matches have a finding of their own.
            if prefix.is_empty() || !seen.insert(text_without_name(matches)) {
                continue;
            }
            let shorter = lengths.range(..prefix.len()).filter_map(|length| prefix.get(..*length));
            let candidates = shorter.filter_map(|prefix| earlier.get(prefix)).flatten();
            for (er, em) in candidates.filter(|(r, m)| covers(&routes[*r].matches[*m], matches)) {
                if findings == MOST_FINDINGS {
                    let message = format!("there are more matches like these {MOST_FINDINGS}, from here on");
                    let finding = Diagnostic::info(Code::INEFFECTIVE_MATCH, message);
                    cx.push(&at.index(r).field("match").index(m), finding);
                    return;
                }
                findings += 1;
                let (by_route, by) = (&routes[*er], &routes[*er].matches[*em]);
                let Some(StringMatch::Prefix(by_prefix)) = &by.uri else { continue };
                let message = format!(
                    "virtualService rule {} match {} of prefix {prefix} is not used (duplicate/overlapping match in rule {} \
                     of prefix {by_prefix} on {})",
                    title(&route.name, r),
                    title(&matches.name, m),
                    title(&by.name, *em),
                    title(&by_route.name, *er),
                );
                let finding = Diagnostic::info(Code::INEFFECTIVE_MATCH, message);
                let finding = match covers_always(by, matches) {
                    true => finding,
                    false => {
                        finding.effect("the match is used where the conditions that Istio does not compare here differ")
                    }
                };
                cx.push(&at.index(r).field("match").index(m), finding);
            }
            earlier.entry(prefix).or_default().push((r, m));
            lengths.insert(prefix.len());
        }
    }
}

/// Of a long chain of prefixes, each of which covers all later ones, there would be more than anybody reads.
const MOST_FINDINGS: usize = 1000;

/// Whether a match has one of these findings because of an earlier one.
pub(crate) fn is_reported_as_covered(earlier: &HttpMatchRequest, later: &HttpMatchRequest) -> bool {
    let has_longer_prefix = match (&earlier.uri, &later.uri) {
        (Some(StringMatch::Prefix(earlier)), Some(StringMatch::Prefix(later))) => {
            !earlier.is_empty() && later.len() > earlier.len() && later.starts_with(earlier.as_str())
        }
        _ => false,
    };
    (has_longer_prefix && covers(earlier, later)) || text_without_name(earlier) == text_without_name(later)
}

/// Whether an earlier match asks for no more than a later one, in what Istio looks at.
fn covers(earlier: &HttpMatchRequest, later: &HttpMatchRequest) -> bool {
    earlier.port == later.port
        && value_covers(&or_get(earlier.method.as_ref()), &or_get(later.method.as_ref()))
        && value_covers(&value_text(earlier.authority.as_ref()), &value_text(later.authority.as_ref()))
        && values_cover(&earlier.headers, &later.headers)
        && values_cover(&earlier.query_params, &later.query_params)
        && values_cover(&earlier.without_headers, &later.without_headers)
}

/// Whether the conditions that Istio does not look at are the same, so that it is right.
fn covers_always(earlier: &HttpMatchRequest, later: &HttpMatchRequest) -> bool {
    earlier.ignore_uri_case == later.ignore_uri_case
        && earlier.gateways == later.gateways
        && earlier.source_labels == later.source_labels
        && earlier.source_namespace == later.source_namespace
        && earlier.scheme == later.scheme
        && earlier.method == later.method
        && earlier.authority == later.authority
        && earlier.headers == later.headers
        && earlier.query_params == later.query_params
        && earlier.without_headers == later.without_headers
}

/// A method that is not given, or a regex, counts as GET.
fn or_get(method: Option<&StringMatch>) -> String {
    match value_text(method) {
        text if text.is_empty() => "exact:GET".to_owned(),
        text => text,
    }
}

/// A value with its kind in front; empty for a regex and for none.
fn value_text(value: Option<&StringMatch>) -> String {
    match value {
        Some(StringMatch::Exact(text)) if !text.is_empty() => format!("exact:{text}"),
        Some(StringMatch::Prefix(text)) if !text.is_empty() => format!("prefix:{text}"),
        _ => String::new(),
    }
}

fn value_covers(earlier: &str, later: &str) -> bool {
    earlier.starts_with(later)
}

fn values_cover(earlier: &BTreeMap<String, StringMatch>, later: &BTreeMap<String, StringMatch>) -> bool {
    earlier.len() == later.len()
        && earlier.iter().all(|(name, value)| {
            let later = later.get(name);
            later.is_some_and(|later| value_covers(&value_text(Some(value)), &value_text(Some(later))))
        })
}
