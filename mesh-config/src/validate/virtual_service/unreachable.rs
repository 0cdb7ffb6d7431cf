//! Rules and matches that an earlier one leaves nothing for.

use std::collections::{BTreeMap, HashMap};

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
        let text = |matches: &HttpMatchRequest| text_of(&HttpMatchRequest { name: String::new(), ..matches.clone() });
        let matches = route.matches.iter().map(|matches| (matches.name.as_str(), text(matches)));
        Self { name: &route.name, matches: matches.collect() }
    }

    fn of_tls(route: &'a TlsRoute) -> Self {
        Self { name: "", matches: route.matches.iter().map(|matches| ("", text_of(matches))).collect() }
    }

    fn of_tcp(route: &'a TcpRoute) -> Self {
        Self { name: "", matches: route.matches.iter().map(|matches| ("", text_of(matches))).collect() }
    }
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

/// A match on a prefix that an earlier, shorter prefix takes whole.
fn check_prefixes(cx: &mut Checker<'_>, at: &At<'_>, routes: &[HttpRoute]) {
    let mut earlier: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    for (r, route) in routes.iter().enumerate() {
        for (m, matches) in route.matches.iter().enumerate() {
            let Some(StringMatch::Prefix(prefix)) = &matches.uri else { continue };
            let shorter = prefix.char_indices().map(|(end, _)| &prefix[..end]).chain([prefix.as_str()]);
            let candidates = shorter.filter_map(|prefix| earlier.get(prefix)).flatten();
            let covering = candidates
                .filter(|(r, m)| covers(&routes[*r].matches[*m], matches))
                .filter(|(r, m)| !is_same(&routes[*r].matches[*m], matches))
                .min();
            if let Some((er, em)) = covering {
                let by = &routes[*er].matches[*em];
                let Some(StringMatch::Prefix(by_prefix)) = &by.uri else { continue };
                let message = format!(
                    "virtualService rule {} match {} of prefix {prefix} is not used (duplicate/overlapping match in rule {} \
                     of prefix {by_prefix} on {})",
                    title(&route.name, r),
                    title(&matches.name, m),
                    title(&routes[*er].name, *er),
                    title(&by.name, *em),
                );
                let finding = Diagnostic::info(Code::INEFFECTIVE_MATCH, message);
                cx.push(&at.index(r).field("match").index(m), finding);
            }
            earlier.entry(prefix).or_default().push((r, m));
        }
    }
}

/// Whether a match has one of these findings because of an earlier one.
pub(crate) fn is_reported_as_covered(earlier: &HttpMatchRequest, later: &HttpMatchRequest) -> bool {
    let has_longer_prefix = match (&earlier.uri, &later.uri) {
        (Some(StringMatch::Prefix(earlier)), Some(StringMatch::Prefix(later))) => later.starts_with(earlier.as_str()),
        _ => false,
    };
    (has_longer_prefix && covers(earlier, later)) || is_same(earlier, later)
}

/// Equal matches have a finding of their own.
fn is_same(a: &HttpMatchRequest, b: &HttpMatchRequest) -> bool {
    let without_name = |matches: &HttpMatchRequest| HttpMatchRequest { name: String::new(), ..matches.clone() };
    without_name(a) == without_name(b)
}

/// Whether the other conditions of a match ask for no more than those of a later one.
fn covers(earlier: &HttpMatchRequest, later: &HttpMatchRequest) -> bool {
    let exact = |value: &Option<StringMatch>, default: &str| match value {
        Some(StringMatch::Exact(text)) => text.clone(),
        Some(_) => String::new(),
        None => default.to_owned(),
    };
    earlier.port == later.port
        && earlier.ignore_uri_case == later.ignore_uri_case
        && earlier.gateways == later.gateways
        && earlier.source_labels == later.source_labels
        && earlier.source_namespace == later.source_namespace
        && earlier.scheme == later.scheme
        && exact(&earlier.method, "GET").starts_with(&exact(&later.method, "GET"))
        && exact(&earlier.authority, "").starts_with(&exact(&later.authority, ""))
        && values_cover(&earlier.headers, &later.headers)
        && values_cover(&earlier.query_params, &later.query_params)
        && values_cover(&earlier.without_headers, &later.without_headers)
}

fn values_cover(earlier: &BTreeMap<String, StringMatch>, later: &BTreeMap<String, StringMatch>) -> bool {
    let text = |value: &StringMatch| match value {
        StringMatch::Exact(text) => text.clone(),
        _ => String::new(),
    };
    earlier.len() == later.len()
        && earlier
            .iter()
            .all(|(name, value)| later.get(name).is_some_and(|later| text(value).starts_with(&text(later))))
}
