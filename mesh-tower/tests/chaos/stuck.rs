//! Endpoints that go on, but not forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;

use crate::content::content;
use crate::faultd::{Fault, Faultd};
use crate::judged::Judged;
use crate::lag::Lag;
use crate::ledger::Ledger;
use crate::load::{self, Ask};
use crate::scenario::{PLAIN, Scenario, app, at_rest};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_stops_reading_is_given_up_in_time() {
    let scenario = Scenario::begin("5 half-open", 10, 64).await;
    let ledger = Ledger::good();
    let faultd = Faultd::start(ledger.endpoint().await, |_| Fault::HalfOpen(1));
    let rules = [
        "match: [{uri: {prefix: /try}}], retries: {attempts: 1, perTryTimeout: 300ms, retryOn: retriable-4xx}",
        "match: [{uri: {prefix: /again}}], retries: {attempts: 1, perTryTimeout: 300ms, retryOn: 5xx}",
        "timeout: 400ms",
    ];
    let mesh = scenario.mesh(&[faultd.address], PLAIN, &rules).await;
    // Far more than sockets hold.
    let body = content(16 * 1024 * 1024);
    let mut all = load::Tally::default();
    let kept = Arc::new(AtomicUsize::new(0));
    let watching = {
        let (mesh, kept) = (mesh.clone(), Arc::clone(&kept));
        tokio::spawn(async move {
            loop {
                kept.fetch_max(mesh.gauges().replay_bytes, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    for (streams, limit) in [(false, 0), (true, 1)] {
        kept.store(0, Ordering::Relaxed);
        for (path, millis) in [("try", 300), ("again", 300), ("", 400)] {
            let ask = Ask { streams, ..Ask::post(limit, &body) }.to(&format!("http://app/{path}"));
            // What may be sent again is no POST.
            let method = if path == "again" { Method::GET } else { Method::POST };
            let ask = Ask { id: format!("{method}-{path}-{streams}"), method, ..ask };
            let sent = tokio::time::timeout(Duration::from_secs(3), load::send(&mesh.client(), ask)).await;
            let outcome = sent.unwrap_or_else(|_| panic!("/{path}, streams: {streams}: no answer in three seconds"));
            assert_eq!((outcome.status, outcome.flags().contains("UT")), (504, true), "/{path}, streams: {streams}");
            assert!(outcome.took >= Duration::from_millis(millis), "/{path}, streams: {streams}: {:?}", outcome.took);
            // Of a body that long nothing is kept for another try, unless it is all there anyway.
            assert_eq!(outcome.info.skipped_retries, u32::from(path == "again" && streams));
            all.outcomes.push(outcome);
            at_rest(std::slice::from_ref(&mesh)).await;
        }
        // 64 KiB of a body that streams are kept unless more is asked for, and one piece may be what goes beyond; one that
        // is all there is the caller's own.
        let kept = kept.load(Ordering::Relaxed);
        assert!(
            kept <= if streams { 64 * 1024 + 8 * 1024 } else { body.len() },
            "streams: {streams}: {kept} bytes kept"
        );
    }
    watching.abort();
    let _ended = watching.await;
    assert!(faultd.taken() < 8 * 64 * 1024, "{} bytes read", faultd.taken());
    let judged = Judged::by(&ledger, &all);
    scenario.end(judged, [mesh], (faultd, ledger)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_answers_byte_by_byte_holds_nobody_longer_than_the_time_limits_say() {
    let scenario = Scenario::begin("6 drip", 10, 48).await;
    let ledger = Ledger::good();
    let slow = Faultd::start(ledger.endpoint().await, |_| Fault::Drip(1));
    let rules = [
        "match: [{uri: {prefix: /try}}], timeout: 5s, retries: {attempts: 1, perTryTimeout: 200ms, retryOn: retriable-4xx}",
        "match: [{uri: {prefix: /total}}], timeout: 500ms, retries: {attempts: 9, perTryTimeout: 200ms, retryOn: 5xx}",
    ];
    let fast = app(&[ledger.endpoint().await], PLAIN, &["timeout: 1s"]).replace("app", "other");
    let mesh = scenario
        .with_text(app(&[slow.address], "connectionPool: {http: {maxRetries: 1000}}", &rules) + &fast)
        .build()
        .await
        .unwrap();
    let client = mesh.client();
    let others = {
        let client = client.clone();
        tokio::spawn(async move {
            let asks = (10_000..11_500).map(|n| Ask::get(n).to("http://other/"));
            load::run(&client, 2, asks).await
        })
    };
    let body = content(32 * 1024);
    let lag = Lag::watch();
    let mut all = load::Tally::default();
    for (path, least) in [("try", 200), ("total", 500)] {
        let asks = (0..10).map(|n| {
            let ask = Ask::post(n, &body).to(&format!("http://app/{path}"));
            Ask { method: Method::GET, id: format!("get-{path}-{n}"), ..ask }
        });
        let tally = load::run(&client, 10, asks).await;
        assert!(tally.outcomes.iter().all(|outcome| outcome.status == 504), "/{path}: {:?}", tally.statuses());
        let (least, most) = (Duration::from_millis(least), tally.percentile(100));
        assert!(tally.outcomes.iter().all(|outcome| outcome.took >= least), "/{path}: none is cut off early");
        // Twenty milliseconds on a machine whose timers come when they are due.
        let late = lag.percentile(100);
        assert!(most <= least + Duration::from_millis(20) + late, "/{path}: {most:?}, and timers are {late:?} late");
        println!("/{path}: {most:?}, and timers are {late:?} late");
        all = all.join(tally);
    }
    drop((lag, client));
    let others = others.await.unwrap();
    assert_eq!(others.acknowledged(), others.requests(), "{:?}", others.statuses());
    assert!(others.percentile(99) < Duration::from_millis(100), "{:?}", others.percentile(99));
    let judged = Judged::by(&ledger, &all.join(others));
    scenario.end(judged, [mesh], (slow, ledger)).await;
}
