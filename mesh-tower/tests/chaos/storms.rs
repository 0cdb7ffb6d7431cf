//! Very many at once: callers that give up, retries of retries.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{Request, Response, StatusCode};
use mesh_tower::{Body, Mesh, MeshClient};

use crate::content::content;
use crate::faultd::{Fault, Faultd};
use crate::judged::Judged;
use crate::ledger::{ID, Ledger, Reply};
use crate::load::{self, Ask};
use crate::scenario::{PLAIN, Scenario, app, at_rest, speaking};
use crate::served::Served;

/// Of which many are given up.
const REQUESTS: usize = 200_000;

/// Tasks that make them, so that no thread has them all.
const CALLERS: usize = 8;

/// Requests that there are at one moment: with many more than this nearly all wait for connections when they are given up.
const AT_ONCE: usize = 144;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_given_up_at_any_moment_leave_nothing_behind() {
    // Most of that memory are the notes of the test.
    let scenario = Scenario::begin("25 cancellation storm", 30, 192).await;
    let ledger = Ledger::new(|seen| Reply::ok().after(Duration::from_millis(seen.path.len() as u64 % 12)));
    let mut script = scenario.chance();
    let faultd = Faultd::start(ledger.endpoint().await, move |_| match script.u8(..10) {
        0 => Fault::Delay(Duration::from_millis(5)),
        1 => Fault::HalfClose(1_000),
        2 => Fault::Blackhole,
        _ => Fault::Pass,
    });
    let limits = "connectionPool: {tcp: {maxConnections: 128}, http: {http1MaxPendingRequests: 1000}}";
    let rules = [
        "match: [{method: {exact: GET}}], retries: {attempts: 2, retryOn: '5xx,reset', perTryTimeout: 10ms}",
        "timeout: 40ms",
    ];
    let [first, second, third] = [ledger.endpoint().await, ledger.endpoint().await, ledger.endpoint().await];
    let text = app(&[faultd.address, first, second, third], limits, &rules);
    let build = async |protocol| scenario.with_text(speaking(protocol, &text)).build().await.unwrap();
    let meshes = [build("HTTP").await, build("HTTP2").await];
    let body = content(600);
    let paths: Arc<[String]> = (0..40).map(|length| format!("http://app/{}", "x".repeat(length))).collect();
    let began = tokio::time::Instant::now();
    let mut seeds = scenario.chance();
    // One list that is as long as it may become: growing ones of each caller are most of what would be measured.
    let outcomes = Arc::new(std::sync::Mutex::new(Vec::with_capacity(REQUESTS)));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let outcomes = Arc::clone(&outcomes);
        let (clients, body, paths, mut chance) =
            (meshes.each_ref().map(Mesh::client), body.clone(), Arc::clone(&paths), seeds.fork());
        callers.spawn(async move {
            let calls = (caller..REQUESTS).step_by(CALLERS).map(|n| {
                let ask = if n % 2 == 0 { Ask::post(n, &body) } else { Ask::get(n) };
                (
                    clients[n % 3 % 2].clone(),
                    ask.to(&paths[n % paths.len()]),
                    Duration::from_micros(chance.u64(0..50_000)),
                )
            });
            // Given up at this moment, wherever it is then.
            let answered = |(client, ask, patience): (MeshClient, Ask, Duration)| async move {
                tokio::time::timeout(patience, load::send(&client, ask)).await.ok().map(load::Outcome::bare)
            };
            let all = futures_util::stream::iter(calls).map(answered).buffer_unordered(AT_ONCE / CALLERS);
            all.filter_map(std::future::ready).for_each(async |outcome| outcomes.lock().unwrap().push(outcome)).await;
        });
    }
    callers.join_all().await;
    let outcomes = std::mem::take(&mut *outcomes.lock().unwrap());
    let tally = load::Tally { outcomes, took: began.elapsed() };
    let given_up = REQUESTS - tally.requests();
    println!("{given_up} given up, {} acknowledged: {:?}", tally.acknowledged(), tally.statuses());
    assert!(given_up > REQUESTS / 6, "{given_up} of {REQUESTS} were given up");
    assert!(tally.acknowledged() > REQUESTS / 20, "{} of {REQUESTS} were acknowledged", tally.acknowledged());
    // Those that are given up are nobody else's trouble.
    let broken = tally.outcomes.iter().find(|outcome| outcome.flags().contains("UPE"));
    assert!(broken.is_none(), "{broken:?}");
    let judged = Judged::by(&ledger, &tally).of(REQUESTS);
    scenario.end(judged, meshes, (faultd, ledger)).await;
}

/// A service that asks the next one, and answers as that does or with an error of its own.
async fn service_asking(scenario: &Scenario, next: SocketAddr, policy: &str, rule: &str, passes_on: bool) -> Served {
    let text = app(&[next], policy, &[rule]);
    let builder = scenario.with_text(text);
    Served::with(builder.build().await.unwrap(), move |mesh: Mesh| {
        tower::service_fn(move |request: Request<Body>| {
            let client = mesh.client();
            async move {
                let call = Request::get("http://app/").header(ID, &request.headers()[ID]).body(Body::empty()).unwrap();
                let answer = client.send(call).await;
                if passes_on || answer.status() == 200 {
                    return Ok::<_, Infallible>(answer);
                }
                Ok(Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::from("the next one fails")).unwrap())
            }
        })
    })
    .await
}

/// Three meshes in a row, each of which tries four times; gives how often the last service was asked, and what the first
/// mesh has to answer for.
async fn asked_through_three(scenario: &Scenario, policy: &str, reply: Reply, requests: usize) -> (usize, Judged) {
    let ledger = Ledger::new(move |_| reply.clone());
    let rule = |per_try: u32| {
        format!("retries: {{attempts: 3, retryOn: '5xx,reset', backoff: 1ms, perTryTimeout: {per_try}ms}}")
    };
    let c = service_asking(scenario, ledger.endpoint().await, policy, &rule(100), true).await;
    let b = service_asking(scenario, c.address, policy, &rule(800), false).await;
    let a = scenario.mesh(&[b.address], policy, &[&rule(1_600)]).await;
    let tally = load::run(&a.client(), 8, (0..requests).map(Ask::get)).await;
    assert!(tally.outcomes.iter().all(|outcome| outcome.status >= 500), "{:?}", tally.statuses());
    let asked = ledger.arrivals();
    at_rest(&[a, b.mesh.clone(), c.mesh.clone()]).await;
    (asked, Judged::counted(requests, tally.attempts(), tally.took))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_of_three_meshes_in_a_row_do_not_multiply() {
    let scenario = Scenario::begin("28 retry storm", 15, 64).await;
    // By default, budgets keep it low: of each mesh, and of all together.
    let (asked, judged) = asked_through_three(&scenario, PLAIN, Reply::status(503), 1_500).await;
    println!("{asked} for 1500");
    assert!(asked as f64 <= 1_500.0 * 1.5, "{asked} for 1500");
    // Without budgets, only the last mesh tries again.
    let unlimited = "connectionPool: {http: {maxRetries: 100000}}";
    let (asked, first) = asked_through_three(&scenario, unlimited, Reply::status(503), 100).await;
    assert_eq!(asked, 400);
    // Where nobody can say that trying again is in vain, since nobody answers in time, each mesh has its own tries,
    // and none those of another: 4 by the last, 3 by the one before and 3 by the first.
    let slow = Reply::ok().after(Duration::from_secs(5));
    let (asked, _unlimited) = asked_through_three(&scenario, unlimited, slow, 8).await;
    assert!((8 * 4..=8 * 10).contains(&asked), "{asked} for 8");
    scenario.end(judged.and(first), [], ()).await;
}
