//! Endpoints that die in the middle of something.

use std::time::Duration;

use http::Method;

use crate::content::content;
use crate::faultd::{Fault, Faultd};
use crate::judged::Judged;
use crate::ledger::{Ledger, Reply};
use crate::load::{self, Ask};
use crate::scenario::{PLAIN, Scenario};

/// GET is tried again after a reset, everything else as Istio does where nothing is said.
const RETRY_GET: &str =
    "match: [{method: {exact: GET}}], retries: {attempts: 2, retryOn: 'reset,connect-failure', backoff: 1ms}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_whose_endpoint_dies_under_it_is_never_sent_twice() {
    let scenario = Scenario::begin("1 killed mid request", 20, 48).await;
    let ledger = Ledger::good();
    let mut chance = scenario.chance();
    // A tenth of the requests of 64 KiB.
    let cut = move |_| Fault::CutRequest(chance.u64(32 * 1024..20 * 64 * 1024));
    let faultd = Faultd::start(ledger.endpoint().await, cut);
    let mesh = scenario.mesh(&[faultd.address], PLAIN, &[RETRY_GET, ""]).await;
    let body = content(64 * 1024);
    let asks = (0..5_000).map(|n| if n % 2 == 0 { Ask::post(n / 2, &body) } else { Ask::get(n / 2) });
    let tally = load::run(&mesh.client(), 16, asks).await;
    let (posts, gets) = (tally.of(&Method::POST), tally.of(&Method::GET));
    let failed = posts.requests() - posts.acknowledged();
    assert!((125..500).contains(&failed), "a tenth of 2500 POSTs dies, and {failed} did");
    assert!(gets.acknowledged() * 1_000 >= gets.requests() * 999, "{:?}", gets.statuses());
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], (faultd, ledger)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_ends_in_an_error_and_is_not_asked_for_again() {
    let scenario = Scenario::begin("2 killed mid response", 20, 48).await;
    let whole = content(64 * 1024);
    let body = whole.clone();
    let ledger = Ledger::new(move |_| Reply::ok().body(body.clone()));
    let mut chance = scenario.chance();
    let cut = move |_| Fault::CutResponse(chance.u64(1..10 * 64 * 1024));
    let faultd = Faultd::start(ledger.endpoint().await, cut);
    let rule = "retries: {attempts: 2, retryOn: '5xx,reset,connect-failure', backoff: 1ms}";
    let mesh = scenario.mesh(&[faultd.address], PLAIN, &[rule]).await;
    let asks = (0..1_500).map(|n| Ask { expected: Some(whole.clone()), ..Ask::get(n) });
    let tally = load::run(&mesh.client(), 16, asks).await;
    let broken: Vec<_> = tally.outcomes.iter().filter(|outcome| !outcome.is_complete).collect();
    assert!(broken.len() > 50, "a fifth of the answers breaks off, and {} did", broken.len());
    for outcome in broken {
        // Each try but the last was one without a head.
        assert_eq!(ledger.entry(&outcome.id).begun, outcome.info.attempts, "{}", outcome.id);
        assert_eq!(outcome.status, 200);
    }
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], (faultd, ledger)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_reset_as_soon_as_it_is_there_costs_a_try_and_repeats_nothing() {
    let scenario = Scenario::begin("3 reset after accept", 10, 48).await;
    let ledger = Ledger::good();
    let mut chance = scenario.chance();
    // Connections carry one request each.
    let script = move |_| if chance.u8(..25) == 0 { Fault::Rst } else { Fault::Pass };
    let faultd = Faultd::start(ledger.endpoint().await, script);
    let one_each = "connectionPool: {http: {maxRequestsPerConnection: 1}}";
    let mesh = scenario.mesh(&[faultd.address], one_each, &[RETRY_GET, ""]).await;
    let body = content(1024);
    let asks = (0..1_500).map(|n| if n % 2 == 0 { Ask::post(n / 2, &body) } else { Ask::get(n / 2) });
    let tally = load::run(&mesh.client(), 16, asks).await;
    let (posts, gets) = (tally.of(&Method::POST), tally.of(&Method::GET));
    // Everybody who waits for a connection when one cannot be made is told so, which the budget is not made for.
    assert!(gets.acknowledged() * 100 >= gets.requests() * 90, "{:?}", gets.statuses());
    assert!(posts.acknowledged() * 100 >= posts.requests() * 80, "{:?}", posts.statuses());
    // It counts as a connection that was not made, so that a POST may be sent again too.
    for tally in [posts, gets] {
        let again = tally.outcomes.iter().filter(|outcome| outcome.is_acknowledged() && outcome.info.attempts > 1);
        assert!(again.count() > 0, "{:?}", tally.statuses());
    }
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], (faultd, ledger)).await;
}

/// 10,000 requests between them.
const CALLERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_races_with_the_end_of_its_connection_is_sent_again_only_if_it_was_not_sent() {
    let scenario = Scenario::begin("4 reset of idle connections", 20, 48).await;
    let ledger = Ledger::good();
    let faultd = Faultd::start(ledger.endpoint().await, |_| Fault::RstIdle(Duration::from_millis(1)));
    // A fifth of so few is one retry at a time, whoever needs it: here each may have its own.
    let limits = format!("connectionPool: {{http: {{maxRetries: {CALLERS}}}}}");
    let rule = RETRY_GET.replace("attempts: 2", "attempts: 1");
    let mesh = scenario.mesh(&[faultd.address], &limits, &[&rule, ""]).await;
    let body = content(1024);
    let mut tally = load::Tally::default();
    let mut callers = tokio::task::JoinSet::new();
    let mut seeds = scenario.chance();
    for caller in 0..CALLERS {
        let (client, body, mut chance) = (mesh.client(), body.clone(), seeds.fork());
        callers.spawn(async move {
            let mut outcomes = Vec::new();
            let began = tokio::time::Instant::now();
            for n in (caller * 1_250)..(caller + 1) * 1_250 {
                tokio::time::sleep(Duration::from_micros(chance.u64(0..3_000))).await;
                let ask = if n % 2 == 0 { Ask::post(n / 2, &body) } else { Ask::get(n / 2) };
                outcomes.push(load::send(&client, ask).await);
            }
            load::Tally { outcomes, took: began.elapsed() }
        });
    }
    while let Some(part) = callers.join_next().await {
        tally = tally.join(part.unwrap());
    }
    let (posts, gets) = (tally.of(&Method::POST), tally.of(&Method::GET));
    assert!(faultd.connections() > 500, "connections are reset: {}", faultd.connections());
    // The second try is made on a new connection, which nobody resets.
    assert!(gets.requests() - gets.acknowledged() <= gets.requests() / 1_000, "{:?}", gets.statuses());
    assert!(posts.acknowledged() * 100 >= posts.requests() * 75, "{:?}", posts.statuses());
    println!("{} connections, {:?}, {:?}", faultd.connections(), gets.statuses(), posts.statuses());
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], (faultd, ledger)).await;
}
