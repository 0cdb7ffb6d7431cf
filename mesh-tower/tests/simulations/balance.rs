//! Hashing and priorities.

use std::collections::{BTreeMap, BTreeSet};

use mesh_tower::testing::{Reply, TestMesh, Workload};

use super::{GET, NO_RETRIES, Setting, secs};

const EJECTS: &str = "outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 100}";

/// Near the caller and far from it, two endpoints each.
async fn near_and_far(policy: &str) -> TestMesh {
    let builder = Setting { policy, rule: NO_RETRIES }
        .with(Workload::of("a").named("near").locality("west/one/rack").replicas(2))
        .with(Workload::of("a").named("far").locality("east/two/rack").replicas(2));
    builder.configure(|mesh| mesh.locality("west/one/rack")).start().await
}

/// How many of so many requests went to a workload.
async fn share(mesh: &TestMesh, name: &str, requests: usize) -> usize {
    mesh.forget_calls();
    mesh.run(GET).times(requests).await;
    mesh.calls_to(name).len()
}

#[tokio::test(start_paused = true)]
async fn endpoints_nearby_take_everything_until_they_are_ejected_and_again_after_that() {
    let mesh = near_and_far(EJECTS).await;
    assert_eq!(share(&mesh, "near", 100).await, 100);
    mesh.reply("near", &Reply::status(503));
    mesh.run(GET).times(60).await;
    mesh.assert_ejected("near");
    assert_eq!(share(&mesh, "far", 100).await, 100);
    mesh.reply("near", &Reply::status(200));
    mesh.advance(secs(40)).await;
    assert_eq!(share(&mesh, "near", 100).await, 100);
}

#[tokio::test(start_paused = true)]
async fn one_of_two_nearby_leaves_three_requests_in_ten_to_those_far_away() {
    let mesh = near_and_far(EJECTS).await;
    mesh.reply("near/0", &Reply::status(503));
    mesh.run(GET).times(40).await;
    assert_eq!(mesh.ejected(), ["near/0"]);
    // 140 % of a half is 70 %; five standard deviations.
    let near = share(&mesh, "near", 3_000).await;
    assert!(near.abs_diff(2_100) < 125, "{near} of 3000");
}

#[tokio::test(start_paused = true)]
async fn without_outlier_detection_endpoints_far_away_are_as_good_as_others() {
    let mesh = near_and_far("loadBalancer: {simple: RANDOM}").await;
    let near = share(&mesh, "near", 1_000).await;
    assert!(near.abs_diff(500) < 80, "{near} of 1000");
}

#[tokio::test(start_paused = true)]
async fn a_distribution_is_kept() {
    let mesh = near_and_far(
        "loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {distribute: [{from: west/one/*, to: {west/one/*: 80, east/two/*: 20}}]}}",
    )
    .await;
    let near = share(&mesh, "near", 1_000).await;
    assert!(near.abs_diff(800) < 64, "{near} of 1000");
}

/// Where each user's requests go.
async fn places(mesh: &TestMesh, users: usize) -> BTreeMap<usize, String> {
    let mut places = BTreeMap::new();
    for user in 0..users {
        mesh.forget_calls();
        mesh.run(GET).header("x-user", &user.to_string()).times(2).await;
        let calls = mesh.calls();
        assert_eq!(calls[0].endpoint(), calls[1].endpoint(), "user {user} stays");
        places.insert(user, calls[0].endpoint().to_owned());
    }
    places
}

const RING: &str = "consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 4096}}";
const MAGLEV: &str = "consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 5003}}";

#[tokio::test(start_paused = true)]
async fn when_an_endpoint_is_ejected_its_users_move_and_hardly_any_others() {
    // The ring stays as large: 9 endpoints have 456 places each where 10 had 410, and a tenth of the users meet one of
    // the new ones. Maglev fills a table of one size with as little change.
    for (hash, others_may_move) in [(RING, 80), (MAGLEV, 30)] {
        let policy = format!("loadBalancer: {{{hash}}}, {EJECTS}");
        let mesh = Setting { policy: &policy, rule: NO_RETRIES }.endpoints(10, Reply::status(200)).await;
        let before = places(&mesh, 600).await;
        assert_eq!(before.values().collect::<BTreeSet<_>>().len(), 10);
        let lost = before[&0].clone();
        mesh.reply(&lost, &Reply::status(503));
        mesh.run(GET).header("x-user", "0").times(3).await;
        mesh.assert_ejected(&lost);
        let after = places(&mesh, 600).await;
        assert!(after.values().all(|place| *place != lost));
        let moved = before.iter().filter(|(user, place)| **place != lost && after[user] != **place).count();
        assert!(moved <= others_may_move, "{hash}: {moved} moved that need not have");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_header_requests_go_anywhere() {
    let policy = format!("loadBalancer: {{{RING}}}");
    let mesh = Setting { policy: &policy, rule: NO_RETRIES }.endpoints(4, Reply::status(200)).await;
    mesh.run(GET).times(400).await;
    for endpoint in 0..4 {
        mesh.assert_calls(&format!("a/{endpoint}"), 57..=143);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_is_made_where_there_is_none_and_sticks() {
    let policy = "loadBalancer: {consistentHash: {httpCookie: {name: sess, path: /p, ttl: 60s}}}";
    let mesh = Setting { policy, rule: NO_RETRIES }.endpoints(8, Reply::status(200)).await;
    let run = mesh.run(GET).times(20).await;
    let mut cookies = BTreeSet::new();
    for answer in &run {
        let made = answer.header("set-cookie").unwrap();
        assert!(made.starts_with("sess=\"") && made.ends_with("\"; Max-Age=60; Path=/p; HttpOnly"), "{made}");
        cookies.insert(made.split(';').next().unwrap().to_owned());
    }
    let first_places: Vec<_> = mesh.calls().iter().map(|call| call.endpoint().to_owned()).collect();
    assert_eq!(cookies.len(), 20, "each caller gets its own");
    for (answer, place) in run.iter().zip(first_places) {
        mesh.forget_calls();
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap();
        let again = mesh.run(GET).header("cookie", cookie).await;
        assert_eq!(again[0].header("set-cookie"), None);
        assert_eq!(mesh.calls()[0].endpoint(), place);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hashed_request_is_tried_again_where_it_was_unless_others_are_asked_for() {
    let policy = format!("loadBalancer: {{{RING}}}");
    for (avoid, places) in [("", 1), (", retryIgnorePreviousHosts: true", 4), (", retryIgnorePreviousHosts: false", 1)]
    {
        let rule = format!("retries: {{attempts: 3, retryOn: 5xx{avoid}}}");
        let mesh = Setting { policy: &policy, rule: &rule }.endpoints(8, Reply::status(503)).await;
        mesh.run(GET).header("x-user", "ann").await.assert_tries(4);
        let asked: BTreeSet<_> = mesh.calls().iter().map(|call| call.endpoint().to_owned()).collect();
        assert_eq!(asked.len(), places, "{avoid}");
    }
}
