//! Compares what became of many requests of one kind with what was recorded: the sorts of outcome there are, how often
//! each was seen, and where the requests went.

use std::collections::BTreeMap;

use crate::caller::Outcome;
use crate::compare::{Rules, differences, flag_set, has_made_up_cookie};
use crate::record::{Count, Observed, Sort, plain};

/// How many standard deviations are chance.
const CHANCE: f64 = 5.0;

pub(crate) fn repeated(rules: Rules<'_>, expected: &Observed, counts: &[Count], got: &[Outcome]) -> Option<String> {
    let mut found = Vec::new();
    // Neither a gateway nor a port that is not HTTP says why.
    let known = got.iter().all(|outcome| outcome.info.is_some()) && counts.iter().all(Count::has_way);
    let sort_of = |sort: Sort| if known { sort } else { without_way(sort) };
    let mut own: BTreeMap<Sort, Vec<&Outcome>> = BTreeMap::new();
    for outcome in got {
        own.entry(sort_of(outcome.sort())).or_default().push(outcome);
    }
    let runs: Vec<BTreeMap<Sort, usize>> = std::iter::once(counts)
        .chain(expected.other_runs.iter().map(Vec::as_slice))
        .map(|counts| {
            let mut run = BTreeMap::new();
            counts.iter().for_each(|count| *run.entry(sort_of(count.sort())).or_default() += count.n);
            run
        })
        .collect();
    let numbers = own.iter().map(|(sort, outcomes)| (sort.clone(), outcomes.len())).collect();
    let exact = !rules.varies.iter().any(|field| field == "counts");
    found.extend(if rules.step.racy { sorts(&runs, &numbers) } else { shares(&runs, &numbers, exact) });
    found.extend(places(rules, expected, got));
    found.extend(order(rules, expected, got));
    found.extend(examples(rules, expected, counts, &own, sort_of));
    (!found.is_empty()).then(|| found.join("; "))
}

fn without_way(sort: Sort) -> Sort {
    Sort { flags: String::new(), host: String::new(), subset: String::new(), ..sort }
}

/// Only that the same sorts of outcome are there.
fn sorts(runs: &[BTreeMap<Sort, usize>], own: &BTreeMap<Sort, usize>) -> Option<String> {
    let missing = runs[0].keys().find(|sort| !own.contains_key(sort)).map(|sort| format!("none is {}", name(sort)));
    let strange = || own.keys().find(|sort| !runs.iter().any(|run| run.contains_key(sort)));
    missing.or_else(|| strange().map(|sort| format!("unrecorded is {}", name(sort))))
}

/// How often each was seen: exactly, or as chance would have it.
fn shares(runs: &[BTreeMap<Sort, usize>], own: &BTreeMap<Sort, usize>, exact: bool) -> Option<String> {
    let total: usize = own.values().sum();
    let recorded_total: usize = runs.iter().flat_map(BTreeMap::values).sum();
    for sort in runs.iter().flat_map(BTreeMap::keys).chain(own.keys()) {
        let n = own.get(sort).copied().unwrap_or_default();
        let recorded: usize = runs.iter().filter_map(|run| run.get(sort)).sum();
        let fits = if exact { n == recorded } else { is_likely(n, total, recorded, recorded_total) };
        if !fits {
            let recorded = recorded as f64 * total as f64 / recorded_total as f64;
            return Some(format!("{n} of {total} are {}, recorded {recorded:.1}", name(sort)));
        }
    }
    None
}

/// Whether both numbers may come from one share.
fn is_likely(n: usize, total: usize, recorded: usize, recorded_total: usize) -> bool {
    let (n, total, recorded, recorded_total) = (n as f64, total as f64, recorded as f64, recorded_total as f64);
    let share = (n + recorded) / (total + recorded_total);
    let deviation = (share * (1.0 - share) * (1.0 / total + 1.0 / recorded_total)).sqrt();
    (n / total - recorded / recorded_total).abs() <= CHANCE * deviation + 1.5 / total
}

fn name(sort: &Sort) -> String {
    let Sort { status, grpc, flags, host, subset, attempts, mirrors } = sort;
    format!("[{status} grpc {grpc:?} {flags} {host:?} {subset:?} attempts {attempts} mirrors {mirrors}]")
}

/// Which endpoints got how many attempts.
fn places(rules: Rules<'_>, expected: &Observed, got: &[Outcome]) -> Option<String> {
    if rules.step.racy {
        return None;
    }
    let mut own: BTreeMap<&str, usize> = expected.endpoints.keys().map(|endpoint| (endpoint.as_str(), 0)).collect();
    for arrival in got.iter().flat_map(|outcome| &outcome.seen.attempts) {
        *own.entry(&arrival.endpoint).or_default() += 1;
    }
    // A cookie that is made up is another one here, and so is what it is hashed to.
    let made_up = expected.samples.iter().any(has_made_up_cookie);
    let exact = !made_up && !rules.varies.iter().any(|field| field == "endpoints");
    let (total, recorded_total) = (own.values().sum::<usize>(), expected.endpoints.values().sum::<usize>());
    let recorded = own.keys().map(|endpoint| expected.endpoints.get(*endpoint).copied().unwrap_or_default());
    let (mut recorded, mut numbers) = (recorded.collect::<Vec<_>>(), own.values().copied().collect::<Vec<_>>());
    let endpoints: Vec<&str> = own.keys().copied().collect();
    if endpoints_are_equal(rules.config) {
        let mut from = 0;
        for group in endpoints.chunk_by(|one, other| service(one) == service(other)) {
            recorded[from..from + group.len()].sort_unstable();
            numbers[from..from + group.len()].sort_unstable();
            from += group.len();
        }
    }
    for (endpoint, (n, recorded)) in endpoints.into_iter().zip(numbers.into_iter().zip(recorded)) {
        let likely = || total > 0 && recorded_total > 0 && is_likely(n, total, recorded, recorded_total);
        if n != recorded && (exact || !likely()) {
            return Some(format!("{endpoint} got {n} of {total}, recorded {recorded} of {recorded_total}"));
        }
    }
    None
}

/// Whether it is chance which of a service's endpoints is taken first, or is the one that fails. Where one is taken by
/// its hash, it depends on its address, which is another one here.
pub(crate) fn endpoints_are_equal(config: &str) -> bool {
    !config.contains("locality")
}

/// What the endpoints of one service have in common.
pub(crate) fn service(endpoint: &str) -> (&str, &str) {
    let (ip, port) = endpoint.rsplit_once(':').unwrap_or((endpoint, ""));
    (ip.rsplit_once('.').map_or(ip, |(network, _)| network), port)
}

/// What came after what, where one request was sent after the other.
fn order(rules: Rules<'_>, expected: &Observed, got: &[Outcome]) -> Option<String> {
    let varies = rules.varies.iter().any(|field| field == "sequence");
    if varies || rules.step.racy || rules.step.concurrency.is_some() {
        return None;
    }
    for (n, ((status, flags, _), outcome)) in expected.sequence.iter().flatten().zip(got).enumerate() {
        let own = outcome.status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        let status = if status.is_u64() { plain(status) } else { "error".into() };
        let own_flags = outcome.info.as_ref().map(|info| info.flags.as_str());
        let same_flags = own_flags.zip(flags.as_deref()).is_none_or(|(own, flags)| flag_set(own) == flag_set(flags));
        if own != status || !same_flags {
            return Some(format!("request {} is {own} {own_flags:?}, recorded {status} {flags:?}", n + 1));
        }
    }
    None
}

/// One of each sort in full.
fn examples(
    rules: Rules<'_>,
    expected: &Observed,
    counts: &[Count],
    own: &BTreeMap<Sort, Vec<&Outcome>>,
    sort_of: impl Fn(Sort) -> Sort,
) -> Option<String> {
    // Which fields of the samples differ from run to run is not said; these are the ones that may.
    let loose = ["upstream[].endpoint", "upstream[].headers", "headers", "attempts"].map(String::from);
    let varies: &[String] = if rules.varies.iter().any(|field| field == "samples") { &loose } else { &[] };
    let rules = Rules { varies, ..rules };
    expected.samples.iter().zip(counts).find_map(|(sample, count)| {
        let sort = sort_of(count.sort());
        // Outcomes of one sort may still differ, in the port for example.
        let mut found = own.get(&sort)?.iter().map(|outcome| differences(rules, sample, outcome));
        let first = found.next()??;
        found.all(|difference| difference.is_some()).then(|| format!("one of {}: {first}", name(&sort)))
    })
}

#[test]
fn numbers_differ_by_chance_only_so_much() {
    assert!(is_likely(102, 1000, 100, 1000) && is_likely(140, 1000, 100, 1000));
    assert!(!is_likely(200, 1000, 100, 1000) && !is_likely(0, 1000, 100, 1000));
    assert!(is_likely(1, 400, 0, 400) && !is_likely(40, 400, 0, 400));
}
