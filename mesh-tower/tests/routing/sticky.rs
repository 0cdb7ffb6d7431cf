//! Requests that stick to an endpoint, on the wire.

use std::collections::BTreeSet;

use mesh_tower::{Mesh, MeshClient};

use crate::support::ask::{Answer, ask};
use crate::support::documents::{policy, service, virtual_service};
use crate::support::upstream::Upstream;

const URL: &str = "http://app/";

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A caller of four endpoints that are balanced by a hash.
async fn caller(hash: &str, rules: &[&str]) -> (Mesh, Vec<Upstream>) {
    let mut upstreams = Vec::new();
    for name in NAMES {
        upstreams.push(Upstream::start(name).await);
    }
    let endpoints: Vec<_> = upstreams.iter().map(|upstream| ("v1", upstream.address)).collect();
    let balancer = format!("loadBalancer: {{consistentHash: {{{hash}}}}}");
    let mut text = service("app", 80, &endpoints) + &policy("app", &balancer);
    if !rules.is_empty() {
        text += &virtual_service("app", rules);
    }
    let mesh = Mesh::builder().workload("default/caller").config_yaml("app.yaml", text).build().await.unwrap();
    (mesh, upstreams)
}

/// Who answers when asked ten times with these headers.
async fn who(client: &MeshClient, url: &str, lines: &[(&str, &str)]) -> BTreeSet<String> {
    let mut who = BTreeSet::new();
    for _ in 0..10 {
        let answer = ask(client, url, lines).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (200, ""));
        who.insert(answer.by());
    }
    who
}

/// What a browser would send back.
fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_cookie_that_was_made_leads_back_to_the_same_endpoint() {
    let (mesh, _upstreams) = caller("httpCookie: {name: sess, ttl: 60s, path: /app}", &[]).await;
    let client = mesh.client();
    let mut all = BTreeSet::new();
    for _ in 0..24 {
        let first = ask(&client, URL, &[]).await;
        let cookie = cookie_of(&first);
        let expected = format!("{cookie}; Max-Age=60; Path=/app; HttpOnly");
        assert!(cookie.starts_with("sess=\"") && first.header("set-cookie") == expected, "{first:?}");
        assert_eq!(who(&client, URL, &[("cookie", &format!("x=1; {cookie}"))]).await, [first.by()].into());
        all.insert(first.by());
    }
    assert_eq!(all.len(), 4, "each caller has another value");
}

#[tokio::test]
async fn what_is_alike_in_a_header_or_parameter_goes_to_one_endpoint() {
    let (by_header, _upstreams) = caller("httpHeaderName: x-user", &[]).await;
    let (by_parameter, _others) = caller("httpQueryParameterName: user, maglev: {tableSize: 1009}", &[]).await;
    let (mut headers, mut parameters) = (BTreeSet::new(), BTreeSet::new());
    for user in 0..20 {
        let user = format!("user-{user}");
        let same = who(&by_header.client(), URL, &[("x-user", &user)]).await;
        assert_eq!(same.len(), 1);
        headers.extend(same);
        let same = who(&by_parameter.client(), &format!("{URL}?user={user}"), &[]).await;
        assert_eq!(same.len(), 1);
        parameters.extend(same);
    }
    assert_eq!((headers.len(), parameters.len()), (4, 4));
    assert!(who(&by_header.client(), URL, &[]).await.len() > 1, "without the header anybody answers");
}

#[tokio::test]
async fn all_calls_of_a_process_come_from_one_address() {
    let (mesh, _upstreams) = caller("useSourceIp: true", &[]).await;
    assert_eq!(who(&mesh.client(), URL, &[]).await.len(), 1);
}

#[tokio::test]
async fn the_header_counts_as_the_caller_wrote_it() {
    let rule = "headers: {request: {set: {x-user: other}}}, route: [{destination: {host: app}}]";
    let (mesh, upstreams) = caller("httpHeaderName: x-user", &[rule]).await;
    let mut all = BTreeSet::new();
    for user in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        all.extend(who(&mesh.client(), URL, &[("x-user", user)]).await);
    }
    assert!(all.len() > 1, "{all:?}");
    let sent: Vec<_> = upstreams.iter().flat_map(Upstream::seen).collect();
    assert!(sent.iter().all(|seen| seen.header("x-user") == "other"));
}

#[tokio::test]
async fn a_retry_stays_with_the_hash_unless_the_rule_wants_another_endpoint() {
    let rules = [
        "match: [{uri: {prefix: /other}}], route: [{destination: {host: app}}], \
         retries: {attempts: 3, retryOn: '503', retryIgnorePreviousHosts: true}",
        "route: [{destination: {host: app}}], retries: {attempts: 3, retryOn: '503'}",
    ];
    let (mesh, upstreams) = caller("httpHeaderName: x-user", &rules).await;
    let alice: &[(&str, &str)] = &[("x-user", "alice")];
    let own = ask(&mesh.client(), URL, alice).await.by();
    let upstream = &upstreams[NAMES.iter().position(|name| *name == own).unwrap()];
    upstream.fail(2);
    let answer = ask(&mesh.client(), URL, alice).await;
    assert_eq!((answer.status, answer.by(), answer.info.attempts()), (200, own.clone(), 3));
    upstream.fail(usize::MAX);
    let elsewhere = ask(&mesh.client(), "http://app/other", alice).await;
    assert_eq!(elsewhere.status, 200);
    assert_ne!(elsewhere.by(), own);
}
