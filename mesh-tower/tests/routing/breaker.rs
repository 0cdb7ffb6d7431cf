//! The how-to's two DestinationRules: limits, requests per connection, ejection.

use mesh_tower::mesh_config::{Code, Severity};
use mesh_tower::{Mesh, MeshClient};
use tokio::task::JoinSet;

use super::how_to::{MyApp, URL};
use crate::support::ask::{Answer, ask, shares};
use crate::support::documents::{policy, service, virtual_service};
use crate::support::upstream::Upstream;

/// Asks this often at once.
fn ask_at_once(client: &MeshClient, requests: usize) -> JoinSet<Answer> {
    let mut asked = JoinSet::new();
    for _ in 0..requests {
        let client = client.clone();
        asked.spawn(async move { ask(&client, URL, &[]).await });
    }
    asked
}

/// Asks one after the other, without an answer, until this many requests are under way.
async fn fill(app: &MyApp, client: &MeshClient, requests: usize) -> JoinSet<Answer> {
    let mut asked = JoinSet::new();
    for n in 0..requests {
        let client = client.clone();
        asked.spawn(async move { ask(&client, URL, &[]).await });
        while app.v1.count() + app.v2.count() <= n {
            tokio::task::yield_now().await;
        }
    }
    asked
}

fn assert_overflow(answer: &Answer) {
    let body = "upstream connect error or disconnect/reset before headers. reset reason: overflow";
    assert_eq!((answer.status, &*answer.body, answer.flags()), (503, body, "UO".into()));
    assert_eq!(answer.header("x-envoy-overloaded"), "true");
    assert_eq!(answer.info.details(), "upstream_reset_before_response_started{overflow}");
}

#[tokio::test]
async fn no_connection_carries_more_than_two_requests() {
    let Some(app) = MyApp::start().await else { return };
    let client = app.caller(&["destinationrule-my-app-cb.yaml"]).await.client();
    for _ in 0..40 {
        assert_eq!(ask(&client, URL, &[]).await.status, 200);
    }
    shares(&client, URL, &[], 200).await;
    for upstream in [&app.v1, &app.v2] {
        let connections = upstream.connections();
        assert!(connections.values().all(|requests| *requests <= 2), "{connections:?}");
        assert!(connections.values().any(|requests| *requests == 2), "they are used again: {connections:?}");
    }
}

#[tokio::test]
async fn a_hundred_connections_ten_waiting_and_the_rest_turned_away() {
    let Some(app) = MyApp::start().await else { return };
    let client = app.caller(&["destinationrule-my-app-cb.yaml"]).await.client();
    app.v1.hold();
    app.v2.hold();
    let under_way = fill(&app, &client, 100).await;
    let mut more = ask_at_once(&client, 60);
    for _ in 0..50 {
        assert_overflow(&more.join_next().await.unwrap().unwrap());
    }
    assert_eq!(app.v1.connections().len() + app.v2.connections().len(), 100);
    assert_eq!(app.v1.count() + app.v2.count(), 100, "the ten wait for a connection");
    app.v1.let_go();
    app.v2.let_go();
    let answers = under_way.join_all().await.into_iter().chain(more.join_all().await);
    assert_eq!(answers.map(|answer| answer.status).collect::<Vec<_>>(), [200; 110]);
    assert_eq!(app.v1.count() + app.v2.count(), 110);
}

#[tokio::test]
async fn five_errors_eject_one_of_two_endpoints() {
    let Some(app) = MyApp::start().await else { return };
    let client = app.caller(&["destinationrule-my-app-cb.yaml"]).await.client();
    app.v1.fail(usize::MAX);
    while app.v1.count() < 5 {
        let answer = ask(&client, URL, &[]).await;
        assert_eq!(answer.status, if answer.by() == "v1" { 503 } else { 200 });
    }
    let by = shares(&client, URL, &[], 100).await;
    assert_eq!((by["v2"], app.v1.count()), (100, 5), "it gets nothing for half a minute");
    // With the other one out of order too, half is all that may be ejected.
    app.v2.fail(usize::MAX);
    for _ in 0..20 {
        let answer = ask(&client, URL, &[]).await;
        assert_eq!((answer.status, answer.by()), (503, "v2".into()));
    }
}

#[tokio::test]
async fn ten_per_cent_of_two_endpoints_eject_nobody_and_the_report_says_so() {
    let Some(app) = MyApp::start().await else { return };
    let mesh = app.caller(&["destinationrule-my-app.yaml"]).await;
    app.v1.fail(usize::MAX);
    for _ in 0..80 {
        ask(&mesh.client(), URL, &[]).await;
    }
    assert!(app.v1.count() > 20, "{} of 80", app.v1.count());
    let report = mesh.report();
    let finding = report.iter().find(|finding| finding.code == Code::IMPOSSIBLE_EJECTION).expect("it is pointed out");
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.message.contains("10 % (the default) of 2 endpoints"), "{finding}");
}

/// As in Envoy a request counts once it has a connection: at as many connections the next ones wait.
#[tokio::test]
async fn with_a_hundred_requests_on_a_hundred_connections_fifty_more_wait_by_the_other_rule() {
    let Some(app) = MyApp::start().await else { return };
    let client = app.caller(&["destinationrule-my-app.yaml"]).await.client();
    app.v1.hold();
    app.v2.hold();
    let under_way = fill(&app, &client, 100).await;
    let mut more = ask_at_once(&client, 60);
    for _ in 0..10 {
        assert_overflow(&more.join_next().await.unwrap().unwrap());
    }
    assert_eq!(app.v1.count() + app.v2.count(), 100);
    app.v1.let_go();
    app.v2.let_go();
    let answers = under_way.join_all().await.into_iter().chain(more.join_all().await);
    assert_eq!(answers.map(|answer| answer.status).collect::<Vec<_>>(), [200; 150]);
    assert_eq!(ask(&client, URL, &[]).await.status, 200);
}

#[tokio::test]
async fn a_field_that_istio_no_longer_heeds_is_pointed_out() {
    let Some(app) = MyApp::start().await else { return };
    for (file, line) in [("destinationrule-my-app-cb.yaml", 15), ("destinationrule-my-app.yaml", 18)] {
        let report = app.caller(&[file]).await.report();
        let found = report.iter().find(|finding| finding.message.contains("consecutive errors is deprecated"));
        let found = found.unwrap_or_else(|| panic!("{file}: {report}"));
        assert_eq!((found.severity, found.origin.line), (Severity::Warning, line), "{found}");
        assert!(found.origin.file.ends_with(file), "{found}");
    }
}

/// One endpoint that a single error ejects.
const TOUCHY: &str = "outlierDetection: {consecutive5xxErrors: 1, consecutiveGatewayErrors: 1, maxEjectionPercent: 100, \
                      interval: 300s, baseEjectionTime: 300s}";

#[tokio::test]
async fn who_waits_for_a_connection_in_vain_holds_nothing_against_the_endpoint() {
    let up = Upstream::start("up").await;
    let rules = [
        "timeout: 100ms, match: [{uri: {prefix: /short}}], route: [{destination: {host: app}}]",
        "route: [{destination: {host: app}}]",
    ];
    let limits = format!("connectionPool: {{tcp: {{maxConnections: 1}}}}, {TOUCHY}");
    let text = service("app", 80, &[("v1", up.address)]) + &policy("app", &limits) + &virtual_service("app", &rules);
    let mesh = Mesh::builder().workload("default/caller").config_yaml("app.yaml", text).build().await.unwrap();
    let client = mesh.client();
    up.hold();
    let first = tokio::spawn(async move { ask(&client, "http://app/", &[]).await });
    up.has_seen(1).await;
    let late = ask(&mesh.client(), "http://app/short", &[]).await;
    assert_eq!((late.status, late.flags()), (504, "UT".into()));
    assert_eq!(up.count(), 1, "it was still waiting for the connection");
    up.let_go();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(ask(&mesh.client(), "http://app/", &[]).await.status, 200, "the endpoint is not ejected");
    // One that has reached it counts.
    up.hold();
    assert_eq!(ask(&mesh.client(), "http://app/short", &[]).await.status, 504);
    up.let_go();
    assert_eq!(ask(&mesh.client(), "http://app/", &[]).await.flags(), "UH");
}

#[tokio::test]
async fn a_request_that_needs_tls_which_cannot_be_made_is_refused_once_and_ejects_nobody() {
    let up = Upstream::start("up").await;
    let rules = ["retries: {attempts: 3, retryOn: 'connect-failure,5xx,reset'}, route: [{destination: {host: app}}]"];
    // This process has no certificate to show.
    let tls = format!("tls: {{mode: ISTIO_MUTUAL}}, {TOUCHY}");
    let text = service("app", 80, &[("v1", up.address)]) + &policy("app", &tls) + &virtual_service("app", &rules);
    let mesh = Mesh::builder().workload("default/caller").config_yaml("app.yaml", text).build().await.unwrap();
    for _ in 0..3 {
        // Never `UH`: the endpoint is not ejected.
        let answer = ask(&mesh.client(), "http://app/", &[]).await;
        assert_eq!((answer.status, answer.flags(), up.count()), (503, "UF".into(), 0));
        assert_eq!(answer.info.attempts(), 1);
    }
}
