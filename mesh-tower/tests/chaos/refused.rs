//! Endpoints that are not there, or not always, and those that are blamed for what others do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use mesh_tower::Mesh;
use tokio::time::Instant;

use crate::content::content;
use crate::faultd::{Fault, Faultd};
use crate::judged::Judged;
use crate::lag::Lag;
use crate::ledger::{Ledger, Reply};
use crate::load::{self, Ask, Tally};
use crate::scenario::{Scenario, eventually};

/// Some GETs and POSTs.
fn mixed(from: usize, count: usize) -> impl Iterator<Item = Ask> {
    let body = content(512);
    (from..from + count).map(move |n| if n % 2 == 0 { Ask::post(n, &body) } else { Ask::get(n) })
}

fn ejected(mesh: &Mesh) -> usize {
    mesh.gauges().clusters.iter().map(|cluster| cluster.ejected).sum()
}

fn by_endpoint(tally: &Tally) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for outcome in &tally.outcomes {
        *shares.entry(outcome.info.endpoint.clone().unwrap_or_default()).or_default() += 1;
    }
    shares
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_refuses_connections_gets_no_first_tries_once_it_is_ejected() {
    let scenario = Scenario::begin("9 one of three refuses", 15, 48).await;
    let ledger = Ledger::good();
    let faultds: Vec<_> = futures_util::future::join_all(
        (0..3).map(|_| async { Faultd::start(ledger.endpoint().await, |_| Fault::Pass) }),
    )
    .await;
    faultds[0].refuse().await;
    let addresses: Vec<_> = faultds.iter().map(|faultd| faultd.address).collect();
    let policy = "loadBalancer: {simple: RANDOM}, outlierDetection: {consecutive5xxErrors: 5, interval: 10s, \
                  baseEjectionTime: 60s, maxEjectionPercent: 50}";
    let mesh = scenario.mesh(&addresses, policy, &[""]).await;
    let before = load::run(&mesh.client(), 8, mixed(0, 200)).await;
    assert_eq!(ejected(&mesh), 1);
    let after = load::run(&mesh.client(), 8, mixed(200, 4_000)).await;
    assert!(after.outcomes.iter().all(|outcome| outcome.info.attempts == 1), "all go right at once");
    let shares = by_endpoint(&after);
    let (share, of) = (shares[&addresses[1].to_string()] as f64, after.requests() as f64);
    assert!((share - of / 2.0).abs() <= 4.0 * (of / 4.0).sqrt(), "{shares:?}");
    let tally = before.join(after);
    assert!(tally.acknowledged() * 1_000 >= tally.requests() * 999, "{:?}", tally.statuses());
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], (faultds, ledger)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_endpoints_refuse_requests_fail_fast() {
    let scenario = Scenario::begin("10 all refuse", 15, 48).await;
    let ledger = Ledger::good();
    let faultds: Vec<_> = futures_util::future::join_all(
        (0..3).map(|_| async { Faultd::start(ledger.endpoint().await, |_| Fault::Pass) }),
    )
    .await;
    for faultd in &faultds {
        faultd.refuse().await;
    }
    let addresses: Vec<_> = faultds.iter().map(|faultd| faultd.address).collect();
    let policy = "outlierDetection: {consecutive5xxErrors: 5, interval: 100ms, baseEjectionTime: 1s, \
                  maxEjectionPercent: 100}";
    let mesh = scenario.mesh(&addresses, policy, &["retries: {attempts: 3, retryOn: '5xx,connect-failure'}"]).await;
    let mut tally = load::run(&mesh.client(), 8, mixed(0, 300)).await;
    eventually("all are ejected", || ejected(&mesh) == 3).await.unwrap();
    let lag = Lag::watch();
    let fast = load::run(&mesh.client(), 4, mixed(300, 500)).await;
    assert!(fast.outcomes.iter().all(|outcome| outcome.status == 503), "{:?}", fast.statuses());
    // Five milliseconds on a machine whose timers come when they are due.
    let (most, late) = (fast.percentile(99), lag.percentile(99));
    assert!(most <= Duration::from_millis(5) + late, "{most:?}, and timers are {late:?} late");
    println!("{most:?}, and timers are {late:?} late");
    drop(lag);
    let took = tally.took + fast.took;
    tally = Tally { took, ..tally.join(fast) };
    assert_eq!(ledger.arrivals(), 0);
    // They are there again, and so is the service.
    for faultd in &faultds {
        faultd.accept();
    }
    let client = mesh.client();
    let began = Instant::now();
    let mut n = 1_000;
    while tally.acknowledged() == 0 {
        assert!(began.elapsed() < Duration::from_secs(8), "it does not come back");
        tally.outcomes.push(load::send(&client, Ask::get(n)).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
        n += 1;
    }
    drop(client);
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], (faultds, ledger)).await;
}

/// Looks all the time, two thousand times a second, how many endpoints are ejected, and gives the most.
fn watch_ejections(mesh: &Mesh, over: &Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let (mesh, over) = (mesh.clone(), Arc::clone(over));
    std::thread::spawn(move || {
        let mut most = 0;
        while !over.load(Ordering::Relaxed) {
            most = most.max(ejected(&mesh));
            std::thread::sleep(Duration::from_micros(500));
        }
        most
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_come_and_go_are_never_ejected_beyond_the_limit() {
    let scenario = Scenario::begin("14 flapping", 20, 48).await;
    let dead = Arc::new(AtomicUsize::new(0));
    let seen_dead = Arc::clone(&dead);
    let ports: Arc<Mutex<Vec<u16>>> = Arc::default();
    let known = Arc::clone(&ports);
    let ledger = Ledger::new(move |seen| {
        let number = known.lock().unwrap().iter().position(|port| *port == seen.at.port());
        Reply::status(if number == Some(seen_dead.load(Ordering::Relaxed)) { 503 } else { 200 })
    });
    let mut addresses = Vec::new();
    for _ in 0..3 {
        let address = ledger.endpoint().await;
        ports.lock().unwrap().push(address.port());
        addresses.push(address);
    }
    let policy = "loadBalancer: {simple: ROUND_ROBIN}, connectionPool: {http: {maxRetries: 8}}, outlierDetection: {consecutive5xxErrors: 3, \
                  interval: 50ms, baseEjectionTime: 100ms, maxEjectionPercent: 34}";
    let rule = "match: [{method: {exact: GET}}], retries: {attempts: 1, retryOn: 5xx, backoff: 1ms}";
    let mesh = scenario.mesh(&addresses, policy, &[rule, ""]).await;
    let over = Arc::new(AtomicBool::new(false));
    let watching = watch_ejections(&mesh, &over);
    let flapping = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            dead.fetch_add(1, Ordering::Relaxed);
            dead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| Some(number % 4)).unwrap();
        }
    });
    let mut tally = Tally::default();
    for round in 0..30 {
        let asks = (0..100).map(|n| Ask::get(round * 100 + n));
        tally = tally.join(load::run(&mesh.client(), 8, asks).await);
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    tally.took = scenario.elapsed();
    flapping.abort();
    over.store(true, Ordering::Relaxed);
    assert_eq!(watching.join().unwrap(), 1, "a third of three is one");
    assert!(tally.acknowledged() * 100 >= tally.requests() * 99, "{:?}", tally.statuses());
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_stays_dead_is_ejected_longer_each_time() {
    let scenario = Scenario::begin("14 dead for good", 20, 48).await;
    let dead = Arc::new(AtomicUsize::new(0));
    let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let (known, noted) = (Arc::clone(&dead), Arc::clone(&asked));
    let ledger = Ledger::new(move |seen| {
        if usize::from(seen.at.port()) != known.load(Ordering::Relaxed) {
            return Reply::ok();
        }
        noted.lock().unwrap().push(Instant::now());
        Reply::status(503)
    });
    let addresses = [ledger.endpoint().await, ledger.endpoint().await, ledger.endpoint().await];
    dead.store(addresses[0].port().into(), Ordering::Relaxed);
    let policy = "outlierDetection: {consecutive5xxErrors: 1, interval: 100ms, baseEjectionTime: 100ms, \
                  maxEjectionPercent: 34}";
    let mesh = scenario.mesh(&addresses, policy, &[""]).await;
    let began = Instant::now();
    let mut tally = Tally::default();
    while began.elapsed() < Duration::from_millis(2_200) {
        tally.outcomes.push(load::send(&mesh.client(), Ask::get(tally.requests())).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tally.took = began.elapsed();
    // Each answer ejects it, so it is asked when it has come back, and not before: after 100, 200, 300 ms and so on.
    let asked = asked.lock().unwrap().clone();
    let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() >= 3, "{pauses:?}");
    for (at_least, pause) in (1..).map(|times| Duration::from_millis(100) * times).zip(&pauses) {
        assert!(*pause + Duration::from_millis(5) >= at_least, "{pauses:?}");
        assert!(*pause <= at_least + Duration::from_millis(300), "{pauses:?}");
    }
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_requests_break_every_endpoint_takes_no_more_of_them_than_the_limit() {
    let scenario = Scenario::begin("45 outlier abuse", 15, 48).await;
    let ledger = Ledger::new(|seen| match &*seen.path {
        "/bad" => Reply::status(500),
        "/missing" => Reply::status(404),
        _ => Reply::ok(),
    });
    let addresses = [ledger.endpoint().await, ledger.endpoint().await, ledger.endpoint().await];
    let policy = "outlierDetection: {consecutive5xxErrors: 3, interval: 100ms, baseEjectionTime: 200ms, \
                  maxEjectionPercent: 34}";
    let mesh = scenario.mesh(&addresses, policy, &["timeout: 2s"]).await;
    let over = Arc::new(AtomicBool::new(false));
    let watching = watch_ejections(&mesh, &over);
    let missing = (0..1_000).map(|n| Ask::get(n).to("http://app/missing"));
    let missing =
        load::run(&mesh.client(), 8, missing.map(|ask| Ask { id: format!("missing-{}", ask.id), ..ask })).await;
    assert_eq!(ejected(&mesh), 0, "an answer below 500 ejects nobody");
    // One after the other, so that they come in a row, beside the good ones.
    let client = mesh.client();
    let bad =
        tokio::spawn(
            async move { load::run(&client, 4, (10_000..11_000).map(|n| Ask::get(n).to("http://app/bad"))).await },
        );
    let good = load::run(&mesh.client(), 8, mixed(20_000, 4_000)).await;
    let bad = bad.await.unwrap();
    over.store(true, Ordering::Relaxed);
    assert_eq!(watching.join().unwrap(), 1, "a third of three is one, and it comes to that");
    assert!(bad.outcomes.iter().all(|outcome| outcome.status == 500), "{:?}", bad.statuses());
    assert_eq!(good.acknowledged(), good.requests(), "{:?}", good.statuses());
    assert_eq!(good.of(&Method::POST).attempts(), good.of(&Method::POST).requests());
    let took = missing.took + good.took;
    let judged = Judged::by(&ledger, &Tally { took, ..good.join(bad).join(missing) });
    scenario.end(judged, [mesh], ledger).await;
}
