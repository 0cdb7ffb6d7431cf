//! Endpoints that answer errors now and then.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::judged::Judged;
use crate::ledger::{ID, Ledger, Reply, Seen};
use crate::load::{self, Ask};
use crate::scenario::{PLAIN, Scenario};

const TWICE: &str = "retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}";
const NEVER: &str = "match: [{uri: {prefix: /never}}], retries: {attempts: 0}";

/// A tenth of the tries is answered 503: the same in each run, by the id of the request and which try it is.
fn a_tenth(seen: &Seen) -> Reply {
    let mut hasher = DefaultHasher::new();
    [ID, "x-envoy-attempt-count"].map(|name| seen.headers.get(name).map(http::HeaderValue::as_bytes)).hash(&mut hasher);
    Reply::status(if fastrand::Rng::with_seed(hasher.finish()).u8(..10) == 0 { 503 } else { 200 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_tenth_of_the_answers_is_503_two_retries_leave_callers_next_to_none() {
    let scenario = Scenario::begin("a tenth answers 503", 30, 64).await;
    let ledger = Ledger::new(a_tenth);
    let endpoints = [ledger.endpoint().await, ledger.endpoint().await, ledger.endpoint().await];
    let mesh = scenario.mesh(&endpoints, PLAIN, &[NEVER, TWICE]).await;
    // In one run: every sixth request is one that is never tried again.
    let asks = (0..24_000).map(|n| if n % 6 == 0 { Ask::get(n).to("http://app/never") } else { Ask::get(n) });
    let tally = load::run(&mesh.client(), 32, asks).await;
    let is_never = |id: &str| id.trim_start_matches("get-").parse::<usize>().unwrap().is_multiple_of(6);
    let failed = |never| {
        let outcomes: Vec<_> = tally.outcomes.iter().filter(|outcome| is_never(&outcome.id) == never).collect();
        outcomes.iter().filter(|outcome| outcome.status != 200).count() as f64 / outcomes.len() as f64
    };
    let (once, retried) = (failed(true), failed(false));
    println!("failures: {:.3} % without retries, {:.3} % with two", once * 100.0, retried * 100.0);
    assert!((0.09..0.11).contains(&once), "{once}");
    assert!(retried <= 0.0015, "{retried}");
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], ledger).await;
}
