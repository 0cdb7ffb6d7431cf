//! Endpoints that go on, but not forward.

use std::time::Duration;

use crate::content::content;
use crate::faultd::{Fault, Faultd};
use crate::ledger::Ledger;
use crate::load::{self, Ask};
use crate::scenario::{PLAIN, Scenario, app, assert_nothing_lost_or_repeated};

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
    for (streams, limit) in [(false, 0), (true, 1)] {
        for (path, millis) in [("try", 300), ("again", 300), ("", 400)] {
            let ask = Ask { streams, ..Ask::post(limit, &body) }.to(&format!("http://app/{path}"));
            let ask = Ask { id: format!("post-{path}-{streams}"), ..ask };
            let sent = tokio::time::timeout(Duration::from_secs(3), load::send(&mesh.client(), ask)).await;
            let outcome = sent.unwrap_or_else(|_| panic!("/{path}, streams: {streams}: no answer in three seconds"));
            assert_eq!((outcome.status, outcome.flags().contains("UT")), (504, true), "/{path}, streams: {streams}");
            assert!(outcome.took >= Duration::from_millis(millis), "/{path}, streams: {streams}: {:?}", outcome.took);
            // Of a body that long nothing is kept for another try, unless it is all there anyway.
            assert_eq!(outcome.info.skipped_retries, u32::from(path == "again" && streams));
            all.outcomes.push(outcome);
        }
    }
    assert!(faultd.taken() < 8 * 64 * 1024, "{} bytes read", faultd.taken());
    scenario.end([mesh], (faultd, ledger)).await;
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
    for (path, least) in [("try", 200), ("total", 500)] {
        let asks = (0..10).map(|n| {
            let ask = Ask::post(n, &body).to(&format!("http://app/{path}"));
            Ask { method: http::Method::GET, id: format!("get-{path}-{n}"), ..ask }
        });
        let tally = load::run(&client, 10, asks).await;
        assert!(tally.outcomes.iter().all(|outcome| outcome.status == 504), "/{path}: {:?}", tally.statuses());
        let (least, most) = (Duration::from_millis(least), tally.percentile(50));
        assert!(tally.outcomes.iter().all(|outcome| outcome.took >= least), "/{path}: none is cut off early");
        assert!(most <= least + Duration::from_millis(20), "/{path}: {most:?}");
        assert!(tally.percentile(100) <= least + Duration::from_millis(200), "/{path}: {:?}", tally.percentile(100));
    }
    let others = others.await.unwrap();
    assert_eq!(others.acknowledged(), others.requests(), "{:?}", others.statuses());
    assert!(others.percentile(99) < Duration::from_millis(100), "{:?}", others.percentile(99));
    assert_nothing_lost_or_repeated(&ledger, &others);
    scenario.end([mesh], (slow, ledger)).await;
}
