//! Panics inside of layers that stand alone: slots come back, and no lock stays poisoned.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use mesh_tower::balance::BalanceLayer;
use mesh_tower::limit::LimitLayer;
use mesh_tower::mesh_core::lb::LbSpec;
use mesh_tower::mesh_core::retry::RetryPolicy;
use mesh_tower::mirror::MirrorLayer;
use mesh_tower::outlier::OutlierLayer;
use mesh_tower::retry::RetryLayer;
use mesh_tower::timeout::TimeoutLayer;
use mesh_tower::{Body, BoxError};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::judged::Judged;
use crate::ledger::{ID, Ledger};
use crate::scenario::{Scenario, eventually};
use crate::watch::ON_PURPOSE;

const REQUESTS: usize = 10_000;

/// Every hundredth request asks for one of these; `again` is answered well the second time.
const KINDS: [&str; 5] = ["service", "classifier", "classifier-later", "again", "mirror"];

/// Does what the path says, other things at first than when it is tried again.
async fn service(ledger: Ledger, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let id = request.headers()[ID].to_str()?;
    ledger.note(id, &Method::GET, &[]);
    let is_first = ledger.entry(id).begun == 1;
    let path = request.uri().path().to_owned();
    tokio::task::yield_now().await;
    match (&*path, is_first) {
        ("/service", _) => panic!("{ON_PURPOSE}"),
        ("/classifier", _) | ("/classifier-later", false) => Err("to be classified".into()),
        ("/classifier-later" | "/again", true) => Ok(Response::builder().status(503).body(Body::empty())?),
        _ => Ok(Response::new(Body::from("fine"))),
    }
}

/// A classifier that knows no errors.
fn classify(error: &BoxError) -> bool {
    panic!("{ON_PURPOSE}: {error}")
}

async fn shadow(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    tokio::task::yield_now().await;
    assert!(request.uri().path() != "/mirror", "{ON_PURPOSE}");
    Ok(Response::new(Body::empty()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_between_layers_gives_back_what_they_hold() {
    let scenario = Scenario::begin("26 panics between layers", 15, 48).await;
    let ledger = Ledger::good();
    let policy = RetryPolicy::new(1, "5xx").backoff(Duration::from_millis(1));
    let retry = RetryLayer::new(policy).unsent(classify).seed(scenario.seed);
    let limit = LimitLayer::new(16);
    let mirror = MirrorLayer::new(service_fn(shadow), 100.0);
    let balance =
        BalanceLayer::new(LbSpec::default(), ["10.0.0.1:80".parse().unwrap(), "10.0.0.2:80".parse().unwrap()]);
    let noting = ledger.clone();
    let app = ServiceBuilder::new()
        .layer(retry.clone())
        .layer(limit.clone())
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .layer(mirror.clone())
        .layer(balance.clone())
        .layer(OutlierLayer::consecutive_5xx(1_000))
        .service(service_fn(move |request| service(noting.clone(), request)));
    let calls = (0..REQUESTS).map(|n| {
        let kind = if n % 100 == 0 { KINDS[n / 100 % KINDS.len()] } else { "" };
        let request =
            Request::get(format!("http://app/{kind}")).header(ID, format!("get-{n}")).body(Body::empty()).unwrap();
        let app = app.clone();
        async move {
            let answer = tokio::spawn(async move {
                let answer = app.oneshot(request).await?;
                let status = answer.status().as_u16();
                answer.into_body().collect().await.map(|_| status)
            });
            (kind, answer.await.map(Result::ok))
        }
    });
    let began = tokio::time::Instant::now();
    let mut asked = futures_util::stream::iter(calls).buffer_unordered(16);
    while let Some((kind, answer)) = asked.next().await {
        match kind {
            "service" | "classifier" | "classifier-later" => {
                assert!(answer.as_ref().is_err_and(tokio::task::JoinError::is_panic), "{kind}: {answer:?}");
            }
            _ => assert_eq!(answer.unwrap(), Some(200), "{kind}"),
        }
    }
    drop(asked);
    let took = began.elapsed();
    assert_eq!(limit.in_use(), 0);
    assert!(balance.active().iter().all(|(_, active)| *active == 0), "{:?}", balance.active());
    eventually("the copies have ended", || mirror.copies() == 0).await.unwrap();
    // Each retry would have kept its slot, of which there are three for so few requests at once.
    assert_eq!(retry.refused(), 0);
    let entries = ledger.entries();
    let sent = |kind: usize| entries.values().filter(|entry| entry.begun == kind).count();
    // Those that are tried again, and one of the classifier's which never came to that.
    assert_eq!((sent(1), sent(2)), (REQUESTS - 40, 40));
    scenario.end(Judged::counted(REQUESTS, ledger.arrivals(), took), [], Arc::new(ledger)).await;
}
