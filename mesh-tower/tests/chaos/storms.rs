//! Very many at once: callers that give up, handlers that panic, retries of retries.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use mesh_tower::{Body, Mesh};

use crate::content::content;
use crate::faultd::{Fault, Faultd};
use crate::ledger::{ID, Ledger, Reply};
use crate::load::{self, Ask};
use crate::scenario::{ON_PURPOSE, PLAIN, Scenario, Served, app, speaking};

/// Of which most are given up.
const REQUESTS: usize = 200_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_given_up_at_any_moment_leave_nothing_behind() {
    let scenario = Scenario::begin("25 cancellation storm", 90, 128).await;
    let ledger = Ledger::new(|seen| Reply::ok().after(Duration::from_millis(seen.path.len() as u64 % 20)));
    let mut script = scenario.chance();
    let faultd = Faultd::start(ledger.endpoint().await, move |_| match script.u8(..10) {
        0 => Fault::Delay(Duration::from_millis(5)),
        1 => Fault::HalfClose(1_000),
        2 => Fault::Blackhole,
        _ => Fault::Pass,
    });
    let limits = "connectionPool: {tcp: {maxConnections: 64}, http: {http1MaxPendingRequests: 1000}}";
    let rules = [
        "match: [{method: {exact: GET}}], retries: {attempts: 2, retryOn: '5xx,reset', perTryTimeout: 10ms}",
        "timeout: 40ms",
    ];
    let text = app(&[faultd.address, ledger.endpoint().await], limits, &rules);
    let mut meshes = Vec::new();
    for protocol in ["HTTP", "HTTP2"] {
        meshes.push(scenario.with_text(speaking(protocol, &text)).build().await.unwrap());
    }
    let body = content(20_000);
    let paths: Vec<_> = (0..40).map(|length| format!("http://app/{}", "x".repeat(length))).collect();
    let mut chance = scenario.chance();
    let calls = (0..REQUESTS).map(|n| {
        let ask = if n % 2 == 0 { Ask::post(n, &body) } else { Ask::get(n) };
        let ask = ask.to(&paths[n % paths.len()]);
        (meshes[n % 3 % 2].client(), ask, Duration::from_micros(chance.u64(0..50_000)))
    });
    let given_up = AtomicUsize::new(0);
    futures_util::stream::iter(calls)
        .for_each_concurrent(400, |(client, ask, patience)| {
            let given_up = &given_up;
            async move {
                // At this moment, wherever it is then.
                if tokio::time::timeout(patience, load::send(&client, ask)).await.is_err() {
                    given_up.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
        .await;
    let given_up = given_up.into_inner();
    assert!(given_up > REQUESTS / 6, "{given_up} of {REQUESTS} were given up");
    for (id, entry) in ledger.entries() {
        assert!(entry.method == http::Method::GET || entry.begun <= 1, "{id} was sent {} times", entry.begun);
    }
    scenario.end(meshes, (faultd, ledger)).await;
}

/// A handler that panics where the path says so.
async fn panicking(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let id = request.headers()[ID].to_str().unwrap().to_owned();
    match request.uri().path() {
        "/handler" => panic!("{ON_PURPOSE}"),
        "/later" => {
            tokio::time::sleep(Duration::from_millis(1)).await;
            panic!("{ON_PURPOSE}")
        }
        "/body" => {
            let frames = futures_util::stream::iter(0..3).then(|n| async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(n < 2, "{ON_PURPOSE}");
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"piece")))
            });
            Ok(Response::new(Body::new(StreamBody::new(frames))))
        }
        _ => Ok(Response::new(Body::from(id))),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_the_application_fails_the_request_it_was_made_for_and_no_other() {
    let mut scenario = Scenario::begin("26 panics", 15, 64).await;
    let served = Served::start(|_| tower::service_fn(panicking)).await;
    let mut meshes = Vec::new();
    for protocol in ["HTTP", "HTTP2"] {
        let text = app(&[served.address], PLAIN, &["timeout: 5s"]);
        let mesh = scenario.with_text(speaking(protocol, &text)).build().await.unwrap();
        let asks = (0..25_000).map(|n| {
            let path = match n % 300 {
                0 => "handler",
                100 => "later",
                200 => "body",
                _ => "",
            };
            let ask = Ask::get(n).to(&format!("http://app/{path}"));
            Ask { expected: Some(ask.id.clone().into()), ..ask }
        });
        let tally = load::run(&mesh.client(), 16, asks).await;
        for (n, outcome) in tally.outcomes.iter().map(|outcome| (outcome.id[4..].parse::<usize>().unwrap(), outcome)) {
            match n % 300 {
                0 | 100 => assert_eq!(outcome.status, 500, "{protocol}: {outcome:?}"),
                200 => assert!(outcome.status == 200 && !outcome.is_complete, "{protocol}: {outcome:?}"),
                _ => assert!(outcome.is_acknowledged() && outcome.is_whole, "{protocol}: {outcome:?}"),
            }
        }
        meshes.push(mesh);
    }
    scenario.errors = 500;
    let own = served.mesh.clone();
    scenario.end(meshes.into_iter().chain([own]), served).await;
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

/// Three meshes in a row, each of which tries four times; gives how often the last service was asked.
async fn asked_through_three(scenario: &Scenario, policy: &str, reply: Reply, requests: usize) -> usize {
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
    crate::scenario::at_rest(&[a, b.mesh.clone(), c.mesh.clone()]).await;
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_of_three_meshes_in_a_row_do_not_multiply() {
    let scenario = Scenario::begin("28 retry storm", 15, 64).await;
    // By default, budgets keep it low.
    let asked = asked_through_three(&scenario, PLAIN, Reply::status(503), 1_500).await;
    let most = 1_500.0 * 1.5 + 10.0 * scenario.elapsed().as_secs_f64();
    assert!(asked as f64 <= most, "{asked} for 1500");
    // Without budgets, only the last mesh tries again.
    let unlimited = "connectionPool: {http: {maxRetries: 100000}}";
    assert_eq!(asked_through_three(&scenario, unlimited, Reply::status(503), 100).await, 400);
    // Where nobody can say that trying again is in vain, since nobody answers in time, each mesh has its own tries,
    // and none those of another: 4 by the last, 3 by the one before and 3 by the first.
    let slow = Reply::ok().after(Duration::from_secs(5));
    let asked = asked_through_three(&scenario, unlimited, slow, 8).await;
    assert!((8 * 4..=8 * 10).contains(&asked), "{asked} for 8");
    scenario.end([], ()).await;
}
