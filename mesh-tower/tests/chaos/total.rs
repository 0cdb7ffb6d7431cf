//! All scenarios together, which must not take longer than six minutes.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

/// Every scenario, by its number in the list of faults and what it is about.
const ALL: [&str; 33] = [
    "1 killed mid request",
    "2 killed mid response",
    "3 reset after accept",
    "4 reset of idle connections",
    "5 half-open",
    "6 drip",
    "9 one of three refuses",
    "10 all refuse",
    "12 flapping names",
    "13 hanging names",
    "14 dead for good",
    "14 flapping",
    "23 large rings",
    "24 weights",
    "25 cancellation storm",
    "26 panics",
    "26 panics between layers",
    "26 panics of extensions",
    "28 retry storm",
    "29 long bodies",
    "29 mirror to a black hole",
    "29 mirror to self",
    "30 many bodies",
    "30 very long bodies",
    "34 goaway",
    "35 early answers",
    "35 expectations",
    "35 informational answers",
    "36 status in trailers",
    "36 trailers",
    "36 trailers only",
    "45 outlier abuse",
    "a tenth answers 503",
];

const MOST: Duration = Duration::from_secs(6 * 60);

/// Those that have come to their end, how long they took, and how long it would have been at least on a machine of one's own.
static ENDED: Mutex<Vec<(&str, Duration, Duration)>> = Mutex::new(Vec::new());

/// Notes the end of one. Once all have come to theirs, says how long that took: they run one after the other. Where only
/// some are asked for it never comes to that.
pub(crate) fn note(name: &'static str, took: Duration, alone: Duration) {
    assert!(ALL.contains(&name), "{name} is missing in the list of all scenarios");
    let mut ended = ENDED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    ended.push((name, took, alone));
    if ALL.iter().any(|name| ended.iter().all(|(other, ..)| other != name)) {
        return;
    }
    let took = ended.iter().map(|(_, took, _)| *took).sum::<Duration>();
    let alone = ended.iter().map(|(_, _, alone)| *alone).sum::<Duration>();
    // Past the harness, which would keep it to itself.
    let told = format!("all {} scenarios: {took:.1?}, at least {alone:.1?} on a machine of one's own", ended.len());
    let _unheard = writeln!(std::io::stderr(), "{told}");
    assert!(alone <= MOST, "all scenarios: {alone:?}, and {MOST:?} are allowed: {ended:#?}");
}
