//! Panics of what the user of a mesh brings along: each fails the request it happens to, and no other.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_tower::inbound::{CheckAnswer, CheckRequest, Checking, ExternalAuthorizer};
use mesh_tower::serve::ServeOptions;
use mesh_tower::{Body, Mesh};

use crate::content::{Hash, content};
use crate::judged::Judged;
use crate::ledger::{ID, Ledger};
use crate::load::{self, Ask};
use crate::scenario::{PLAIN, Scenario, app, speaking};
use crate::served::Served;
use crate::watch::ON_PURPOSE;

/// Of so many requests one panics.
const EACH: usize = 100;

/// What panics next, in turns.
const KINDS: [&str; 7] = ["handler", "later", "answer", "request", "kept", "asked", "asked-later"];

/// An application that panics where the path says so. Whatever else reaches it the ledger is told.
async fn panicking(ledger: Ledger, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    match parts.uri.path() {
        "/handler" => panic!("{ON_PURPOSE}"),
        "/later" => {
            tokio::time::sleep(Duration::from_millis(1)).await;
            panic!("{ON_PURPOSE}")
        }
        "/answer" => {
            let frames = futures_util::stream::iter(0..3).then(|n| async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(n < 2, "{ON_PURPOSE}");
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"piece")))
            });
            Ok(Response::new(Body::new(StreamBody::new(frames))))
        }
        _ => {
            let id = parts.headers[ID].to_str().unwrap();
            let Ok(content) = body.collect().await else {
                return Ok(Response::builder().status(400).body(Body::from("it broke off")).unwrap());
            };
            let content = content.to_bytes();
            ledger.note(id, &parts.method, &content);
            Ok(Response::new(Body::from(format!("{id} {}", Hash::of(&content)))))
        }
    }
}

/// Lets everybody in, or panics, where the path says so.
#[derive(Debug)]
struct Panicking;

impl ExternalAuthorizer for Panicking {
    fn check(&self, request: CheckRequest) -> Checking {
        let path = request.uri.path().to_owned();
        assert!(path != "/asked", "{ON_PURPOSE}");
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert!(path != "/asked-later", "{ON_PURPOSE}");
            CheckAnswer::Allow(HeaderMap::new().into())
        })
    }
}

const ASKS: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: asks, namespace: default}
spec: {action: CUSTOM, provider: {name: ask}, rules: [{to: [{operation: {paths: ['/asked*', '/even']}}]}]}
";

/// The requests of one protocol.
fn asks(from: usize, body: &Bytes) -> impl Iterator<Item = Ask> {
    (from..from + 25_000).map(move |n| {
        let ask = if n % 2 == 0 { Ask::get(n) } else { Ask::post(n, body) };
        if n % EACH == 0 {
            let kind = KINDS[n / EACH % KINDS.len()];
            let panics = ["request", "kept"].contains(&kind);
            let ask = if panics { Ask::post(n, body) } else { ask };
            return Ask { panics, id: format!("{kind}-{n}"), ..ask.to(&format!("http://app/{kind}")) };
        }
        ask.to(if n % 4 == 0 { "http://app/even" } else { "http://app/" })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_what_a_user_brings_along_fails_the_request_it_was_made_for_and_no_other() {
    let mut scenario = Scenario::begin("26 panics", 15, 96).await;
    let ledger = Ledger::good();
    let builder = Mesh::builder().workload("default/app").config_yaml("asks.yaml", ASKS);
    let own = builder.external_authorizer("ask", Panicking).build().await.unwrap();
    let noting = ledger.clone();
    let served = Served::with(own, |_| tower::service_fn(move |request| panicking(noting.clone(), request))).await;
    let body = content(500);
    let (mut meshes, mut tally) = (vec![served.mesh.clone()], load::Tally::default());
    for (from, protocol) in [(0, "HTTP"), (25_000, "HTTP2")] {
        let kept = "match: [{uri: {exact: /kept}}], retries: {attempts: 2, retryOn: reset, backoff: 1ms}";
        let text = app(&[served.address], PLAIN, &[kept, "timeout: 5s"]);
        let mesh = scenario.with_text(speaking(protocol, &text)).build().await.unwrap();
        let part = load::run(&mesh.client(), 16, asks(from, &body)).await;
        for outcome in &part.outcomes {
            let kind = outcome.id.rsplit_once('-').unwrap().0;
            match kind {
                "get" | "post" => assert!(outcome.is_acknowledged(), "{protocol}: {outcome:?}"),
                "answer" => assert!(outcome.status == 200 && !outcome.is_complete, "{protocol}: {outcome:?}"),
                "request" | "kept" => assert_ne!(outcome.status, 200, "{protocol}: {outcome:?}"),
                _ => assert_eq!(outcome.status, 500, "{protocol}: {outcome:?}"),
            }
        }
        let took = tally.took + part.took;
        tally = load::Tally { took, ..tally.join(part) };
        meshes.push(mesh);
    }
    // Each stands in the log.
    scenario.errors = 50_000 / EACH;
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, meshes, served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_what_is_added_to_requests_leaves_the_others_of_the_connection_alone() {
    let mut scenario = Scenario::begin("26 panics of extensions", 15, 48).await;
    let ledger = Ledger::good();
    let noting = ledger.clone();
    let calls = AtomicUsize::new(0);
    let options = ServeOptions::new().extension(move |_| {
        assert!(calls.fetch_add(1, Ordering::Relaxed) % EACH != 50, "{ON_PURPOSE}");
        "added"
    });
    let own = Mesh::builder().workload("default/app").build().await.unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let answer = |_| tower::service_fn(move |request| panicking(noting.clone(), request));
    let served = Served::at(any, own, options, answer).await;
    let (mut meshes, mut tally) = (vec![served.mesh.clone()], load::Tally::default());
    for (from, protocol) in [(0, "HTTP"), (2_000, "HTTP2")] {
        let text = speaking(protocol, &app(&[served.address], PLAIN, &["timeout: 5s"]));
        let mesh = scenario.with_text(text).build().await.unwrap();
        let part = load::run(&mesh.client(), 16, (from..from + 2_000).map(Ask::get)).await;
        let failed = part.outcomes.iter().filter(|outcome| outcome.status == 500).count();
        assert_eq!((failed, part.acknowledged()), (20, 1_980), "{protocol}: {:?}", part.statuses());
        let took = tally.took + part.took;
        tally = load::Tally { took, ..tally.join(part) };
        meshes.push(mesh);
    }
    scenario.errors = 40;
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, meshes, served).await;
}
