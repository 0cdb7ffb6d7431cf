//! Whether two sides did the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use crate::case::{Ask, Endpoints, Outcomes};
use crate::play::Got;
use crate::record::{Arrival, Headers};
use crate::wire::value_of;

/// Headers of responses that are nobody's concern here.
const UNCOMPARED: &[&str] =
    &["date", "server", "x-envoy-upstream-service-time", "content-length", "connection", "transfer-encoding"];

/// Headers of requests that differ for good reason: made up anew each time, or the wire's own.
/// Only copies have `x-forwarded-for` here, with the address of a proxy, which a library has not.
const UNCOMPARED_UPSTREAM: &[&str] = &["x-request-id", "content-length", "transfer-encoding", "x-forwarded-for"];

/// Headers of requests that say how much time is left.
const TIMES: &[&str] = &["x-envoy-expected-rq-timeout-ms", "grpc-timeout"];

/// By how much a request may take longer than it has to.
const LATE: Duration = Duration::from_millis(500);
/// Timers of both sides count whole milliseconds.
const EARLY: Duration = Duration::from_millis(5);

/// What differs, if anything.
pub(crate) fn compare(ask: &Ask, own: &[Got], envoys: &[Got]) -> Vec<String> {
    let mut differences = Vec::new();
    let mut note = |difference: Option<String>| differences.extend(difference);
    for (who, got) in [("the mesh", own), ("Envoy", envoys)] {
        let shown: BTreeSet<String> = got.iter().map(short).collect();
        let wanted: BTreeSet<String> = ask.shows.iter().map(|kind| (*kind).to_owned()).collect();
        note((!wanted.is_empty() && shown != wanted).then(|| format!("{who} shows {shown:?}, not {wanted:?}")));
        note(got.iter().find_map(|got| untimely(ask, got)).map(|text| format!("{who}: {text}")));
    }
    note(outcomes(ask.outcomes, &tally(own.iter().map(kind)), &tally(envoys.iter().map(kind))));
    note(endpoints(ask.endpoints, own, envoys));
    let answers = |got: &[Got]| got.iter().map(short).collect::<BTreeSet<_>>();
    note(differ("answers", &answers(own), &answers(envoys)).filter(|_| ask.outcomes == Outcomes::Answers));
    note(ask.alike_in_time.then(|| unlike_in_time(own, envoys)).flatten());
    if let ([own], [envoys]) = (own, envoys) {
        note(differ("headers", &headers(&own.outcome.headers), &headers(&envoys.outcome.headers)));
        note(differ("trailers", &own.outcome.trailers, &envoys.outcome.trailers));
        note(differ("body", &own.outcome.body, &envoys.outcome.body));
        note(differ("upstream", &arrivals(&own.outcome.seen.attempts), &arrivals(&envoys.outcome.seen.attempts)));
        note(differ("mirrored", &arrivals(&own.outcome.seen.mirrored), &arrivals(&envoys.outcome.seen.mirrored)));
        note(times_left(&own.outcome.seen.attempts, &envoys.outcome.seen.attempts));
    }
    differences
}

/// What each side did, for who wants to look.
pub(crate) fn told(own: &[Got], envoys: &[Got]) -> String {
    let side = |got: &[Got]| {
        let longest = got.iter().map(|got| got.took).max().unwrap_or_default();
        format!("{:?} at {:?} within {longest:.0?}", tally(got.iter().map(kind)), places(got))
    };
    format!("  mesh:  {}\n  Envoy: {}", side(own), side(envoys))
}

fn differ<T: Debug + PartialEq>(what: &str, own: &T, envoys: &T) -> Option<String> {
    (own != envoys).then(|| format!("{what}: {own:?}, Envoy's {envoys:?}"))
}

/// Status, flags; of an answer that broke off only that, since a client is told flags with the head.
fn short(got: &Got) -> String {
    match got.outcome.error.as_deref() {
        Some("timeout") => return "never".to_owned(),
        Some(_) => return "broken".to_owned(),
        None => {}
    }
    let status = got.outcome.status.map_or_else(|| "error".to_owned(), |status| status.to_string());
    let grpc = value_of(&got.outcome.headers, "grpc-status").or(value_of(&got.outcome.trailers, "grpc-status"));
    let grpc = grpc.map(|code| format!(" grpc {code}")).unwrap_or_default();
    format!("{status}{grpc} {}", got.flags)
}

/// What makes two outcomes the same.
fn kind(got: &Got) -> String {
    let (seen, mirrored) = (got.outcome.seen.attempts.len(), got.outcome.seen.mirrored.len());
    let mirrored = if mirrored > 0 { format!(", {mirrored} mirrored") } else { String::new() };
    format!("{}, {} tries of which {seen} arrived{mirrored}", short(got), got.attempts)
}

fn tally<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut tally = BTreeMap::new();
    keys.for_each(|key| *tally.entry(key).or_default() += 1);
    tally
}

fn untimely(ask: &Ask, got: &Got) -> Option<String> {
    let lasts = ask.lasts?;
    let is_timely = got.took + EARLY >= lasts && got.took <= lasts + LATE;
    (!is_timely).then(|| format!("took {:?}, not {lasts:?}", got.took))
}

/// Whether the averages differ by more than four standard deviations, and what a busy machine adds.
fn unlike_in_time(own: &[Got], envoys: &[Got]) -> Option<String> {
    let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let measured = |got: &[Got]| {
        let times: Vec<f64> = got.iter().map(|got| got.took.as_secs_f64()).collect();
        let mean = average(&times);
        let squares: Vec<f64> = times.iter().map(|time| (time - mean).powi(2)).collect();
        (mean, average(&squares) / times.len() as f64)
    };
    let ((own, own_error), (envoys, envoys_error)) = (measured(own), measured(envoys));
    let is_alike = (own - envoys).abs() <= 4.0 * (own_error + envoys_error).sqrt() + 0.03;
    (!is_alike).then(|| format!("took {own:.3} s on average, Envoy {envoys:.3} s"))
}

fn outcomes(how: Outcomes, own: &BTreeMap<String, usize>, envoys: &BTreeMap<String, usize>) -> Option<String> {
    let is_alike = match how {
        Outcomes::Exact => own == envoys,
        Outcomes::Answers => true,
        Outcomes::Kinds => own.keys().eq(envoys.keys()),
        Outcomes::Shares => are_of_one_chance(own, envoys),
    };
    (!is_alike).then(|| format!("{own:?}, Envoy {envoys:?}"))
}

fn endpoints(how: Endpoints, own: &[Got], envoys: &[Got]) -> Option<String> {
    let (here, there) = (places(own), places(envoys));
    let sorted = |places: &BTreeMap<String, usize>| {
        let mut counts: Vec<usize> = places.values().copied().collect();
        counts.sort_unstable();
        counts
    };
    let is_alike = match how {
        Endpoints::Alike => sorted(&here) == sorted(&there),
        Endpoints::Any => true,
        Endpoints::Used => here.keys().eq(there.keys()),
        Endpoints::Shares => are_of_one_chance(&here, &there),
        Endpoints::Same => return elsewhere(own, envoys),
    };
    (!is_alike).then(|| format!("at {here:?}, Envoy {there:?}"))
}

/// The requests that went another way.
fn elsewhere(own: &[Got], envoys: &[Got]) -> Option<String> {
    let way = |got: &Got| -> Vec<String> {
        got.outcome.seen.attempts.iter().map(|arrival| arrival.endpoint.clone()).collect()
    };
    let pairs: Vec<_> = own.iter().map(way).zip(envoys.iter().map(way)).collect();
    let differing: Vec<_> = pairs.iter().filter(|(own, envoys)| own != envoys).collect();
    let first = differing.first()?;
    Some(format!("{} of {} went another way, such as {first:?} (Envoy's last)", differing.len(), pairs.len()))
}

/// How many tries each endpoint got.
fn places(got: &[Got]) -> BTreeMap<String, usize> {
    tally(got.iter().flat_map(|got| &got.outcome.seen.attempts).map(|arrival| arrival.endpoint.clone()))
}

/// Whether two draws are of the same chance: no share differs by more than four standard deviations.
fn are_of_one_chance(one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>) -> bool {
    let total = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>() as f64;
    let (all_one, all_other) = (total(one), total(other));
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    keys.into_iter().all(|key| {
        let count = |counts: &BTreeMap<String, usize>| counts.get(key).copied().unwrap_or_default() as f64;
        let (one, other) = (count(one), count(other));
        let share = (one + other) / (all_one + all_other);
        let deviation = (share * (1.0 - share) * (1.0 / all_one + 1.0 / all_other)).sqrt();
        (one / all_one - other / all_other).abs() <= 4.0 * deviation
    })
}

/// Those of a response that count, in the order of names.
fn headers(headers: &Headers) -> Headers {
    sorted(headers.iter().filter(|(name, _)| !UNCOMPARED.contains(&name.as_str())).cloned())
}

/// What counts about arrivals beside where they were.
fn arrivals(arrivals: &[Arrival]) -> Vec<(String, Headers, String)> {
    let arrival = |arrival: &Arrival| {
        let counting = arrival.headers.iter().filter(|(name, _)| !UNCOMPARED_UPSTREAM.contains(&name.as_str()));
        let told = counting.map(|(name, value)| {
            let is_time = TIMES.contains(&name.as_str());
            (name.clone(), if is_time { "some time".to_owned() } else { value.clone() })
        });
        let line = format!("{} {} {} {}", arrival.proto, arrival.method, arrival.authority, arrival.path);
        (line, sorted(told), arrival.body.clone())
    };
    arrivals.iter().map(arrival).collect()
}

/// What tries were told about time, if it differs.
fn times_left(own: &[Arrival], envoys: &[Arrival]) -> Option<String> {
    let told = |arrivals: &[Arrival]| -> Vec<i64> {
        let headers = arrivals.iter().flat_map(|arrival| &arrival.headers);
        let times = headers.filter(|(name, _)| TIMES.contains(&name.as_str()));
        times.map(|(_, value)| value.trim_end_matches('m').parse().unwrap_or(-1)).collect()
    };
    let (own, envoys) = (told(own), told(envoys));
    // Which a header lacks is seen elsewhere.
    let is_alike = own.iter().zip(&envoys).all(|(own, envoys)| own.abs_diff(*envoys) <= 100);
    (!is_alike).then(|| format!("milliseconds left: {own:?}, Envoy's {envoys:?}"))
}

/// By name; the order of lines of one name stays.
fn sorted(headers: impl Iterator<Item = (String, String)>) -> Headers {
    let mut headers: Headers = headers.collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}

#[test]
fn draws_of_another_chance_are_told_apart() {
    let draw = |a: usize, b: usize| BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
    assert!(are_of_one_chance(&draw(500, 500), &draw(540, 460)));
    assert!(!are_of_one_chance(&draw(500, 500), &draw(600, 400)));
    assert!(!are_of_one_chance(&draw(1000, 0), &draw(950, 50)));
}
