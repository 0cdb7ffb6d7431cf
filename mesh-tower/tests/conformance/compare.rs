//! Compares what became of a request with what was recorded.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::caller::Outcome;
use crate::counts::service;
use crate::record::{Arrival, Headers, Observed, Step};
use crate::token;
use crate::wire::value_of;

/// What a comparison has to know beside the outcomes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// The configuration, whose words say which response headers it speaks of.
    pub(crate) config: &'a str,
    pub(crate) step: &'a Step,
    /// Fields in which the recording itself differs from run to run.
    pub(crate) varies: &'a [String],
}

impl Rules<'_> {
    fn varies(&self, field: &str) -> bool {
        self.varies.iter().any(|other| other == field)
    }

    /// By how many tries a request may differ: some where a timeout cuts off several pauses of random length.
    fn leeway(&self, expected: &Observed) -> u32 {
        let cut = |field: &String| field == "attempts" || field == "upstream.length";
        let random = self.step.unstable && self.step.varies.iter().any(cut);
        let long = expected.details.as_deref() == Some("response_timeout") && expected.attempts > Some(3);
        if random || long { 2 } else { 0 }
    }
}

/// Names of rules that nobody wrote.
const BUILT_IN: &[&str] = &["default", "allow_any", "block_all"];

/// How a single step differs from all that would be right; nothing if it does not.
pub(crate) fn single(rules: Rules<'_>, expected: &Observed, got: &Outcome) -> Option<String> {
    if !rules.step.unstable {
        return differences(rules, expected, got);
    }
    // Each of them is whole, so nothing of it is left out.
    let whole = Rules { varies: &[], ..rules };
    let mut first = None;
    for candidate in std::iter::once(expected).chain(&rules.step.alternatives) {
        let found = differences(whole, candidate, got)?;
        first.get_or_insert(found);
    }
    first
}

pub(crate) fn differences(rules: Rules<'_>, expected: &Observed, got: &Outcome) -> Option<String> {
    let mut found = Vec::new();
    note(rules, expected, got, &mut found);
    if expected.note.is_none() {
        way(rules, expected, got, &mut found);
        endpoints(rules, expected, got, &mut found);
        answer(rules, expected, got, &mut found);
    }
    (!found.is_empty()).then(|| found.join("; "))
}

/// A port without a listener: nothing may get through.
fn note(_: Rules<'_>, expected: &Observed, got: &Outcome, found: &mut Vec<String>) {
    let Some(note) = &expected.note else { return };
    let through = !got.seen.attempts.is_empty();
    let failed = got.status.is_none_or(|status| status >= 400);
    if note.contains("passed through") != through || (!through && !failed) {
        found.push(format!("recorded is {note:?}, here status {:?}, {} attempts", got.status, got.seen.attempts.len()));
    }
}

/// Which rule, which cluster, why.
fn way(rules: Rules<'_>, expected: &Observed, got: &Outcome, found: &mut Vec<String>) {
    let Some(info) = &got.info else { return };
    let route = expected.route.as_deref().unwrap_or_default();
    let built_in = |name: &str| name.is_empty() || BUILT_IN.contains(&name);
    if route != info.route && !(built_in(route) && built_in(&info.route)) {
        found.push(format!("route {:?}, recorded {route:?}", info.route));
    }
    if let Some(cluster) = &expected.cluster {
        let (own, name) = (info.cluster.as_deref().unwrap_or_default(), cluster.name());
        if own != name && !rules.varies("cluster.subset") {
            found.push(format!("cluster {own:?}, recorded {name:?}"));
        }
    }
    if let Some(attempts) =
        expected.attempts.filter(|attempts| attempts.abs_diff(info.attempts) > rules.leeway(expected))
        && !rules.varies("attempts")
    {
        found.push(format!("{} attempts, recorded {attempts}", info.attempts));
    }
    if let Some(flags) = &expected.flags
        && !rules.varies("flags")
        // What becomes of a connection after it was switched is not known yet.
        && expected.status != Some(101)
        && flag_set(flags) != flag_set(&info.flags)
    {
        found.push(format!("flags {}, recorded {flags}", info.flags));
    }
}

pub(crate) fn flag_set(flags: &str) -> BTreeSet<&str> {
    flags.split(',').filter(|flag| *flag != "-").collect()
}

/// What endpoints saw.
fn endpoints(rules: Rules<'_>, expected: &Observed, got: &Outcome, found: &mut Vec<String>) {
    let (recorded, own) = (expected.upstream.as_deref().unwrap_or_default(), &got.seen.attempts);
    let missing = u32::try_from(recorded.len().abs_diff(own.len())).unwrap_or(u32::MAX);
    if missing > rules.leeway(expected) {
        if !rules.varies("upstream.length") {
            found.push(format!("{} arrived, recorded {}", own.len(), recorded.len()));
        }
    } else {
        for (n, (recorded, own)) in recorded.iter().zip(own).enumerate() {
            if let Some(difference) = arrival(rules, recorded, own) {
                found.push(format!("arrival {}: {difference}", n + 1));
                break;
            }
        }
    }
    mirrored(rules, expected, got, found);
}

fn arrival(rules: Rules<'_>, recorded: &Arrival, own: &Arrival) -> Option<String> {
    let varies = |field: &str| rules.varies(&format!("upstream[].{field}"));
    let choice = match &recorded.one_of {
        Some(choice) => choice.contains(&own.endpoint),
        // A hash chooses by the address, which is another one here.
        None if rules.config.contains("consistentHash") => service(&own.endpoint) == service(&recorded.endpoint),
        None => own.endpoint == recorded.endpoint || varies("endpoint"),
    };
    if !choice {
        return Some(format!("at {}, recorded {}", own.endpoint, recorded.endpoint));
    }
    for (field, own, recorded) in [
        ("proto", &own.proto, &recorded.proto),
        ("method", &own.method, &recorded.method),
        ("path", &own.path, &recorded.path),
        ("authority", &own.authority, &recorded.authority),
        ("body", &own.body, &recorded.body),
    ] {
        if !(own == recorded || (field == "path" && fits(recorded, own)) || varies(field)) {
            return Some(format!("{field} {}, recorded {}", short(own), short(recorded)));
        }
    }
    // The first two are the HTTP stack's. What is left of the time is known before the first try only.
    let again = value_of(&recorded.headers, "x-envoy-attempt-count").is_some_and(|count| count != "1");
    let skip = |name: &str| match name {
        "content-length" | "transfer-encoding" => true,
        // Who calls is told to the server without a certificate.
        "x-forwarded-client-cert" => rules.step.peer.is_some(),
        "x-envoy-expected-rq-timeout-ms" | "grpc-timeout" => again,
        _ => false,
    };
    if varies("headers") { None } else { headers(&recorded.headers, &own.headers, skip) }
}

/// Copies, in any order.
fn mirrored(rules: Rules<'_>, expected: &Observed, got: &Outcome, found: &mut Vec<String>) {
    let recorded = expected.mirrored.as_deref().unwrap_or_default();
    let mut left: Vec<&Arrival> = got.seen.mirrored.iter().collect();
    for copy in recorded {
        let same = |own: &&Arrival| {
            let place = copy.one_of.as_ref().map_or(own.endpoint == copy.endpoint, |one| one.contains(&own.endpoint));
            place && own.method == copy.method && own.path == copy.path && own.authority == copy.authority
        };
        match left.iter().position(same) {
            Some(at) => drop(left.swap_remove(at)),
            None if rules.varies("mirrored") => {}
            None => found.push(format!("no mirror at {} {} {}", copy.endpoint, copy.authority, copy.path)),
        }
    }
    if let Some(own) = left.first() {
        found.push(format!("a mirror at {} {} {}", own.endpoint, own.authority, own.path));
    }
}

/// What the caller got.
fn answer(rules: Rules<'_>, expected: &Observed, got: &Outcome, found: &mut Vec<String>) {
    if expected.status != got.status && !rules.varies("status") {
        let own = got.status.map_or_else(|| got.error.clone().unwrap_or_default(), |status| status.to_string());
        let recorded = expected.status.map_or_else(|| format!("{:?}", expected.error), |status| status.to_string());
        found.push(format!("status {own}, recorded {recorded}"));
        return;
    }
    if expected.status.is_none() {
        return;
    }
    if !rules.varies("headers") {
        let recorded = expected.headers.as_ref().map_or(&[][..], |headers| headers);
        let unasked =
            |name: &str| NOT_COMPARED.contains(&name) || (name.starts_with("x-envoy-") && !rules.config.contains(name));
        found.extend(headers(recorded, &got.headers, unasked).map(|difference| format!("response {difference}")));
    }
    if !rules.varies("trailers") {
        let recorded = expected.trailers.as_ref().map_or(&[][..], |trailers| trailers);
        found.extend(headers(recorded, &got.trailers, |_| false).map(|difference| format!("trailer {difference}")));
    }
    // Texts that the proxy makes up are its own.
    let given = matches!(expected.details.as_deref(), Some("via_upstream" | "direct_response"));
    if let Some(body) = expected.body.as_ref().filter(|body| given && **body != got.body)
        && !rules.varies("body")
    {
        found.push(format!("body {}, recorded {}", short(&got.body), short(body)));
    }
}

/// Response headers that recordings leave out, or that belong to the connection.
const NOT_COMPARED: &[&str] =
    &["connection", "content-length", "date", "server", "transfer-encoding", "via", "x-envoy-upstream-service-time"];

/// A caller's own address; a call from within the process comes from none.
const CALLER: &str = "10.0.250.";

/// How headers differ: the order of values of one name counts, that of names does not.
fn headers(recorded: &[(String, String)], own: &Headers, skip: impl Fn(&str) -> bool) -> Option<String> {
    let by_name = |headers: &[(String, String)]| {
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let counts = |(name, value): &&(String, String)| !skip(name) && !value.starts_with(CALLER);
        for (name, value) in headers.iter().filter(counts) {
            by_name.entry(name.to_ascii_lowercase()).or_default().push(value.clone());
        }
        by_name
    };
    let (recorded, own) = (by_name(recorded), by_name(own));
    for name in recorded.keys().chain(own.keys()) {
        let none = Vec::new();
        let (recorded, own) = (recorded.get(name).unwrap_or(&none), own.get(name).unwrap_or(&none));
        let same = recorded.len() == own.len() && recorded.iter().zip(own).all(|(recorded, own)| fits(recorded, own));
        if !same {
            return Some(format!("header {name} {}, recorded {}", list(own), list(recorded)));
        }
    }
    None
}

fn list(values: &[String]) -> String {
    match values {
        [] => "absent".into(),
        values => values.iter().map(|value| short(value)).collect::<Vec<_>>().join(" and "),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{:?}...", &text[..at]),
        None => format!("{text:?}"),
    }
}

/// What stands for a text that is another one each time.
const STANDING_FOR: &[&str] = &["<uuid>", "<proxy-ip>", "<hostname>", "<hash>", "<cert>", "<jwt>"];

/// Whether a value is the recorded one, where that may stand for many.
fn fits(recorded: &str, own: &str) -> bool {
    if recorded == own {
        return true;
    }
    if let (Ok(recorded @ Value::Object(_)), Ok(own)) =
        (serde_json::from_str(recorded), serde_json::from_str::<Value>(own))
    {
        return recorded == own;
    }
    if let Some(payload) = recorded.strip_prefix("<base64url>") {
        return token::is_payload(payload, own);
    }
    if let (Some(recorded), Some(own)) = (made_up(recorded), made_up(own)) {
        return recorded == own;
    }
    let next = STANDING_FOR.iter().filter_map(|name| Some((recorded.find(name)?, *name))).min();
    let Some((at, name)) = next else { return false };
    let (before, after) = (&recorded[..at], &recorded[at + name.len()..]);
    let Some(rest) = own.strip_prefix(before) else { return false };
    // The shortest text that may stand here, then a longer one.
    let mut ends = rest.char_indices().skip(1).map(|(at, _)| at).chain([rest.len()]);
    ends.any(|end| !rest[..end].is_empty() && fits(after, &rest[end..]))
}

/// Whether the answer has a cookie that was made up.
pub(crate) fn has_made_up_cookie(observed: &Observed) -> bool {
    let mut headers = observed.headers.iter().flatten();
    headers.any(|(name, value)| name.eq_ignore_ascii_case("set-cookie") && made_up(value).is_some())
}

/// What stands before and behind the value of a cookie that was made up: sixteen hexadecimal digits of the caller's
/// connection, which is another one here.
fn made_up(cookie: &str) -> Option<(&str, &str)> {
    let (name, rest) = cookie.split_once("=\"")?;
    let (value, attributes) = rest.split_once('"')?;
    let is_hash = value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then_some((name, attributes))
}

#[test]
fn values_may_stand_for_others() {
    assert!(fits("s=\"488a180ea4a4414b\"; HttpOnly", "s=\"0123456789abcdef\"; HttpOnly"));
    assert!(!fits("s=\"488a180ea4a4414b\"; HttpOnly", "s=\"0123456789abcdef\"") && !fits("s=\"1\"", "s=\"2\""));
    assert!(fits("a", "a") && !fits("a", "b"));
    assert!(fits("<uuid>", "1-2") && !fits("<uuid>", ""));
    assert!(fits("a <uuid>;<proxy-ip>.", "a 1;2.") && !fits("a <uuid>;", "a 1"));
    assert!(fits(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#));
}

#[test]
fn repeated_headers_keep_their_order() {
    let headers_of =
        |values: &[&str]| -> Headers { values.iter().map(|value| ("x-a".to_owned(), (*value).to_owned())).collect() };
    assert_eq!(headers(&headers_of(&["1", "2"]), &headers_of(&["1", "2"]), |_| false), None);
    assert!(headers(&headers_of(&["1", "2"]), &headers_of(&["2", "1"]), |_| false).is_some());
    assert!(headers(&headers_of(&["1"]), &headers_of(&[]), |_| false).is_some());
    assert_eq!(headers(&headers_of(&["1"]), &headers_of(&[]), |name| name == "x-a"), None);
}
