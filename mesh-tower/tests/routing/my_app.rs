//! The how-to's files for callers in the mesh, each in a set of its own.

use std::time::Duration;

use http::Request;
use mesh_tower::{Body, Mesh};

use super::how_to::{MyApp, URL};
use crate::support::ask::{ask, send, shares};
use crate::support::raw::{Does, Raw};
use crate::support::refusing::Refusing;
use crate::support::{documents, lies_in_band};

#[tokio::test]
async fn the_canary_takes_those_who_ask_for_it_and_five_in_a_hundred() {
    const REQUESTS: usize = 2_000;
    let Some(app) = MyApp::start().await else { return };
    let client = app.caller(&["destinationrule-my-app.yaml", "virtualservice-my-app-canary.yaml"]).await.client();
    shares(&client, URL, &[("x-canary", "true")], 100).await;
    assert_eq!((app.v1.count(), app.v2.count()), (0, 100));
    shares(&client, URL, &[("x-canary", "True")], REQUESTS).await;
    let counts = (app.v1.count(), app.v2.count() - 100);
    assert_eq!(counts.0 + counts.1, REQUESTS);
    assert!(lies_in_band(counts.0, REQUESTS, 95.0), "{counts:?}");
}

#[tokio::test]
async fn the_mirror_gets_a_copy_of_every_request_and_never_a_say() {
    const REQUESTS: usize = 200;
    let Some(app) = MyApp::start().await else { return };
    let client = app.caller(&["destinationrule-my-app.yaml", "virtualservice-my-app-mirror.yaml"]).await.client();
    // A mirror that fails is nobody's trouble.
    app.v2.fail(REQUESTS / 2);
    let by = shares(&client, URL, &[("x-mark", "a")], REQUESTS).await;
    assert_eq!(by.into_keys().collect::<Vec<_>>(), ["v1"]);
    app.v2.has_seen(REQUESTS).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((app.v1.count(), app.v2.count()), (REQUESTS, REQUESTS));
    let ids = |upstream: &crate::support::upstream::Upstream| {
        let mut ids: Vec<String> = upstream.seen().iter().map(|seen| seen.header("x-request-id").to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&app.v1), ids(&app.v2), "each request and its copy have one id");
    let (request, copy) = (app.v1.seen().pop().unwrap(), app.v2.seen().pop().unwrap());
    assert_eq!((copy.header("host"), copy.header("x-mark")), (request.header("host"), "a"));
    assert_eq!((request.header("x-envoy-internal"), copy.header("x-envoy-internal")), ("", "true"));
}

#[tokio::test]
async fn a_body_goes_to_the_mirror_too() {
    let Some(app) = MyApp::start().await else { return };
    let client = app.caller(&["destinationrule-my-app.yaml", "virtualservice-my-app-mirror.yaml"]).await.client();
    let answer = send(&client, Request::post(URL).body(Body::from("a review")).unwrap()).await;
    assert_eq!((answer.status, answer.echo("method")), (200, "POST".into()));
    app.v2.has_seen(1).await;
    assert_eq!([&app.v1, &app.v2].map(|upstream| upstream.seen()[0].body.clone()), ["a review"; 2]);
}

#[tokio::test]
async fn a_mirror_that_hangs_delays_nobody() {
    let Some(app) = MyApp::start().await else { return };
    let client = app.caller(&["destinationrule-my-app.yaml", "virtualservice-my-app-mirror.yaml"]).await.client();
    app.v2.hold();
    for _ in 0..20 {
        let answer = ask(&client, URL, &[]).await;
        assert_eq!((answer.status, answer.by()), (200, "v1".into()));
        assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
    }
    app.v2.has_seen(20).await;
}

const RESILIENCE: &[&str] = &["virtualservice-my-app-resilience.yaml"];

/// A caller whose `my-app` is at one place only.
async fn with_one_endpoint(app: &MyApp, address: std::net::SocketAddr) -> Mesh {
    let documents = documents::service("my-app", 8080, &[("v1", address)]);
    app.build(Mesh::builder().workload("default/caller"), RESILIENCE, &documents).await
}

#[tokio::test]
async fn two_failures_are_tried_again_and_four_are_one_too_many() {
    let Some(app) = MyApp::start().await else { return };
    let client = with_one_endpoint(&app, app.v1.address).await.client();
    app.v1.fail(2);
    let answer = ask(&client, URL, &[]).await;
    assert_eq!((answer.status, answer.echo("attempt"), answer.info.attempts()), (200, "3".into(), 3));
    assert_eq!(answer.flags(), "-");
    app.v1.fail(4);
    let answer = ask(&client, URL, &[]).await;
    assert_eq!((answer.status, answer.flags(), answer.info.details()), (503, "URX".into(), "via_upstream"));
    assert_eq!(answer.by(), "v1", "the answer of the last try passes through");
    let seen = app.v1.seen();
    let attempts: Vec<_> = seen.iter().map(|seen| seen.header("x-envoy-attempt-count")).collect();
    assert_eq!(attempts, ["1", "2", "3", "1", "2", "3", "4"]);
    let told: Vec<_> = seen.iter().map(|seen| seen.header("x-envoy-expected-rq-timeout-ms")).collect();
    assert!(told.iter().all(|told| *told == "2000"), "each try has two seconds: {told:?}");
}

#[tokio::test]
async fn a_body_is_sent_whole_with_each_try() {
    let Some(app) = MyApp::start().await else { return };
    let client = with_one_endpoint(&app, app.v1.address).await.client();
    app.v1.fail(2);
    let body = "stars ".repeat(5_000);
    let answer = send(&client, Request::post(URL).body(Body::from(body.clone())).unwrap()).await;
    assert_eq!((answer.status, answer.info.attempts()), (200, 3));
    let bodies: Vec<_> = app.v1.seen().into_iter().map(|seen| seen.body).collect();
    assert!(bodies.len() == 3 && bodies.iter().all(|sent| *sent == body), "{} tries", bodies.len());
}

#[tokio::test]
async fn a_try_that_takes_over_two_seconds_is_given_up_for_another() {
    let Some(app) = MyApp::start().await else { return };
    let client = with_one_endpoint(&app, app.v1.address).await.client();
    app.v1.delay_next(Duration::from_secs(6));
    let answer = ask(&client, URL, &[]).await;
    assert_eq!((answer.status, answer.info.attempts(), app.v1.count()), (200, 2, 2));
    assert!((2_000..5_000).contains(&answer.took.as_millis()), "{:?}", answer.took);
}

#[tokio::test]
async fn four_tries_of_two_seconds_end_before_the_timeout_of_ten() {
    let Some(app) = MyApp::start().await else { return };
    let hanging = Raw::start(Does::Hang).await;
    let answer = ask(&with_one_endpoint(&app, hanging.address).await.client(), URL, &[]).await;
    assert_eq!((answer.status, &*answer.body, answer.flags()), (504, "upstream request timeout", "URX,UT".into()));
    assert_eq!((answer.info.details(), answer.info.attempts()), ("upstream_per_try_timeout", 4));
    assert!((8_000..10_000).contains(&answer.took.as_millis()), "{:?}", answer.took);
    assert_eq!(hanging.count(), 4);
}

#[tokio::test]
async fn an_endpoint_that_refuses_or_closes_is_tried_around() {
    let Some(app) = MyApp::start().await else { return };
    let (refusing, closing) = (Refusing::new(), Raw::start(Does::Close).await);
    for bad in [refusing.address, closing.address] {
        let documents = documents::service("my-app", 8080, &[("v1", bad), ("v2", app.v2.address)]);
        let mesh = app.build(Mesh::builder().workload("default/caller"), RESILIENCE, &documents).await;
        let mut tries = 0;
        for _ in 0..30 {
            let answer = ask(&mesh.client(), URL, &[]).await;
            assert_eq!((answer.status, answer.by()), (200, "v2".into()));
            tries += answer.info.attempts();
        }
        assert!(tries > 30, "some went to the bad endpoint first");
    }
}
